"""``extensions.spool`` of host.json: how safe, and how much."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from edgefn.extensions import read_extension
from edgefn.function import Seconds
from edgefn.settings import HostConfig

MIB = 1024 * 1024
DAY = 86400.0


def _snake(value: object) -> object:
    """``dropOldest`` and ``drop_oldest`` are the same word."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in value.strip()) if isinstance(value, str) else value


WhenFull = Annotated[Literal["block", "drop_oldest", "drop_newest", "dead_letter"], BeforeValidator(_snake)]
"""What becomes of a message for which there is no room: it waits, the oldest of its output goes, it goes itself, or it
becomes a dead letter."""


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class OutboxOptions(_Part):
    """Bounds of what waits for one destination: the hub, or a broker."""

    max_bytes: int = Field(default=256 * MIB, ge=1024)
    max_messages: int = Field(default=100_000, ge=1)
    max_age: Seconds = Field(default=7 * DAY, gt=0)
    when_full: WhenFull = "drop_oldest"


class InboxOptions(_Part):
    """Bounds of what waits for functions; beyond them inputs stay with the hub."""

    max_bytes: int = Field(default=64 * MIB, ge=1024)
    max_messages: int = Field(default=10_000, ge=1)
    max_crashes: int = Field(default=5, ge=1)
    """Ends of the process with the same message in hand, after which it is a dead letter."""


class DeadLetterOptions(_Part):
    """Bounds of what failed for good; beyond them the oldest goes, and is counted."""

    max_bytes: int = Field(default=64 * MIB, ge=1024)
    max_messages: int = Field(default=10_000, ge=1)
    max_age: Seconds = Field(default=30 * DAY, gt=0)


class SpoolOptions(_Part):
    """``durability`` is ``process`` (survives a kill, as edgeHub's own store does) or ``power`` (and a power cut)."""

    durability: Literal["process", "power"] = "process"
    outbox: OutboxOptions = OutboxOptions()
    inbox: InboxOptions = InboxOptions()
    dead_letters: DeadLetterOptions = DeadLetterOptions()


def spool_options(config: HostConfig, root: Path) -> SpoolOptions:
    """What host.json says; raises SettingError that names each option that is wrong."""
    return read_extension(SpoolOptions, root, config, "spool")
