"""The twin of the hub inside the process: a file that may be edited while the host is down, with IoT Hub's limits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgefn.contracts import Twin
from edgefn.desired import merged, properties
from edgefn.kept import Kept
from edgefn.twin_limits import check


class LocalTwin:
    """Desired and reported properties; ``$version`` counts the changes of each."""

    def __init__(self, path: Path) -> None:
        self._kept = Kept(path, "the twin begins anew")
        self._twin: Twin | None = None

    def get(self) -> Twin:
        if self._twin is None:
            self._twin = self._kept.read_as(_twin_of) or _twin_of({})
        return self._twin

    def change(self, desired: Mapping[str, Any] | None = None, reported: Mapping[str, Any] | None = None) -> Twin:
        """Merges patches into the properties; raises HubError, as IoT Hub answers 400, when these may not be so."""
        twin = self.get()
        self._twin = Twin(
            _changed(twin.desired, desired, "desired properties"),
            _changed(twin.reported, reported, "reported properties"),
        )
        self._kept.write({"desired": self._twin.desired, "reported": self._twin.reported})
        return self._twin


def _twin_of(document: Mapping[str, Any]) -> Twin:
    """What ``change`` wrote, or somebody has edited; raises ValueError."""
    return Twin(_versioned(document.get("desired")), _versioned(document.get("reported")))


def _versioned(document: Any) -> dict[str, Any]:
    known = dict(document) if isinstance(document, Mapping) else {}
    version = known.get("$version", 0)
    if not isinstance(version, int):
        raise ValueError(f"its $version should be a whole number, found {version!r}")
    return {**known, "$version": version}


def _changed(document: Mapping[str, Any], patch: Mapping[str, Any] | None, what: str) -> Mapping[str, Any]:
    if patch is None:
        return document
    own = properties(patch)
    changed = check(merged(properties(document), own), own, what)
    return {**changed, "$version": int(document.get("$version", 0)) + 1}
