"""Twins: desired and reported properties with their versions, merged and checked as edgeHub does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgefn.desired import changes, merged
from edgefn.twin_limits import check

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
        return self.patch_desired(changes(self.desired, wanted))

    def patch_reported(self, patch: Mapping[str, Any]) -> None:
        """Merges; raises HubError where edgeHub answers 400, and leaves everything as it was."""
        self.reported = check(merged(self.reported, patch), patch, "reported properties")
        self.reported_version += 1
