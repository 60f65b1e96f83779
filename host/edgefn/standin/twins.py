"""Twins: desired and reported properties with their versions, merged and checked as edgeHub does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from edgefn.errors import HubError

LONGEST_DOCUMENT, LONGEST_VALUE, LONGEST_NAME = 32 * 1024, 4 * 1024, 1024
DEEPEST = 10
LARGEST_INTEGER = 2**52
_WRONG_IN_NAMES = re.compile(r"[.$#\s\x00-\x1f]")

Properties = dict[str, Any]


@dataclass(slots=True)
class Twin:
    """The twin of one module or device, without its ``$version`` members, which ``document`` adds."""

    desired: Properties = field(default_factory=dict)
    reported: Properties = field(default_factory=dict)
    desired_version: int = 1
    reported_version: int = 1

    def document(self) -> dict[str, Properties]:
        """What a module gets."""
        return {
            "desired": {**self.desired, "$version": self.desired_version},
            "reported": {**self.reported, "$version": self.reported_version},
        }

    def patch_desired(self, patch: Mapping[str, Any]) -> Properties:
        """Merges; gives what the module is told."""
        given = {name: value for name, value in patch.items() if name != "$version"}
        self.desired = merged(self.desired, given)
        self.desired_version += 1
        return {**given, "$version": self.desired_version}

    def replace_desired(self, wanted: Mapping[str, Any]) -> Properties | None:
        """Makes them exactly these; gives what the module is told, None if nothing changes."""
        wanted = {name: value for name, value in wanted.items() if name != "$version"}
        if wanted == self.desired:
            return None
        return self.patch_desired(difference(self.desired, wanted))

    def patch_reported(self, patch: Mapping[str, Any]) -> None:
        """Merges; raises HubError where edgeHub answers 400, and leaves everything as it was."""
        faults = "; ".join(_faults(patch))
        if faults:
            raise HubError(f"reported properties: {faults}")
        result = merged(self.reported, patch)
        size = len(orjson.dumps(result))
        if size > LONGEST_DOCUMENT:
            raise HubError(f"reported properties: {size} bytes in all; at most {LONGEST_DOCUMENT} would be right")
        self.reported = result
        self.reported_version += 1


def merged(old: Mapping[str, Any], patch: Mapping[str, Any]) -> Properties:
    """A merge patch: null removes, objects merge, everything else replaces."""
    result = dict(old)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            before = result.get(name)
            result[name] = merged(before if isinstance(before, dict) else {}, value)
        else:
            result[name] = value
    return result


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> Properties:
    """The patch that makes ``new`` of ``old``."""
    patch: Properties = dict.fromkeys(old.keys() - new.keys())
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := difference(before, value):
                patch[name] = inner
        elif name not in old or before != value:
            patch[name] = value
    return patch


def _faults(value: Any, path: str = "", depth: int = 0) -> Iterator[str]:
    """What edgeHub refuses in reported properties."""
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
