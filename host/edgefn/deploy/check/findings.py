"""One thing that is wrong with a manifest, and the manifest as all checks look at it."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from edgefn.standin.manifest import AGENT, HUB, ManifestFile, Section


class Level(enum.StrEnum):
    """Whether it will not work, or works and is hardly meant."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """``text`` has the form of all our errors: where, what is wrong, what would be right."""

    level: Level
    text: str


def errors_of(error: Exception) -> list[Finding]:
    """A finding for each line of an error."""
    return [Finding(Level.ERROR, line) for line in str(error).splitlines()]


class Look:
    """A manifest that can be read, section by section."""

    def __init__(self, file: ManifestFile, sections: Mapping[str, Section]) -> None:
        self.file = file
        self.sections = sections
        self.agent = sections.get(AGENT, Section({}))
        self.hub = sections.get(HUB, Section({}))

    @property
    def is_layered(self) -> bool:
        """Whether it is a layer over a deployment that has the runtime."""
        return self.agent.layered or self.hub.layered or AGENT not in self.sections

    @cached_property
    def modules(self) -> dict[str, Any]:
        """The modules of the agent, as they are declared."""
        declared = self.agent.desired.get("modules", {})
        return declared if isinstance(declared, dict) else {}

    @property
    def twins(self) -> dict[str, Mapping[str, Any]]:
        """The desired properties that it gives to modules."""
        return {name: section.desired for name, section in self.sections.items() if name not in (AGENT, HUB)}

    def at(self, module: str, *steps: str) -> str:
        """The place of something in a module of the agent."""
        return self.file.at(self.file.place(self.agent, "modules", module, *steps))

    def in_hub(self, *steps: str) -> str:
        return self.file.at(self.file.place(self.hub, *steps))

    def error(self, where: str, text: str) -> Finding:
        return Finding(Level.ERROR, f"{where}: {text}")

    def warning(self, where: str, text: str) -> Finding:
        return Finding(Level.WARNING, f"{where}: {text}")


def objects(value: Any) -> Iterator[tuple[str, Any]]:
    """The members of what should be an object."""
    if isinstance(value, Mapping):
        yield from value.items()
