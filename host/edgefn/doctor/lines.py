"""What a check says: one line, with its state, what was found, and what to do about it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from edgefn.redaction import redact

MEND = "mend it, and ask again"


class State(enum.StrEnum):
    OK = "ok"
    NOTE = "note"
    """It runs; somebody should know this, or do something before long."""
    WRONG = "wrong"
    """Something does not run as declared."""


@dataclass(frozen=True, slots=True)
class Line:
    """One result of a check; its texts are without secrets and line breaks."""

    state: State
    check: str
    """What was looked at, in a word or two."""
    found: str
    remedy: str = ""
    """What to do; never empty unless the state is ok."""


def ok(check: str, found: str) -> Line:
    return Line(State.OK, check, _shown(found))


def note(check: str, found: str, remedy: str) -> Line:
    return Line(State.NOTE, check, _shown(found), _shown(remedy))


def wrong(check: str, found: str, remedy: str) -> Line:
    return Line(State.WRONG, check, _shown(found), _shown(remedy))


def of_error(check: str, error: object, state: State = State.WRONG, otherwise: str = MEND) -> Line:
    """An error of ours, ``<where>: <what is wrong>; <what would be right>``, as a line.

    ``otherwise`` is what to do when the error does not say it.
    """
    found, _, remedy = str(error).partition("; ")
    return Line(state, check, _shown(found), _shown(remedy) or otherwise)


def _shown(text: str) -> str:
    return " ".join(redact(text).split())
