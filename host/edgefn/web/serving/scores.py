"""From the tensors of a request to the outputs of a model, with errors that list what the model has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from edgefn.errors import listing, nearest
from edgefn.images import decoded
from edgefn.picture_heads import FORMATS, size_of
from edgefn.protocols.malformed import Malformed
from edgefn.protocols.tensors import BYTES, Array, array_of, objects, type_name
from edgefn.sessions.ports import Port
from edgefn.web.serving.catalog import Model

MOST_PICTURES = 32
"""Pictures in one request."""


def scored(model: Model, given: Mapping[str, Array], wanted: Sequence[str] = ()) -> dict[str, Array]:
    """The wanted outputs, all where none is named, for these inputs; raises Malformed for what does not fit the model.

    An input for pictures takes files of them (BYTES), prepared as the session declares, or tensors of its own shape.
    """
    tensors = model.tensors
    ports = {port.name: port for port in tensors.inputs}
    check_names(model, given, wanted)
    runs = _runs(model, {name: _values(model, ports[name], array) for name, array in given.items()})
    outputs = [tensors.infer(inputs) for inputs in runs]
    names = wanted or [port.name for port in tensors.outputs]
    return {
        name: outputs[0][name] if len(outputs) == 1 else np.concatenate([o[name] for o in outputs]) for name in names
    }


def only_input(model: Model, raw: bytes) -> dict[str, Array]:
    """The bytes as the only input of a model: its tensor, or a picture's file."""
    ports = model.tensors.inputs
    if len(ports) != 1:
        raise Malformed(f"model '{model.name}' has several inputs, {listed_inputs(model)}; send them with their names")
    port, where = ports[0], f"input '{ports[0].name}'"
    if port == model.tensors.picture and len(raw) != np.prod(port.shape):
        return {port.name: objects([raw], (1,), where)}
    if port.dtype is None or -1 in port.shape:
        raise Malformed(f"{where} has an open shape; send it with its shape: {listed_inputs(model)}")
    return {port.name: array_of(raw, np.dtype(port.dtype), port.shape, where)}


def check_names(model: Model, given: Collection[str], wanted: Sequence[str]) -> None:
    """Raises Malformed for names that the model has not, and for inputs that lack."""
    ports = [port.name for port in model.tensors.inputs]
    if unknown := [name for name in given if name not in ports]:
        raise Malformed(
            f"model '{model.name}' has no input '{unknown[0]}'{nearest(unknown[0], ports)};"
            f" its inputs: {listed_inputs(model)}"
        )
    if missing := [name for name in ports if name not in given]:
        raise Malformed(f"input '{missing[0]}' of model '{model.name}' is missing; its inputs: {listed_inputs(model)}")
    outputs = [port.name for port in model.tensors.outputs]
    if unknown := [name for name in wanted if name not in outputs]:
        raise Malformed(
            f"model '{model.name}' has no output '{unknown[0]}'{nearest(unknown[0], outputs)};"
            f" its outputs: {listed_outputs(model)}"
        )


def _values(model: Model, port: Port, array: Array) -> list[Array]:
    """What one input is given in each run of the model."""
    if port == model.tensors.picture:
        values = _pictures(model, port, array)
        if len(values) == 1 or (values and model.is_batched):
            return values
        raise _unfit(model, port, array)
    fits = len(array.shape) == len(port.shape) and all(
        want in (-1, have) for want, have in zip(port.shape, array.shape, strict=True)
    )
    if not fits or array.dtype == object or (port.dtype and not np.can_cast(array.dtype, port.dtype, "same_kind")):
        raise _unfit(model, port, array)
    return [array]


def _pictures(model: Model, port: Port, array: Array) -> list[Array]:
    count = array.size if array.dtype == object else len(array) if array.ndim else 0
    if count > MOST_PICTURES:
        raise Malformed(f"the request holds {count} pictures; {MOST_PICTURES} at once are the most")
    if array.dtype == object:
        _check_sizes(model, port, array.reshape(-1))
        return [_decoded(model, port, number, element) for number, element in enumerate(array.reshape(-1))]
    if array.shape[1:] != port.shape[1:]:
        raise _unfit(model, port, array)
    pictures = _whole(array)
    if pictures is None:
        raise _unfit(model, port, array)
    return [pictures[number : number + 1] for number in range(len(pictures))]


def _check_sizes(model: Model, port: Port, elements: Iterable[Any]) -> None:
    """Before any is decoded; raises Malformed."""
    pixels = 0
    for number, element in enumerate(elements):
        size = size_of(element)
        if size is None:
            raise Malformed(
                f"element {number} of input '{port.name}' is no picture, or a damaged one;"
                f" {listing(FORMATS)} can be read"
            )
        pixels += size[0] * size[1]
        if pixels > model.most_pixels:
            raise Malformed(
                f"element {number} of input '{port.name}' is a picture of {size[0]} x {size[1]} pixels; up to"
                f" {model.most_pixels} in all are decoded"
            )


def _decoded(model: Model, port: Port, number: int, element: Any) -> Array:
    try:
        return decoded(element, model.most_pixels)
    except ValueError as error:
        raise Malformed(f"element {number} of input '{port.name}' {error}") from None


def _whole(array: Array) -> Array | None:
    """Numbers as uint8; None where that would change them."""
    if array.dtype == np.uint8:
        return array
    with np.errstate(invalid="ignore"):
        bytes_ = array.astype(np.uint8)
    return bytes_ if np.array_equal(bytes_, array) else None


def _runs(model: Model, values: Mapping[str, list[Array]]) -> list[dict[str, Array]]:
    count = max(map(len, values.values()))
    return [{name: several[run if len(several) > 1 else 0] for name, several in values.items()} for run in range(count)]


def _unfit(model: Model, port: Port, array: Array) -> Malformed:
    given = f"{type_name(array.dtype)} {_shown(array.shape)}"
    return Malformed(
        f"input '{port.name}' of model '{model.name}' can not be {given}; its inputs: {listed_inputs(model)}"
    )


# --- what a model has, in the protocol's words -------------------------------------------------------------------


def datatype(port: Port) -> str:
    """The protocol's name of the type of an input or output."""
    return port.type.upper() if port.dtype is None else type_name(port.dtype)


def listed_inputs(model: Model) -> str:
    """The inputs as errors list them."""
    return listing(
        f"{port.name} {datatype(port)} {_shown(model.shape(port))}"
        + (f" (whole numbers, 0 to 255, BGR; or {BYTES}: {listing(FORMATS)})" if port == model.tensors.picture else "")
        for port in model.tensors.inputs
    )


def listed_outputs(model: Model) -> str:
    """The outputs as errors list them."""
    return listing(f"{port.name} {datatype(port)} {_shown(model.shape(port))}" for port in model.tensors.outputs)


def _shown(shape: Sequence[int]) -> str:
    return f"[{','.join(map(str, shape))}]"
