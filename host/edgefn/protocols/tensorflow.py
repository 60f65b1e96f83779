"""TensorFlow Serving's protocol: tensors and replies over gRPC as protobuf, and the same by REST as JSON."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from edgefn.protocols.malformed import Malformed
from edgefn.protocols.messages import message
from edgefn.protocols.tensors import Array, array_in, array_of, objects, shape_of

PREDICTION, MODELS = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"
SIGNATURE, METHOD = "serving_default", "tensorflow/serving/predict"
SIGNATURES = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
DT_STRING, DT_HALF = 7, 19
TYPES = {
    1: ("DT_FLOAT", "<f4", "float_val"),
    2: ("DT_DOUBLE", "<f8", "double_val"),
    3: ("DT_INT32", "<i4", "int_val"),
    4: ("DT_UINT8", "u1", "int_val"),
    5: ("DT_INT16", "<i2", "int_val"),
    6: ("DT_INT8", "i1", "int_val"),
    9: ("DT_INT64", "<i8", "int64_val"),
    10: ("DT_BOOL", "?", "bool_val"),
    17: ("DT_UINT16", "<u2", "int_val"),
    DT_HALF: ("DT_HALF", "<f2", "half_val"),
    22: ("DT_UINT32", "<u4", "uint32_val"),
    23: ("DT_UINT64", "<u8", "uint64_val"),
}
"""The numbers of types, with their names, numpy's codes, and where a tensor has its elements that are not raw."""
NUMBERS = {np.dtype(code): number for number, (_, code, _) in TYPES.items()}
AVAILABLE, START = 30, 10
"""States of a version: it serves; it is being made ready."""
MOST_REPEATED = 1_000_000
"""Elements of a tensor that leaves some out, since they are like the last: some bytes must not become gigabytes."""
STATES = {AVAILABLE: "AVAILABLE", START: "START"}


# --- tensors -----------------------------------------------------------------------------------------------------


def read_tensor(name: str, tensor: Any) -> Array:
    """The array of a TensorProto; raises Malformed."""
    where = f"tensor '{name}'"
    if tensor.dtype == DT_STRING:
        sizes = [dim.size for dim in tensor.tensor_shape.dim]
        shape = (len(tensor.string_val),) if tensor.tensor_shape.unknown_rank else shape_of(sizes, where)
        return objects(list(tensor.string_val), shape, where)
    if tensor.dtype not in TYPES:
        known = ", ".join([*(name for name, _, _ in TYPES.values()), "DT_STRING"])
        raise Malformed(f"{where}: there is no dtype {tensor.dtype}; types: {known}")
    shape = shape_of([dim.size for dim in tensor.tensor_shape.dim], where)
    named, code, field = TYPES[tensor.dtype]
    dtype = np.dtype(code)
    if tensor.tensor_content:
        return array_of(tensor.tensor_content, dtype, shape, where)
    values = getattr(tensor, field)
    count = math.prod(shape)
    if len(values) > count or (count and not values) or (len(values) < count > MOST_REPEATED):
        raise Malformed(
            f"{where}: has {len(values)} elements in {field}; right for {named} {list(shape)} would be {count}"
        )
    try:
        found = np.array(values, np.uint16).view(dtype) if tensor.dtype == DT_HALF else np.array(values, dtype)
    except OverflowError:
        raise Malformed(f"{where}: its data holds a number that {named} can not") from None
    whole = np.concatenate(
        [found, np.repeat(found[-1:], count - len(found))]
    )  # the last one stands for those that lack
    return whole.reshape(shape)


def write_tensor(array: Array) -> Any:
    """The TensorProto of an array; raises Malformed for a type that the protocol has not."""
    made = message("tensorflow", "Tensor")(dtype=number_of(array.dtype))
    made.tensor_shape.dim.extend(message("tensorflow", "Dim")(size=size) for size in array.shape)
    if array.dtype == object:
        made.string_val.extend(each if isinstance(each, bytes) else str(each).encode() for each in array.reshape(-1))
    else:
        made.tensor_content = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return made


def number_of(dtype: Any) -> int:
    """The protocol's number of a numpy type; raises Malformed."""
    kind = np.dtype(dtype)
    if kind == np.dtype(object):
        return DT_STRING
    if (number := NUMBERS.get(kind.newbyteorder("<"))) is None:
        raise Malformed(f"tensors of {kind} have no number in the protocol")
    return number


def name_of(number: int) -> str:
    """The name of a type."""
    return "DT_STRING" if number == DT_STRING else TYPES[number][0] if number in TYPES else "DT_INVALID"


# --- replies over gRPC -------------------------------------------------------------------------------------------


def write_prediction(model: str, version: str, outputs: Mapping[str, Array]) -> bytes:
    response = message("tensorflow", "PredictResponse")()
    _specify(response.model_spec, model, version)
    for name, array in outputs.items():
        response.outputs[name].CopyFrom(write_tensor(array))
    return response.SerializeToString()  # type: ignore[no-any-return]


Described = Sequence[tuple[str, int, Sequence[int]]]
"""Tensors by name, number of type, and shape."""


