"""Names made of a pattern: ``{function}-{timestamp}.jpg`` for a file, ``plant/{function}`` for a topic.

What stands in braces is taken from the event that the function ran for; a format may follow, as in Python:
``{frame_id:08}``, ``{timestamp:%Y-%m-%d}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath
from string import Formatter
from typing import Any

from edgefn.contracts import EdgeMessage, Event, VideoFrame
from edgefn.errors import EdgefnError, listing, nearest
from edgefn.ids import new_id
from edgefn.logs import CURRENT

STAMP = "%Y%m%dT%H%M%S.%fZ"
"""How a timestamp is written without a format of its own: sorted by name is sorted by time, and legal everywhere."""


class Moment(datetime):
    """A time that is written as ``STAMP`` where no format says otherwise."""

    def __format__(self, form: str) -> str:
        return super().__format__(form or STAMP)


def _value(event: Event) -> Any:
    """What the event is about; the first of several."""
    return event.value[0] if isinstance(event.value, list) and event.value else event.value


def _id(event: Event) -> Any:
    invocation = CURRENT.get()
    return new_id() if invocation is None else invocation.id


def _timestamp(event: Event) -> Any:
    value = _value(event)
    at = value.timestamp if isinstance(value, VideoFrame) else datetime.now(UTC)
    return Moment(*at.timetuple()[:6], at.microsecond, tzinfo=at.tzinfo)


def _frame_id(event: Event) -> Any:
    value = _value(event)
    return value.id if isinstance(value, VideoFrame) else None


def _name(event: Event) -> Any:
    value = _value(event)
    name = event.metadata.get("name") or (value.item if isinstance(value, VideoFrame) else "")
    return PurePath(name).stem or None


def _source(event: Event) -> Any:
    value = _value(event)
    return PurePath(value.source).name if isinstance(value, VideoFrame) else None


def _topic(event: Event) -> Any:
    value = _value(event)
    return (value.topic if isinstance(value, EdgeMessage) else "") or None


FIELDS: Mapping[str, tuple[Callable[[Event], Any], str]] = {
    "function": (lambda event: None, ""),
    "id": (_id, r"[0-9a-f-]{36}"),
    "timestamp": (_timestamp, r"\d{8}T\d{6}\.\d{6}Z"),
    "frame_id": (_frame_id, r"-?\d+"),
    "name": (_name, r".+"),
    "source": (_source, r".+"),
    "topic": (_topic, r".+"),
}
"""What may stand in braces: how it is had of an event, and what it looks like where no format says otherwise."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A checked pattern; ``parts`` are literal texts, each with the field and its format that follow it, if any."""

    text: str
    parts: tuple[tuple[str, str, str], ...]

    @property
    def literals(self) -> Iterator[str]:
        return (literal for literal, _, _ in self.parts)

    def made_for(self, event: Event, function: str, clean: Callable[[str], str]) -> str:
        """The name for an event, with each value as ``clean`` gives it; raises EdgefnError where a value is missing."""
        return "".join(
            literal + (clean(self._value(name, form, event, function)) if name else "")
            for literal, name, form in self.parts
        )

    def _value(self, name: str, form: str, event: Event, function: str) -> str:
        value = function if name == "function" else FIELDS[name][0](event)
        if value is None:
            raise EdgefnError(f"'{self.text}': this event has no {name}; leave {{{name}}} out")
        try:
            return format(value, form)
        except ValueError as error:
            raise EdgefnError(f"'{self.text}': {{{name}:{form}}} can not be written: {error}") from None

    def made_here(self, function: str) -> str:
        """What all names look like that this pattern makes for a function: a regular expression."""
        return "".join(re.escape(literal) + self._looks(name, form, function) for literal, name, form in self.parts)

    def _looks(self, name: str, form: str, function: str) -> str:
        if name == "function":
            return re.escape(function)
        return "" if not name else r".+" if form else FIELDS[name][1]


def pattern(text: str) -> Pattern:
    """Reads a pattern; raises ValueError for braces that do not match, and for names that are not known."""
    try:
        parts = tuple(
            (literal, name or "", form or "")
            for literal, name, form, _ in _parsed(text)
        )  # fmt: skip
    except ValueError as error:
        raise ValueError(f"'{text}': {error}; {{{{ and }}}} are braces that stand for themselves") from None
    for _, name, _ in parts:
        if name and name not in FIELDS:
            raise ValueError(f"'{text}': {{{name}}} is not known{nearest(name, FIELDS)}; known: {listing(FIELDS)}")
    return Pattern(text, parts)


def _parsed(text: str) -> Iterator[tuple[str, str | None, str | None, str | None]]:
    for literal, name, form, conversion in Formatter().parse(text):
        if name == "":
            raise ValueError("{} names nothing")
        yield literal, name, form, conversion
