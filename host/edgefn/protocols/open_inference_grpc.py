"""The Open Inference Protocol (KServe v2) over gRPC: calls and replies as bytes of protobuf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgefn.errors import listing
from edgefn.protocols.malformed import Malformed
from edgefn.protocols.messages import message, parsed
from edgefn.protocols.open_inference import Call, check_parameters
from edgefn.protocols.tensors import (
    BYTES,
    Array,
    array_of,
    bytes_of,
    dtype_of,
    numbers,
    objects,
    shape_of,
    type_name,
)

SERVICE = "inference.GRPCInferenceService"
CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""Where a tensor has its elements that are not raw."""


def read_call(request: Any) -> Call:
    """The call in a ModelInferRequest; raises Malformed."""
    check_parameters(request.parameters, "the call")
    for output in request.outputs:
        check_parameters(output.parameters, f"output '{output.name}'")
    inputs = _read(request.inputs, request.raw_input_contents)
    return Call(inputs, {output.name: True for output in request.outputs}, request.id)


def write_reply(model: str, version: str, call: Call, outputs: Mapping[str, Array]) -> bytes:
    """A ModelInferResponse with raw outputs."""
    response = message("inference", "InferResponse")(model_name=model, model_version=version, id=call.id)
    response.outputs.extend(_described(name, array) for name, array in outputs.items())
    response.raw_output_contents.extend(bytes_of(array) for array in outputs.values())
    return response.SerializeToString()  # type: ignore[no-any-return]


def write_call(model: str, version: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> bytes:
    """A ModelInferRequest with raw inputs."""
    request = message("inference", "InferRequest")(model_name=model, model_version=version)
    request.inputs.extend(_described(name, array) for name, array in inputs.items())
    request.outputs.extend(message("inference", "RequestedOutput")(name=name) for name in outputs)
    request.raw_input_contents.extend(bytes_of(array) for array in inputs.values())
    return request.SerializeToString()  # type: ignore[no-any-return]


def read_reply(content: bytes) -> dict[str, Array]:
    """The outputs in the bytes of a ModelInferResponse; raises Malformed."""
    response = parsed(message("inference", "InferResponse"), content)
    return _read(response.outputs, response.raw_output_contents)


def _described(name: str, array: Array) -> Any:
    return message("inference", "Tensor")(name=name, datatype=type_name(array.dtype), shape=array.shape)


def _read(tensors: Sequence[Any], raw: Sequence[bytes]) -> dict[str, Array]:
    if raw and len(raw) != len(tensors):
        raise Malformed(f"the message has {len(tensors)} tensors and {len(raw)} raw contents; right would be one each")
    found: dict[str, Array] = {}
    for number, tensor in enumerate(tensors):
        where = f"tensor '{tensor.name}'"
        if tensor.name in found:
            raise Malformed(f"{where} is there twice")
        check_parameters(tensor.parameters, where)
        dtype, shape = dtype_of(tensor.datatype, where), shape_of(list(tensor.shape), where)
        if raw:
            found[tensor.name] = array_of(raw[number], dtype, shape, where)
        else:
            found[tensor.name] = _contents(tensor, dtype, shape, where)
    return found


def _contents(tensor: Any, dtype: np.dtype[Any], shape: tuple[int, ...], where: str) -> Array:
    name = CONTENTS.get(tensor.datatype)
    if name is None:
        raise Malformed(f"{where}: {tensor.datatype} has no contents in the protocol; send it raw")
    others = [field.name for field, _ in tensor.contents.ListFields() if field.name != name]
    if others:
        raise Malformed(f"{where}: {tensor.datatype} has its elements in {name}, and not in {listing(others)}")
    elements = getattr(tensor.contents, name)
    return objects(list(elements), shape, where) if tensor.datatype == BYTES else numbers(elements, dtype, shape, where)
