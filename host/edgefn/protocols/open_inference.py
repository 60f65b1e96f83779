"""The Open Inference Protocol (KServe v2) in JSON, with tensors in binary behind it where a message says so.

    {"id", "inputs": [{"name", "shape", "datatype", "data"}], "outputs": [{"name"}]}        a call
    {"model_name", "model_version", "id", "outputs": [{"name", "shape", "datatype", "data"}]}        its reply

With the header ``Inference-Header-Content-Length`` only so many bytes are JSON; a tensor with the parameter
``binary_data_size`` has its data in the bytes behind, in the order of the tensors.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from edgefn.protocols.malformed import Malformed
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

HEADER_LENGTH = "inference-header-content-length"
LONGEST_LENGTH = 20
"""Digits of that header."""
UNSUPPORTED = ("classification", "shared_memory_region")
"""Parameters that change what a reply means: refused rather than ignored."""


@dataclass(slots=True)
class Call:
    """What a client asks a model for."""

    inputs: Mapping[str, Array] = field(default_factory=dict)
    outputs: Mapping[str, bool] = field(default_factory=dict)
    """The outputs that are wanted, each with whether in binary; all where there is none."""
    id: str = ""
    binary: bool = False
    """Whether outputs come in binary that do not say so themselves."""
    raw: bytes | None = None
    """The whole body, where it holds nothing but the one input of the model."""


# --- calls -------------------------------------------------------------------------------------------------------


def read_call(body: bytes, header_length: str | None) -> Call:
    """The call in the body of a request; raises Malformed."""
    length = _length(header_length, len(body))
    if length == 0:
        return Call(raw=body)
    document = _document(body[:length])
    tensors = _tensors(document, "inputs", memoryview(body)[length:])
    parameters = _parameters(document, "the call")
    binary = parameters.get("binary_data_output") is True
    wanted = {}
    for output in _objects(document, "outputs", required=False):
        name = _name(output, "outputs")
        asked = _parameters(output, f"output '{name}'")
        wanted[name] = asked.get("binary_data", binary) is True
    return Call(tensors, wanted, str(document.get("id", "")), binary)


def write_call(inputs: Mapping[str, Array], outputs: Sequence[str]) -> tuple[bytes, int]:
    """A call with all tensors in binary, and how many of its bytes are JSON."""
    head, data = _written(inputs, dict.fromkeys(inputs, True))
    asked = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
    text = orjson.dumps({"inputs": head, "outputs": asked})
    return b"".join((text, *data)), len(text)


# --- replies -----------------------------------------------------------------------------------------------------


def write_reply(model: str, version: str, call: Call, outputs: Mapping[str, Array]) -> tuple[bytes, int | None]:
    """The reply to a call, and how many of its bytes are JSON, where others follow."""
    is_binary = {name: call.outputs.get(name, call.binary) for name in outputs}
    head, data = _written(outputs, is_binary)
    document = {"model_name": model, "model_version": version, **({"id": call.id} if call.id else {}), "outputs": head}
    text = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join((text, *data)), len(text)) if data else (text, None)


def read_reply(body: bytes, header_length: str | None) -> dict[str, Array]:
    """The outputs in a reply; raises Malformed."""
    length = _length(header_length, len(body))
    return _tensors(_document(body[:length]), "outputs", memoryview(body)[length:])


# --- both --------------------------------------------------------------------------------------------------------


def _length(declared: str | None, size: int) -> int:
    if declared is None:
        return size
    if not declared.isdecimal() or len(declared) > LONGEST_LENGTH or int(declared) > size:
        shown = declared[:LONGEST_LENGTH]
        raise Malformed(f"the header Inference-Header-Content-Length is {shown!r}, and the body has {size} bytes")
    return int(declared)


def _document(text: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(text)
    except ValueError as error:
        raise Malformed(f"the body is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise Malformed("the body is no JSON object; right would be {'inputs': [...]}")
    return document


def _objects(document: Mapping[str, Any], key: str, *, required: bool) -> list[Mapping[str, Any]]:
    found = document.get(key)
    if found is None and not required:
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found) or (required and not found):
        raise Malformed(f"'{key}' should be a list of objects with name, shape, datatype and data")
    return found


def _name(tensor: Mapping[str, Any], key: str) -> str:
    name = tensor.get("name")
    if not isinstance(name, str) or not name:
        raise Malformed(f"'{key}' holds a tensor without a name")
    return name


def _parameters(holder: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    found = holder.get("parameters") or {}
    if not isinstance(found, dict):
        raise Malformed(f"{where}: its parameters should be an object")
    check_parameters(found, where)
    return found


def check_parameters(parameters: Mapping[str, Any], where: str) -> None:
    """Raises Malformed for a parameter that would change what the reply means."""
    if unknown := [name for name in UNSUPPORTED if name in parameters]:
        raise Malformed(f"{where}: parameter '{unknown[0]}' is not supported here; leave it out")


def _tensors(document: Mapping[str, Any], key: str, binary: memoryview) -> dict[str, Array]:
    tensors: dict[str, Array] = {}
    at = 0
    for tensor in _objects(document, key, required=True):
        name = _name(tensor, key)
        where = f"tensor '{name}'"
        if name in tensors:
            raise Malformed(f"{where} is there twice")
        parameters = _parameters(tensor, where)
        size = parameters.get("binary_data_size")
        if size is None:
            tensors[name] = _from_json(tensor, parameters, where)
            continue
        if type(size) is not int or not 0 <= size <= len(binary) - at:
            raise Malformed(f"{where}: binary_data_size is {size!r}, and {len(binary) - at} bytes are left")
        tensors[name] = array_of(binary[at : at + size], *_kind(tensor, where), where)
        at += size
    if at != len(binary):
        raise Malformed(f"{len(binary) - at} bytes behind the JSON belong to no tensor; declare binary_data_size")
    return tensors


def _kind(tensor: Mapping[str, Any], where: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    return dtype_of(tensor.get("datatype"), where), shape_of(tensor.get("shape"), where)


def _from_json(tensor: Mapping[str, Any], parameters: Mapping[str, Any], where: str) -> Array:
    dtype, shape = _kind(tensor, where)
    data = tensor.get("data")
    if not isinstance(data, list):
        raise Malformed(f"{where}: has no data; right would be a list, or binary_data_size in its parameters")
    if tensor["datatype"] == BYTES:
        return objects([_byte_string(each, parameters, where) for each in data], shape, where)
    if tensor["datatype"] == "FP16":
        raise Malformed(f"{where}: FP16 has no form in JSON; send it in binary")
    return numbers(data, dtype, shape, where)


def _byte_string(element: Any, parameters: Mapping[str, Any], where: str) -> bytes:
    """An element of type BYTES: a text, or base64 where the tensor's content_type says so."""
    if not isinstance(element, str):
        raise Malformed(f"{where}: its data should be a list of texts")
    if parameters.get("content_type") != "base64":
        return element.encode()
    try:
        return base64.b64decode(element, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed(f"{where}: its data is not base64") from None


def _written(tensors: Mapping[str, Array], is_binary: Mapping[str, bool]) -> tuple[list[dict[str, Any]], list[bytes]]:
    head: list[dict[str, Any]] = []
    data: list[bytes] = []
    for name, array in tensors.items():
        described: dict[str, Any] = {"name": name, "shape": array.shape, "datatype": type_name(array.dtype)}
        if is_binary[name] or array.dtype == np.float16:
            data.append(bytes_of(array))
            described["parameters"] = {"binary_data_size": len(data[-1])}
        elif array.dtype == np.dtype(object):
            described["data"] = [each.decode(errors="replace") for each in array.reshape(-1)]
        else:
            described["data"] = np.ascontiguousarray(array).reshape(-1)
        head.append(described)
    return head, data
