"""What IoT Hub, and edgeHub, take as properties of a twin."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from edgefn.errors import HubError

LONGEST_DOCUMENT, LONGEST_VALUE, LONGEST_NAME = 32 * 1024, 4 * 1024, 1024
DEEPEST = 10
LARGEST_INTEGER = 2**52
_WRONG_IN_NAMES = re.compile(r"[.$#\s\x00-\x1f]")


def check(document: dict[str, Any], patch: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The document that a patch has made; raises HubError where the hub would answer 400 to the patch."""
    try:
        size = len(orjson.dumps(document))
    except TypeError as error:
        raise HubError(f"{what}: no JSON: {error}; objects of numbers, texts, true and false would be right") from None
    if faults := "; ".join(_faults(patch)):
        raise HubError(f"{what}: {faults}")
    if size > LONGEST_DOCUMENT:
        raise HubError(f"{what}: {size} bytes in all; at most {LONGEST_DOCUMENT} would be right")
    return document


def faults_of(document: Mapping[str, Any]) -> list[str]:
    """What the hub has against names and values."""
    return list(_faults(document))


def _faults(value: Any, path: str = "", depth: int = 0) -> Iterator[str]:
    """What is wrong with a value, and with those in it."""
    if isinstance(value, Mapping):
        yield from _faults_of_object(value, path, depth)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if item is None:
                yield f"{path}[{index}] is null; an array has no null"
            yield from _faults(item, f"{path}[{index}]", depth)
    elif isinstance(value, str) and len(value.encode()) > LONGEST_VALUE:
        yield f"{path} has {len(value.encode())} bytes; at most {LONGEST_VALUE} would be right"
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) >= LARGEST_INTEGER:
        yield f"{path} is {value}; an integer within +-2^52 would be right"


def _faults_of_object(value: Mapping[str, Any], path: str, depth: int) -> Iterator[str]:
    if depth >= DEEPEST:
        yield f"{path} is nested deeper than {DEEPEST}"
        return
    for name, inner in value.items():
        where = f"{path}.{name}" if path else name
        if not name or len(name.encode()) > LONGEST_NAME or _WRONG_IN_NAMES.search(name):
            yield f"{where[:60]!r} is no name; at most {LONGEST_NAME} bytes without . $ # and blanks would be right"
        yield from _faults(inner, where, depth + 1)
