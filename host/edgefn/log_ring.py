"""The last log lines, in memory, for those who are far away."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from edgefn.logs import JsonFormatter

KEPT = 1000
LONGEST = 4000
"""Characters of a message, and of a traceback, that are kept."""


@dataclass(frozen=True, slots=True)
class Line:
    """One log line as JSON, and what it can be chosen by."""

    level: int
    function: str
    invocation: str
    text: str


class LogRing(logging.Handler):
    """Keeps the newest lines of the process."""

    def __init__(self, count: int = KEPT) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self._kept: deque[Line | logging.LogRecord] = deque(maxlen=count)

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a record as it is, where nothing of it can change any more: few lines are ever asked for."""
        kept = record if not record.args and not record.exc_info else self._line(record)
        if kept is not None:
            self._kept.append(kept)

    def _line(self, record: logging.LogRecord) -> Line | None:
        try:
            text = self.format(record)
        except Exception:  # a line that can not be formatted is its author's mistake, which the host's handler tells
            return None
        if len(text) > LONGEST:
            text = _cut(text)
        function = getattr(record, "function", "") or record.name.partition("Function.")[2]
        return Line(record.levelno, function, getattr(record, "invocation_id", ""), text)

    def newest(self, level: int = 0, function: str = "", invocation: str = "") -> Iterator[Line]:
        """The lines from a level on, of one function and of one invocation where these are given; newest first."""
        for kept in reversed(self._kept.copy()):
            line = kept if isinstance(kept, Line) else self._line(kept)
            if (
                line is not None
                and line.level >= level
                and (not function or line.function.lower() == function.lower())
                and (not invocation or line.invocation == invocation)
            ):
                yield line


def _cut(text: str) -> str:
    """A JSON line whose texts are not too long."""
    known = orjson.loads(text)
    return orjson.dumps({name: str(value)[:LONGEST] for name, value in known.items()}).decode()
