"""``createOptions``: what the container engine is told, as a text of JSON in pieces of 512 characters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from edgefn.errors import EdgefnError

LONGEST_PIECE = 512
MOST_PIECES = 100
NAME = "createOptions"
PIECE = re.compile(rf"{NAME}(\d*)$", re.IGNORECASE)
STATE = "/state"
"""Where the image keeps the state folder."""
APP = "/app"
"""Where the image has the app folder."""
LOGS = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
TMPFS = {"/tmp": "rw,nosuid,nodev,size=64m"}


def create_options(
    *, devices: Iterable[str], groups: Iterable[str], binds: Iterable[str], ports: Mapping[int, int]
) -> dict[str, Any]:
    """For one container, on a read-only root and without rights that a program of a normal user has no use for.

    ``ports`` are those of the box by those of the container.
    """
    host: dict[str, Any] = {
        "Binds": list(binds),
        "ReadonlyRootfs": True,
        "Tmpfs": TMPFS,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "LogConfig": LOGS,
    }
    if mapped := [device_of(path) for path in devices]:
        host["Devices"] = mapped
    if numbers := list(groups):
        host["GroupAdd"] = numbers
    options: dict[str, Any] = {"HostConfig": host}
    if ports:
        options["ExposedPorts"] = {f"{inner}/tcp": {} for inner in ports}
        host["PortBindings"] = {f"{inner}/tcp": [{"HostPort": str(outer)}] for inner, outer in ports.items()}
    return options


def device_of(path: str) -> dict[str, str]:
    """A device file that the container gets under its own name."""
    return {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"}


def in_pieces(options: Mapping[str, Any]) -> dict[str, str]:
    """``createOptions``, ``createOptions01``, ...: the settings of a module that hold the text; raises EdgefnError."""
    text = json.dumps(options, separators=(",", ":"))
    pieces = [text[start : start + LONGEST_PIECE] for start in range(0, len(text), LONGEST_PIECE)]
    if len(pieces) > MOST_PIECES:
        raise EdgefnError(
            f"the create options have {len(text)} characters, {len(pieces)} pieces of {LONGEST_PIECE}; edgeAgent takes "
            f"{MOST_PIECES}; fewer binds and devices would be right"
        )
    return {f"{NAME}{number:02}" if number else NAME: piece for number, piece in enumerate(pieces)}