def write_metadata(model: str, version: str, inputs: Described, outputs: Described) -> bytes:
    signatures = message("tensorflow", "SignatureMap")()
    signature = signatures.signature_def[SIGNATURE]
    signature.method_name = METHOD
    for tensors, described in ((signature.inputs, inputs), (signature.outputs, outputs)):
        for name, number, shape in described:
            tensors[name].name = name
            tensors[name].dtype = number
            tensors[name].tensor_shape.dim.extend(message("tensorflow", "Dim")(size=size) for size in shape)
    response = message("tensorflow", "MetadataResponse")()
    _specify(response.model_spec, model, version)
    response.metadata["signature_def"].type_url = SIGNATURES
    response.metadata["signature_def"].value = signatures.SerializeToString()
    return response.SerializeToString()  # type: ignore[no-any-return]


def write_status(version: str, state: int) -> bytes:
    response = message("tensorflow", "StatusResponse")()
    response.model_version_status.add(version=int(version), state=state).status.error_code = 0
    return response.SerializeToString()  # type: ignore[no-any-return]


def _specify(spec: Any, model: str, version: str) -> None:
    spec.name = model
    spec.version.value = int(version)
    spec.signature_name = SIGNATURE


# --- REST --------------------------------------------------------------------------------------------------------


def read_prediction(body: bytes, inputs: Sequence[str]) -> tuple[dict[str, Array], bool]:
    """The tensors in a body, and whether they came as rows (``instances``); raises Malformed.

    ``inputs`` are the names of the model's: one alone may be left out. Bytes are objects ``{"b64": "..."}``.
    """
    try:
        document = orjson.loads(body)
    except ValueError as error:
        raise Malformed(f"the body is no JSON: {error}") from None
    given = document if isinstance(document, dict) else {}
    if (given.get("signature_name") or SIGNATURE) != SIGNATURE:
        raise Malformed(f"there is no signature '{given['signature_name']}'; signatures: {SIGNATURE}")
    if ("instances" in given) == ("inputs" in given):
        raise Malformed("the body should be an object with 'instances', a list of rows, or with 'inputs'")
    if "inputs" in given:
        return _columns(given["inputs"], inputs), False
    rows = given["instances"]
    if not isinstance(rows, list) or not rows:
        raise Malformed("'instances' should be a list with an element for each row")
    if not all(isinstance(row, dict) and not _is_bytes(row) for row in rows):
        return {_only(inputs): _array(rows, _only(inputs))}, True
    names = list(rows[0])
    if any(list(row) != names for row in rows):
        raise Malformed("'instances' should have the same names in every row")
    return {name: _array([row[name] for row in rows], name) for name in names}, True


def write_rest(outputs: Mapping[str, Array], *, as_rows: bool) -> bytes:
    """The reply, in the form of the request: one output stands alone."""
    lists = {name: _listed(array) for name, array in outputs.items()}
    only = next(iter(lists.values())) if len(lists) == 1 else None
    if not as_rows:
        return orjson.dumps({"outputs": only if only is not None else lists})
    if only is not None:
        return orjson.dumps({"predictions": only})
    if len({len(rows) for rows in lists.values()}) > 1:
        raise Malformed("the outputs have not one row for each instance; send 'inputs' instead of 'instances'")
    rows = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    return orjson.dumps({"predictions": rows})


def metadata_document(model: str, version: str, inputs: Described, outputs: Described) -> dict[str, Any]:
    """The metadata in JSON: names as TensorFlow Serving writes them, and as OpenVINO Model Server does."""

    def described(tensors: Described) -> dict[str, Any]:
        return {
            name: {"dtype": name_of(number), "name": name, "tensor_shape": _shape(shape), "tensorShape": _shape(shape)}
            for name, number, shape in tensors
        }

    spec = {"name": model, "signature_name": "", "version": version}
    signatures = {SIGNATURE: {"inputs": described(inputs), "outputs": described(outputs), "method_name": METHOD}}
    return {
        "model_spec": spec,
        "modelSpec": spec,
        "metadata": {
            "signature_def": {"@type": SIGNATURES, "signature_def": signatures, "signatureDef": signatures},
        },
    }


def _shape(sizes: Sequence[int]) -> dict[str, Any]:
    return {"dim": [{"size": str(size), "name": ""} for size in sizes], "unknown_rank": False}


def status_document(version: str, state: int) -> dict[str, Any]:
    """The status in JSON."""
    status = {"error_code": "OK", "error_message": "OK"}
    return {"model_version_status": [{"version": version, "state": STATES[state], "status": status}]}


def _columns(given: Any, inputs: Sequence[str]) -> dict[str, Array]:
    if isinstance(given, dict) and not _is_bytes(given):
        return {name: _array(value, name) for name, value in given.items()}
    return {_only(inputs): _array(given, _only(inputs))}


def _only(inputs: Sequence[str]) -> str:
    if len(inputs) != 1:
        raise Malformed(f"the model has inputs {', '.join(inputs)}; send them with their names")
    return inputs[0]


def _is_bytes(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"}


def _array(value: Any, name: str) -> Array:
    where = f"tensor '{name}'"
    several = value if isinstance(value, list) else [value]
    if several and all(map(_is_bytes, several)):
        return objects([_decoded(each["b64"], where) for each in several], (len(several),), where)
    unfit = f"{where}: its data should be numbers, or objects {{'b64': '...'}}"
    found = array_in(value, where, unfit)
    if found.dtype.kind not in "biuf":
        raise Malformed(unfit)
    return found


def _decoded(text: Any, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise Malformed(f"{where}: its b64 is not base64") from None


def _listed(array: Array) -> Any:
    if array.dtype == object:
        return [{"b64": base64.b64encode(each).decode()} for each in array.reshape(-1)]
    return array.tolist()
