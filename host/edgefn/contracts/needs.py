"""What a binding needs of the machine and of edgeHub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from edgefn.contracts.spine import NOTHING


class Asset(NamedTuple):
    """A file or folder that a binding reads."""

    declared: str
    """As the option has it: in a container it is looked for under this name, from the app root on."""
    found: Path | None
    """Where it is on this machine; None where it is not."""


class Copies(NamedTuple):
    """Whether several hosts of one app, replicas, may run a binding side by side."""

    why_one: str = ""
    """Why only one host may; empty where each may."""
    shares: bool = False
    """Whether each gets a part of the messages, so that more hosts work off more of them."""


class LiveSetting(NamedTuple):
    """A setting that an operator may change while the host runs."""

    default: Any
    """A JSON value; None where there is none."""
    schema: Mapping[str, Any]
    """A JSON schema of the values that fit."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a binding needs of the machine and of edgeHub, for the manifest of a deployment."""

    devices: tuple[str, ...] = ()
    """Device files, by their names on Linux."""
    groups: tuple[str, ...] = ()
    """The groups whose members may use them."""
    binds: tuple[str, ...] = ()
    """Folders of the machine that a driver has its files in; in the container they have the same name."""
    reads: tuple[Asset, ...] = ()
    writes: tuple[str, ...] = ()
    """Folders to write to, as declared."""
    environment: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    """Variables, where the settings do not have them."""
    variables: tuple[str, ...] = ()
    """Names of settings that are read where no option names them, as ``%NAME%`` does."""
    settings: Mapping[str, LiveSetting] = field(default_factory=lambda: NOTHING)
    """Settings by name that an operator may change while the host runs."""
    ports: tuple[int, ...] = ()
    """Ports of the container that something outside of the machine's modules calls."""
    inputs: tuple[str, ...] = ()
    """Inputs of the module that feed it; ``*`` for all."""
    outputs: tuple[str, ...] = ()
    """Outputs of the module that it writes to; empty text for messages without output."""
    extras: tuple[str, ...] = ()
    """The extras of the package edgefn without which it does not run."""
    notes: tuple[str, ...] = ()
    """What somebody who deploys it should know."""

    @classmethod
    def of_all(cls, many: Iterable[Needs]) -> Needs:
        """All that several need, each thing once, in their order."""
        several = list(many)
        values: dict[str, Any] = {}
        lists = "devices groups binds reads writes ports variables inputs outputs extras notes"
        for name in lists.split():
            values[name] = tuple(dict.fromkeys(item for needs in several for item in getattr(needs, name)))
        for name in ("environment", "settings"):
            values[name] = {key: item for needs in reversed(several) for key, item in getattr(needs, name).items()}
        return cls(**values)
