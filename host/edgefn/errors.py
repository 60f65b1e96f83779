"""Errors that a user can mend, and the place where each one lies.

The text of every error here has one form: ``<where>: <what is wrong>; <what would be right>``. The host prints it
as it is; a traceback of ours is never part of it, and no secret is.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from edgefn.redaction import redact


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file of the app; ``line`` counts from 1, 0 when the file as a whole is meant."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class EdgefnError(Exception):
    """A mistake in an app, its settings or its surroundings; its text says where, what, and what would be right.

    Since it may quote a value of the user's, its text is without secrets, wherever it goes.
    """

    def __str__(self) -> str:
        return redact(super().__str__())


class BindingError(EdgefnError):
    """A trigger, input or output that is declared wrongly, or a parameter that does not fit it."""


class SettingError(EdgefnError):
    """A setting that is missing, or has a value that can not be used."""


class ModelError(EdgefnError):
    """A model that can not be opened, or an input that does not fit it."""


class SourceError(EdgefnError):
    """A video source that can not be opened as declared."""


class HubError(EdgefnError):
    """A message that the hub did not take, or a hub that can not be reached."""


class NotConnected(HubError):
    """The hub can not be reached: the message never left."""


class ConnectionLost(HubError):
    """The connection ended before the acknowledgement: the message may have arrived, or not."""


class AckTimeout(HubError):
    """No acknowledgement in time: the message may have arrived, or not."""


class TooLarge(HubError):
    """A message that the hub never takes, because of its size."""


class Refused(HubError):
    """A message that is not taken as it is, whenever it is sent: its topic is not allowed, or its form is wrong."""


class SpoolError(HubError):
    """A message that can not be stored: no room, no disk, or a store that can not be used."""


class FunctionTimeout(EdgefnError):
    """An invocation that ran longer than its function's time-out."""


class UnfitEvent(EdgefnError):
    """An event whose value can not become the parameter that it is for."""


class StillRunning(EdgefnError):
    """An event that was refused, because an invocation that timed out still holds its thread."""


def why(error: BaseException) -> str:
    """What an error says: of one of the system its words alone, since the path is said already."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


LONGEST_NAME = 1000
"""Characters; what is longer, as strangers may send it, is like no name, and takes seconds to be compared."""


def nearest(name: str, known: Iterable[str], least: float = 0.6) -> str:
    """The words ``; did you mean 'x'?`` for the known name most like ``name``, or nothing when none is like it.

    ``least`` is how much alike they have to be: 1.0 for equal names.
    """
    if len(name) > LONGEST_NAME:
        return ""
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=least)
    return f"; did you mean '{match[0]}'?" if match else ""


def listing(names: Iterable[str]) -> str:
    """Names as a sentence part: ``a, b, c``, or ``none``."""
    return ", ".join(names) or "none"
