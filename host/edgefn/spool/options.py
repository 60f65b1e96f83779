"""``extensions.spool`` of host.json: how safe, and how much."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from edgefn.errors import SettingError, nearest
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


def spool_options(config: HostConfig, where: str) -> SpoolOptions:
    """What host.json says; raises SettingError that names the option."""
    try:
        return SpoolOptions.model_validate(dict(config.extension("spool")))
    except ValidationError as error:
        fault = error.errors()[0]
        known = _known(fault["loc"][:-1])
        raise SettingError(
            f"{where}: extensions.spool.{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            f"{nearest(str(fault['loc'][-1]), known)}, found {fault['input']!r}; options: {', '.join(known)}"
        ) from None


def _known(path: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = SpoolOptions
    for part in path:
        field = next((info for name, info in model.model_fields.items() if part in (name, info.alias)), None)
        if field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            model = field.annotation
    return [info.alias or name for name, info in model.model_fields.items()]
