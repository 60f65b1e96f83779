"""Tensors on the wire: names of types, and bytes in the order of the Open Inference Protocol."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefn.errors import listing
from edgefn.protocols.malformed import Malformed

Array = NDArray[Any]

BYTES = "BYTES"
"""The type of tensors whose elements are byte strings: here arrays of Python objects."""
TYPES = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
"""numpy's codes, little endian as on the wire."""
NAMES = {np.dtype(code): name for name, code in TYPES.items()}
LENGTH = struct.Struct("<I")
MOST_DIMENSIONS = 32
MOST_ELEMENTS = 1 << 40
"""More than any message could hold, and less than what numpy can not."""


def type_name(dtype: Any) -> str:
    """The protocol's name of a numpy type; raises Malformed for a type that it has not."""
    kind = np.dtype(dtype)
    if kind == np.dtype(object):
        return BYTES
    try:
        return NAMES[kind.newbyteorder("<")]
    except KeyError:
        raise Malformed(f"tensors of {kind} have no name in the protocol; types: {listing([*TYPES, BYTES])}") from None


def dtype_of(datatype: Any, where: str) -> np.dtype[Any]:
    """The numpy type of a name in the protocol; raises Malformed that lists the names."""
    if datatype == BYTES:
        return np.dtype(object)
    try:
        return np.dtype(TYPES[datatype])
    except (KeyError, TypeError):
        raise Malformed(f"{where}: there is no datatype {datatype!r}; types: {listing([*TYPES, BYTES])}") from None


def shape_of(declared: Any, where: str) -> tuple[int, ...]:
    """The shape that a message declares; raises Malformed unless it is a list of whole numbers from 0."""
    whole = isinstance(declared, Sequence) and all(type(n) is int and n >= 0 for n in declared)
    if not whole or len(declared) > MOST_DIMENSIONS or math.prod(max(n, 1) for n in declared) > MOST_ELEMENTS:
        raise Malformed(f"{where}: its shape is {declared!r}; right would be a list of whole numbers, such as [1, 3]")
    return tuple(declared)


def array_of(raw: bytes | memoryview, dtype: np.dtype[Any], shape: tuple[int, ...], where: str) -> Array:
    """The array in the bytes, which it may share; raises Malformed when there are too few or too many."""
    count = math.prod(shape)
    if dtype == np.dtype(object):
        return objects(list(_elements(memoryview(raw), count, where)), shape, where)
    if len(raw) != count * dtype.itemsize:
        raise Malformed(
            f"{where}: has {len(raw)} bytes; right for {type_name(dtype)} {_shown(shape)} would be"
            f" {count * dtype.itemsize}"
        )
    return np.frombuffer(raw, dtype).reshape(shape)


def _elements(raw: memoryview, count: int, where: str) -> Iterator[bytes]:
    at = 0
    while at < len(raw):
        end = at + LENGTH.size
        if end > len(raw) or (end := end + LENGTH.unpack_from(raw, at)[0]) > len(raw):
            raise Malformed(
                f"{where}: its bytes are no elements of type {BYTES}; each has its length before it, 4 bytes with the"
                " lowest first"
            )
        yield bytes(raw[at + LENGTH.size : end])
        at = end
        count -= 1
        if count < 0:
            return


def objects(elements: Sequence[bytes], shape: tuple[int, ...], where: str) -> Array:
    """Byte strings as an array; raises Malformed unless there are as many as the shape says."""
    if len(elements) != math.prod(shape):
        raise Malformed(f"{where}: has not as many elements as its shape {_shown(shape)} says")
    array = np.empty(len(elements), object)
    array[:] = elements
    return array.reshape(shape)


def numbers(data: Any, dtype: np.dtype[Any], shape: tuple[int, ...], where: str) -> Array:
    """The array of numbers in a list, flat or nested; raises Malformed for values that the type can not hold."""
    unfit = f"{where}: its data is not all of type {type_name(dtype)}"
    found = array_in(data, where, unfit)
    if found.size != math.prod(shape):
        raise Malformed(
            f"{where}: has {found.size} elements; right for shape {_shown(shape)} would be {math.prod(shape)}"
        )
    if found.size and found.dtype.kind not in ("b" if dtype.kind == "b" else "iuf"):
        raise Malformed(unfit)
    with np.errstate(all="ignore"):
        array = found.astype(dtype)
        if dtype.kind in "iu" and not np.array_equal(array, found):
            raise Malformed(f"{where}: its data holds a number that type {type_name(dtype)} can not")
    return array.reshape(shape)


def array_in(data: Any, where: str, unfit: str) -> Array:
    """The array in lists; raises Malformed for texts, saying ``unfit``, and for lists that are not of equal length.

    NumPy would make a text of each element beside a text, as long as the longest: terabytes of a few megabytes.
    """
    lists = [data] if isinstance(data, list) else []
    while lists:
        each = lists.pop()
        kinds = set(map(type, each))
        if str in kinds:
            raise Malformed(unfit)
        if list in kinds:
            lists += [inner for inner in each if type(inner) is list]
    try:
        return np.asarray(data)
    except ValueError:
        raise Malformed(f"{where}: its data is no list of numbers, nor lists of equal length") from None


def bytes_of(array: Array) -> bytes:
    """The bytes of an array, rows first."""
    if array.dtype == np.dtype(object):
        return b"".join(LENGTH.pack(len(each)) + each for each in _byte_strings(array))
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


def _byte_strings(array: Array) -> Iterable[bytes]:
    return (each if isinstance(each, bytes) else str(each).encode() for each in array.reshape(-1))


def _shown(shape: Sequence[int]) -> str:
    return f"[{','.join(map(str, shape))}]"
