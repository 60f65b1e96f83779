"""Create options: whether they are JSON in the right pieces, and what they give a container."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgefn.deploy.check.findings import Finding, Look
from edgefn.deploy.create_options import LONGEST_PIECE, MOST_PIECES, NAME, PIECE
from edgefn.errors import listing
from edgefn.redaction import is_secret

OF_HOST = (
    "Binds CapAdd CapDrop Devices GroupAdd IpcMode LogConfig Memory Mounts NetworkMode PidMode PortBindings Privileged "
    "ReadonlyRootfs RestartPolicy Runtime SecurityOpt Tmpfs"
).split()
"""Members of HostConfig that are easily put beside it."""
BIND = re.compile(r"[^:]+:/[^:]*(:[\w,]+)?")
KEEPS = ("Binds", "Mounts", "VolumesFrom")


@dataclass(frozen=True, slots=True)
class Container:
    """What a container is given."""

    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def host(self) -> Mapping[str, Any]:
        found = self.options.get("HostConfig")
        return found if isinstance(found, Mapping) else {}

    @property
    def is_privileged(self) -> bool:
        return self.host.get("Privileged") is True

    @property
    def targets(self) -> list[str]:
        """The folders of the container that are of the box."""
        binds = [str(bind).split(":")[1] for bind in _list(self.host.get("Binds")) if ":" in str(bind)]
        mounts = [str(mount.get("Target")) for mount in _list(self.host.get("Mounts")) if isinstance(mount, Mapping)]
        return [*binds, *mounts]

    @property
    def ports(self) -> list[str]:
        """The ports of the box."""
        bound = self.host.get("PortBindings")
        entries = [entry for value in (bound.values() if isinstance(bound, Mapping) else ()) for entry in _list(value)]
        return [str(entry["HostPort"]) for entry in entries if isinstance(entry, Mapping) and "HostPort" in entry]

    def has_device(self, path: str) -> bool:
        """Whether it sees a device file, or the folder that has it."""
        given = [device for device in _list(self.host.get("Devices")) if isinstance(device, Mapping)]
        seen = [str(device.get("PathInContainer") or device.get("PathOnHost")).rstrip("/") for device in given]
        return self.is_privileged or any(path == each or path.startswith(f"{each}/") for each in seen if each)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def read_container(look: Look, module: str, settings: Mapping[str, Any]) -> tuple[Container, list[Finding]]:
    """The container of a module, and what is wrong with the text that says it."""
    where = look.at(module, "settings")
    pieces = {key: value for key, value in settings.items() if PIECE.match(key)}
    findings = [look.error(where, f"module '{module}': {text}") for text in _faults_of_pieces(pieces)]
    if findings or not pieces:
        return Container(), findings
    if len(pieces) == 1 and isinstance(whole := next(iter(pieces.values())), Mapping):
        options: Any = whole
    else:
        at = look.at(module, "settings", next(iter(pieces)))
        text = "".join(str(pieces[key]) for key in sorted(pieces, key=str.lower))
        try:
            options = json.loads(text) if text.strip() else {}
        except json.JSONDecodeError as error:
            around = text[max(0, error.pos - 20) : error.pos + 20]
            said = f"createOptions are no JSON: {error.msg} at character {error.pos + 1}, near '{around}'"
            return Container(), [look.error(at, f"module '{module}': {said}")]
    if not isinstance(options, Mapping):
        said = f"createOptions should be an object, found {type(options).__name__}"
        return Container(), [look.error(where, f"module '{module}': {said}")]
    container = Container(options)
    return container, [*_faults(look, module, where, container)]


def _faults_of_pieces(pieces: Mapping[str, Any]) -> Iterator[str]:
    """What edgeAgent says of the names and lengths of the pieces."""
    numbers = {str(match[1]): key for key in pieces if (match := PIECE.match(key))}
    if "" not in numbers:
        yield f"{listing(pieces)} without {NAME}: the first piece has no number"
    wrong = [key for number, key in numbers.items() if number and (len(number) != 2 or number == "00")]
    if wrong:
        yield f"{listing(wrong)}: pieces are numbered {NAME}01, {NAME}02, ... to {NAME}{MOST_PIECES - 1}"
    elif gaps := [f"{NAME}{n:02}" for n in range(1, len(numbers)) if f"{n:02}" not in numbers]:
        yield f"a gap: {gaps[0]} is missing before {NAME}{max(numbers)}; edgeAgent refuses that"
    for key, value in pieces.items():
        if isinstance(value, Mapping) and len(pieces) == 1:
            continue  # as templates have it
        if not isinstance(value, str):
            yield f"{key} should be a text of JSON, found {type(value).__name__}"
        elif len(value) > LONGEST_PIECE:
            yield (
                f"{key} has {len(value)} characters; IoT Hub takes {LONGEST_PIECE}: the rest belongs into {NAME}01, ..."
            )


def _faults(look: Look, module: str, where: str, container: Container) -> Iterator[Finding]:
    name, host = f"module '{module}'", container.options.get("HostConfig", {})
    if misplaced := [key for key in container.options if key in OF_HOST]:
        yield look.error(where, f"{name}: {listing(misplaced)} does nothing there; it belongs into HostConfig")
    if not isinstance(host, Mapping):
        yield look.error(where, f"{name}: HostConfig should be an object, found {type(host).__name__}")
        return
    if container.is_privileged:
        text = "is privileged, so it may do anything on the box; Devices, GroupAdd and CapAdd give what it needs"
        yield look.warning(where, f"{name} {text}")
    for bind in _list(host.get("Binds")):
        if not isinstance(bind, str) or not BIND.fullmatch(bind):
            yield look.error(where, f"{name}: Binds: {bind!r} should be a text SOURCE:/TARGET or SOURCE:/TARGET:ro")
    for device in _list(host.get("Devices")):
        if not isinstance(device, Mapping) or not device.get("PathOnHost"):
            yield look.error(where, f"{name}: Devices: {device!r} should be an object with PathOnHost, PathInContainer")
    for entry in _list(container.options.get("Env")):
        variable, _, value = str(entry).partition("=")
        if is_secret(variable, value):
            yield look.error(where, f"{name}: {variable} in Env holds a secret in clear; put ${variable} in its place")


def keeps_nothing(container: Container) -> bool:
    """Whether all that a container writes is gone with it."""
    return not any(container.host.get(key) for key in KEEPS)
