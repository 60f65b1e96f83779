"""What the log says of each invocation: that it began, that it succeeded, what it failed with."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections import Counter
from contextlib import suppress
from typing import Any

from edgefn.contracts import Event, Outcome
from edgefn.errors import EdgefnError
from edgefn.logs import Invocation, user_frames, user_traceback

log = logging.getLogger("edgefn.host")

DIFFERENT = 100
"""Errors that are kept apart, to tell which are repetitions."""


class InvocationLines:
    """The log lines of one function's invocations; those of success are written at ``level``."""

    def __init__(self, function: str, level: int) -> None:
        self._name = function
        self._level = level
        self._log = logging.getLogger(f"Function.{function}")
        self._lines = HostLines(self._log)
        self._told: Counter[tuple[str, object]] = Counter()

    def are_written(self) -> bool:
        """Whether the lines of invocations that succeed are; those of others always are offered to the log."""
        return self._log.isEnabledFor(self._level)

    def began(self, event: Event, invocation: Invocation) -> None:
        text = f"Executing 'Functions.{self._name}' (Reason='{event.reason}', Id={invocation.id})"
        self._lines.write(self._level, text, invocation)

    def succeeded(self, outcome: Outcome, invocation: Invocation) -> None:
        duration = round(outcome.duration * 1000)
        text = f"Executed 'Functions.{self._name}' (Succeeded, Id={invocation.id}, Duration={duration}ms)"
        self._lines.write(self._level, text, invocation, is_clean=True)

    def failed(self, error: BaseException, text: str, outcome: Outcome, invocation: Invocation) -> None:
        """``text`` is what is told of the error; of one that repeats, the 1st, 2nd, 4th, 8th, ... time."""
        if (times := self._repeats(error)) & (times - 1):
            return
        again = f" (there: {times} times by now)" if times > 2 else ""
        duration = round(outcome.duration * 1000)
        head = f"Executed 'Functions.{self._name}' (Failed, Id={invocation.id}, Duration={duration}ms){again}"
        self.error(f"{head}\n{text}", invocation)

    def error(self, text: str, invocation: Invocation) -> None:
        if self._log.isEnabledFor(logging.ERROR):
            self._lines.write(logging.ERROR, text, invocation)

    def _repeats(self, error: BaseException) -> int:
        """How often a function with many events has failed like this, at this line; 1 for all others."""
        if self._level >= logging.INFO:
            return 1
        if len(self._told) > DIFFERENT:
            self._told.clear()
        place = (type(error).__name__, _lines(error) or str(error))
        self._told[place] += 1
        return self._told[place]


def _lines(error: BaseException) -> tuple[tuple[str, int], ...]:
    """The lines by which the error came; its text may have a number in it, and be another one each time."""
    frames = user_frames(error.__traceback__)
    return tuple((frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(frames))


def told(error: BaseException) -> str:
    """An error for the log: our own as its text, the user's as Azure Functions writes it, with the user's traceback."""
    if isinstance(error, EdgefnError):
        return str(error)
    stack = user_traceback(error)
    return f"Result: Failure\nException: {type(error).__name__}: {error}\nStack: {stack}"


class HostLines:
    """The lines that the host itself writes to a function's logger for each invocation, on the event loop.

    As ``Logger.log``, for less: it does not look for the caller, and each record is a copy of the first of its level,
    but for what is new in it. Where the app has a factory of its own for records, that makes them.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._factory: Any = None
        self._first: dict[int, dict[str, Any]] = {}
        self._failed = 0

    def write(self, level: int, message: str, invocation: Invocation, *, is_clean: bool = False) -> None:
        """``is_clean`` promises that nothing in the message can be a secret.

        A line that can not be written costs nothing else: filters, handlers and factories of records are the app's.
        """
        try:
            self._write(level, message, invocation, is_clean=is_clean)
        except Exception as error:  # code of the app's own
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        """The 1st, 2nd, 4th, 8th, ... time, where that can be written."""
        self._failed += 1
        if self._failed.bit_count() == 1:
            text = "Logger '%s': a line can not be written: %s: %s (%d times by now)"
            with suppress(Exception):
                log.error(text, self._logger.name, type(error).__name__, error, self._failed)

    def _write(self, level: int, message: str, invocation: Invocation, *, is_clean: bool) -> None:
        if self._factory is not logging.getLogRecordFactory():
            self._factory, self._first = logging.getLogRecordFactory(), {}
        first = self._first.get(level)
        if first is None:
            record = self._logger.makeRecord(self._logger.name, level, "", 0, message, (), None)
            if getattr(self._factory, "plain", None) is self._factory:
                self._first[level] = {**vars(record), "began": record.created - record.relativeCreated / 1000}
        else:
            record = logging.LogRecord.__new__(logging.LogRecord)
            record.__dict__ = made = first.copy()
            made["msg"] = message
            made["created"] = now = time.time()
            made["msecs"] = int(now % 1 * 1000) + 0.0
            made["relativeCreated"] = (now - made.pop("began")) * 1000
            if "taskName" in made:
                made["taskName"] = _task_name()
        record.invocation_id, record.function = invocation.id, invocation.function
        record.clean = message if is_clean else ""
        self._logger.handle(record)


def _task_name() -> str | None:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop runs
        return None
    return task.get_name() if task else None
