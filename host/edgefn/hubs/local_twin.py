"""The twin of the hub inside the process: a file that may be edited while the host is down, with IoT Hub's limits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from edgefn.contracts import Twin
from edgefn.desired import merged, properties
from edgefn.errors import HubError
from edgefn.kept import Kept

NAMES = re.compile(r"^[^.$# \x00-\x1f\x7f-\x9f]{1,1024}$")
DEPTH, LONGEST, MOST = 10, 4096, 32_768
"""Objects inside each other; bytes of a text; bytes of the desired, and of the reported properties."""
INTEGERS = range(-(2**52), 2**52)


class LocalTwin:
    """Desired and reported properties; ``$version`` counts the changes of each."""

    def __init__(self, path: Path) -> None:
        self._kept = Kept(path, "the twin begins anew")
        self._twin: Twin | None = None

    def get(self) -> Twin:
        if self._twin is None:
            kept = self._kept.read() or {}
            self._twin = Twin(_versioned(kept.get("desired")), _versioned(kept.get("reported")))
        return self._twin

    def change(self, desired: Mapping[str, Any] | None = None, reported: Mapping[str, Any] | None = None) -> Twin:
        """Merges patches into the properties; raises HubError, as IoT Hub answers 400, when these may not be so."""
        twin = self.get()
        self._twin = Twin(_changed(twin.desired, desired), _changed(twin.reported, reported))
        self._kept.write({"desired": self._twin.desired, "reported": self._twin.reported})
        return self._twin


def _versioned(document: Any) -> dict[str, Any]:
    known = dict(document) if isinstance(document, Mapping) else {}
    return {**known, "$version": int(known.get("$version", 0))}


def _changed(document: Mapping[str, Any], patch: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if patch is None:
        return document
    try:
        own: dict[str, Any] = orjson.loads(orjson.dumps(properties(patch)))
    except TypeError as error:
        raise HubError(f"properties should be JSON: {error}") from None
    if fault := next(faults(own), None):
        raise HubError(f"the twin does not take this: {fault}")
    result = merged(properties(document), own)
    if (size := len(orjson.dumps(result))) > MOST:
        raise HubError(f"the twin does not take this: {size} bytes of properties, {MOST} at most")
    return {**result, "$version": int(document.get("$version", 0)) + 1}


def faults(value: Any, where: str = "", depth: int = 1) -> Iterator[str]:
    """What IoT Hub has against properties."""
    if isinstance(value, Mapping):
        if depth > DEPTH:
            yield f"{where}: more than {DEPTH} objects inside each other"
        for name, inner in value.items():
            if not NAMES.match(name):
                yield f"{where}: '{name}' is no name; up to 1 KB without . $ # space and control characters"
            yield from faults(inner, f"{where}.{name}".lstrip("."), depth + 1)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            if inner is None:
                yield f"{where}[{number}]: null in a list"
            yield from faults(inner, f"{where}[{number}]", depth + 1)
    elif isinstance(value, str) and len(value.encode()) > LONGEST:
        yield f"{where}: a text of {len(value.encode())} bytes, {LONGEST} at most"
    elif isinstance(value, int) and not isinstance(value, bool) and value not in INTEGERS:
        yield f"{where}: {value} is beyond 2 to the power of 52"
