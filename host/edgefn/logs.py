"""Log lines: for people, or as JSON; each with the invocation that it belongs to, also from threads of its own."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import linecache
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TextIO

import orjson

from edgefn.errors import SettingError, listing

PACKAGE = str(Path(__file__).parent)


@dataclass(slots=True)
class Invocation:
    """Which invocation runs: what its log lines say."""

    id: str
    function: str
    retry_count: int = 0
    """Attempts that failed before this one."""
    error: BaseException | None = None
    """What the attempt before this one failed with."""


CURRENT: contextvars.ContextVar[Invocation | None] = contextvars.ContextVar("edgefn_invocation", default=None)
THREAD_LOCAL = threading.local()
"""``context.thread_local_storage`` of Azure Functions: a thread that sets its ``invocation_id`` has it in its lines."""


def _stamp(record: logging.LogRecord) -> logging.LogRecord:
    invocation = CURRENT.get()
    record.invocation_id = invocation.id if invocation else getattr(THREAD_LOCAL, "invocation_id", "")
    record.function = invocation.function if invocation else ""
    return record


class ConsoleFormatter(logging.Formatter):
    """``[2026-09-01T12:00:00.123Z] message``, as ``func start`` prints it, with level and invocation."""

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        level = "" if record.levelno == logging.INFO else f"{record.levelname} "
        identity = getattr(record, "invocation_id", "")
        origin = (
            f"{getattr(record, 'function', '')}({identity}) " if identity and identity not in record.message else ""
        )
        line = f"[{utc(record.created)}] {level}{origin}{record.message}"
        return f"{line}\n{self.formatException(record.exc_info).rstrip()}" if record.exc_info else line

    def formatException(self, ei: Any) -> str:  # noqa: N802  logging's name
        return user_traceback(ei[1])


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, function, invocation_id, exception."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if identity := getattr(record, "invocation_id", ""):
            line |= {"function": getattr(record, "function", ""), "invocation_id": identity}
        if record.exc_info and record.exc_info[1]:
            line["exception"] = user_traceback(record.exc_info[1])
        return orjson.dumps(line, default=str).decode()


@functools.lru_cache(maxsize=4)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def utc(timestamp: float) -> str:
    """Seconds since the epoch as ``2026-09-01T12:00:00.123Z``."""
    return f"{_second(int(timestamp))}.{int(timestamp % 1 * 1000):03d}Z"


def user_traceback(error: BaseException) -> str:
    """The traceback of an error without the frames of edgefn that lead to the user's code."""
    return "".join(traceback.format_exception(type(error), error, user_frames(error.__traceback__))).rstrip()


def user_frames(frames: TracebackType | None) -> TracebackType | None:
    """The part of a traceback that begins in the user's code; all of it when it never gets there."""
    inner = frames
    while inner is not None and inner.tb_frame.f_code.co_filename.startswith(PACKAGE):
        inner = inner.tb_next
    return inner


class _OwnWarnings(logging.Filter):
    """Leaves out the warning that azure.functions writes for every app without an HTTP function."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("Auth level is not applied to non http function app")


class UserLevel(logging.Filter):
    """Leaves out the lines of the functions' own loggers below a level; those of the host have their own."""

    HOST = ("edgefn", "Function.", "azure", "uvicorn")

    def __init__(self, name: str) -> None:
        super().__init__()
        levels = logging.getLevelNamesMapping()
        if name.upper() not in levels:
            raise SettingError(f"--user-log-level {name}: should be one of {listing(sorted(levels)).lower()}")
        self._least = levels[name.upper()]

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= self._least or record.name.startswith(self.HOST)


@contextlib.contextmanager
def logging_to(stream: TextIO, *, as_json: bool = False, level: int = logging.INFO) -> Iterator[logging.Handler]:
    """Sends all log lines of the process to ``stream`` while it lasts, then puts everything back."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if as_json else ConsoleFormatter())
    handler.addFilter(_OwnWarnings())
    root, factory = logging.getLogger(), logging.getLogRecordFactory()
    before = root.handlers[:], root.level
    root.handlers[:], root.level = [handler], level
    root.setLevel(level)
    with invocations_in_log_lines():
        try:
            yield handler
        finally:
            root.handlers[:] = before[0]
            root.setLevel(before[1])
            logging.setLogRecordFactory(factory)


@contextlib.contextmanager
def invocations_in_log_lines() -> Iterator[None]:
    """Stamps each log record with the invocation it belongs to, and carries that into threads that user code starts.

    Python hands context variables to tasks, not to threads: so for as long as this lasts, a thread that is started, and
    a call that is given to a ThreadPoolExecutor, inside an invocation run in a copy of its context.
    """
    factory, start, submit = logging.getLogRecordFactory(), threading.Thread.start, ThreadPoolExecutor.submit

    def stamped(*args: Any, **keywords: Any) -> logging.LogRecord:
        return _stamp(factory(*args, **keywords))

    def start_in_context(thread: threading.Thread) -> None:
        if CURRENT.get() is not None:
            thread.run = functools.partial(contextvars.copy_context().run, thread.run)  # type: ignore[method-assign]
        start(thread)

    def submit_in_context(
        pool: ThreadPoolExecutor, call: Callable[..., Any], /, *args: Any, **keywords: Any
    ) -> Future[Any]:
        if CURRENT.get() is None:
            return submit(pool, call, *args, **keywords)
        return submit(pool, contextvars.copy_context().run, call, *args, **keywords)

    logging.setLogRecordFactory(stamped)
    threading.Thread.start = start_in_context  # type: ignore[assignment,method-assign]
    ThreadPoolExecutor.submit = submit_in_context  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        logging.setLogRecordFactory(factory)
        threading.Thread.start = start  # type: ignore[method-assign]
        ThreadPoolExecutor.submit = submit  # type: ignore[method-assign]


def is_user_file(name: str, root: Path) -> bool:
    """Whether a source file belongs to the app: neither to edgefn nor to an installed package."""
    return name.startswith(str(root)) and not name.startswith(PACKAGE) and "site-packages" not in name


def user_line(places: Iterable[tuple[Any, int]], root: Path) -> str:
    """``functions/x.py:12 `time.sleep(2)` `` for the first of the frames that lies in the app; empty if none does."""
    for frame, number in places:
        name = frame.f_code.co_filename
        if is_user_file(name, root):
            return f"{Path(name).relative_to(root)}:{number} `{linecache.getline(name, number).strip()}`"
    return ""


def running_line(thread_id: int, root: Path) -> str:
    """The line of the app that a thread is at."""
    return user_line(((frame, frame.f_lineno) for frame in _stack(sys._current_frames().get(thread_id))), root)


def failed_line(error: BaseException | None, root: Path) -> str:
    """The innermost line of the app that an error came through."""
    frames = list(traceback.walk_tb(error.__traceback__)) if error is not None else []
    return user_line(reversed(frames), root)


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame and those that called it."""
    while frame is not None:
        yield frame
        frame = frame.f_back
