"""A function as the host sees it: its call, its bindings, and the places where they are declared."""

from __future__ import annotations

import datetime
import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from edgefn.errors import Place

if TYPE_CHECKING:
    from edgefn.settings import Settings

NOWHERE = Place("")
TIME_SPAN = re.compile(r"^(?:(\d+)\.)?(\d+):([0-5]?\d):([0-5]?\d(?:\.\d+)?)$")


def seconds(value: Any) -> Any:
    """Seconds from ``HH:MM:SS``, ``d.HH:MM:SS``, a number, a number as text, or a timedelta.

    The first two are .NET's constant TimeSpan format, which host.json and function.json use.
    """
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, str) and (match := TIME_SPAN.match(value.strip())):
        days, hours, minutes, rest = match.groups()
        return int(days or 0) * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(rest)
    if isinstance(value, str) and not _is_number(value):
        raise ValueError("should be seconds or HH:MM:SS")
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


Seconds = Annotated[
    float,
    BeforeValidator(seconds, json_schema_input_type=float | Annotated[str, Field(pattern=TIME_SPAN.pattern)]),
]


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


Word = BeforeValidator(_lower)
"""For options that are one of some words, written in any case."""

SPELLED = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0", ""), False),
}


def _truth(value: Any) -> Any:
    return SPELLED.get(value.strip().lower(), value) if isinstance(value, str) else value


Truth = BeforeValidator(_truth)
"""For options that are true or false: settings spell that in many ways, and an empty one is false."""


SOMETHING = {"type": "string", "pattern": r"^(?!\s*(?:[nN][oO][nN][eE]|[nN][uU][lL][lL])?\s*$)"}
"""A JSON schema of texts that count as set."""


def named(what: str) -> BeforeValidator:
    """For options that have to name something, such as ``what``.

    Empty, ``none`` and ``null``, in any case, are how a setting is left out where it can not be taken away: they count
    as not set.
    """

    def check(value: Any) -> Any:
        if value is None or (isinstance(value, str) and value.strip().lower() in ("", "none", "null")):
            raise ValueError(f"names nothing: empty and none count as not set; give {what}")
        return value

    return BeforeValidator(check, json_schema_input_type=Annotated[str, WithJsonSchema(SOMETHING)])


class Options(BaseModel):
    """The options of one binding type; camelCase in JSON, snake_case in Python, unknown ones refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    @classmethod
    def names(cls) -> list[str]:
        """The options as they are written in JSON, those that several types have last."""
        own = sorted(cls.model_fields, key=lambda name: name not in cls.__annotations__)
        return [cls.model_fields[name].alias or name for name in own]


class Direction(enum.StrEnum):
    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class Binding:
    """A declared trigger, input or output of a function: one JSON object of function.json, checked."""

    function: str
    """The name of the function that it belongs to."""
    name: str
    """The parameter, or ``$return``."""
    type: str
    direction: Direction
    declared: Mapping[str, Any]
    """The JSON object as declared, before ``%NAME%`` was resolved."""
    options: Options
    """The same, resolved and validated by the plugin that claims the type."""
    annotation: Any = None
    """The parameter's annotation; for an output the T of ``Out[T]``; None when there is none."""
    is_async: bool = False
    """Whether its function is a coroutine function."""
    place: Place = NOWHERE
    """Where it is declared."""
    settings: Settings | None = field(default=None, compare=False, repr=False)
    """The settings that it was resolved with, for options that name one: those of the app, overlaid by the twin."""

    def where(self) -> str:
        """How errors name the binding."""
        return f"{self.place}: {self.type} '{self.name}' of function '{self.function}'"

    def json(self) -> dict[str, Any]:
        """The JSON object, as ``edgefn list --json`` shows it."""
        return dict(self.declared)


class RetryStrategy(enum.StrEnum):
    """How long to wait before the next attempt."""

    FIXED_DELAY = "fixedDelay"
    EXPONENTIAL_BACKOFF = "exponentialBackoff"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and after how many seconds, an event is tried again whose invocation failed."""

    strategy: RetryStrategy
    max_retry_count: int
    """Attempts after the first one; -1 for ever."""
    delay_interval: float | None = None
    """Seconds between two attempts; with ``fixedDelay``."""
    minimum_interval: float | None = None
    """Seconds before the second attempt; with ``exponentialBackoff``."""
    maximum_interval: float | None = None
    """Seconds that no wait exceeds; with ``exponentialBackoff``."""


@dataclass(slots=True)
class Function:
    """What a user declared: call, trigger, inputs and outputs. One with ``errors`` is never run."""

    name: str
    call: Callable[..., Any] | None
    place: Place
    bindings: list[Binding] = field(default_factory=list)
    trigger: Binding | None = None
    trigger_type: str = ""
    """The type of its trigger as declared, also where that is wrong and ``trigger`` therefore None."""
    is_async: bool = False
    wants_context: bool = False
    timeout: float | None = None
    """Seconds that an invocation may take; None for the app's ``functionTimeout``."""
    retry: RetryPolicy | None = None
    """The function's own policy, else that of host.json."""
    disabled: bool = False
    may_return: bool = True
    """Whether it may return a value: to ``$return``, or to be let go, as Azure Functions does with generic bindings."""
    errors: list[str] = field(default_factory=list)

    @property
    def inputs(self) -> list[Binding]:
        return [b for b in self.bindings if b.direction is Direction.IN and b is not self.trigger]

    @property
    def outputs(self) -> list[Binding]:
        return [b for b in self.bindings if b.direction is Direction.OUT]
