"""Log lines: for people, as edgeAgent writes them, or as JSON; each with the invocation that it belongs to, also from
threads of its own, and none with a secret.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import linecache
import logging
import os
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, TextIO

import orjson

from edgefn.redaction import redact

if TYPE_CHECKING:
    from edgefn.spans import Trace

log = logging.getLogger("edgefn.host")

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
    trace: Trace | None = None
    """Its span, where traces are asked for."""


CURRENT: contextvars.ContextVar[Invocation | None] = contextvars.ContextVar("edgefn_invocation", default=None)
THREAD_LOCAL = threading.local()
"""``context.thread_local_storage`` of Azure Functions: a thread that sets its ``invocation_id`` has it in its lines."""


def _stamp(record: logging.LogRecord) -> logging.LogRecord:
    invocation = CURRENT.get()
    record.invocation_id = invocation.id if invocation else getattr(THREAD_LOCAL, "invocation_id", "")
    record.function = invocation.function if invocation else ""
    record.clean = ""
    return record


# --- forms -------------------------------------------------------------------------------------------------------


class ConsoleFormatter(logging.Formatter):
    """``[2026-09-01T12:00:00.123Z] message``, as ``func start`` prints it, with level and invocation."""

    def format(self, record: logging.LogRecord) -> str:
        level, text = "" if record.levelno == logging.INFO else f"{record.levelname} ", said(record)
        return f"[{utc(record.created)}] {level}{_origin(record, text)}{text}"


class EdgeFormatter(logging.Formatter):
    """``<6> 2026-11-20 12:00:00.000 +00:00 [INF] message``, as edgeAgent and edgeHub write it.

    Each line of a text has the head and the invocation: edgeAgent looks at lines one by one when it filters them by
    level, time or expression, and takes those without a head for information.
    """

    def format(self, record: logging.LogRecord) -> str:
        severity, name = next((number, name) for least, number, name in SEVERITIES if record.levelno >= least)
        head = f"<{severity}> {utc(record.created)[:-1].replace('T', ' ')} +00:00 [{name}] "
        lines = said(record).splitlines() or [""]
        return "\n".join(f"{head}{_origin(record, line)}{line}" for line in lines)


SEVERITIES = (
    (logging.CRITICAL, 2, "FTL"),
    (logging.ERROR, 3, "ERR"),
    (logging.WARNING, 4, "WRN"),
    (logging.INFO, 6, "INF"),
    (0, 7, "DBG"),
)
"""Levels of logging, and which of syslog's applies from there on, with its short name."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, function, invocation_id, exception, and ids of a trace."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        if identity := getattr(record, "invocation_id", ""):
            line |= {"function": getattr(record, "function", ""), "invocation_id": identity}
        if (invocation := CURRENT.get()) is not None and invocation.trace is not None:
            line |= invocation.trace.ids()
        if record.exc_info and record.exc_info[1]:
            line["exception"] = redact(user_traceback(record.exc_info[1]))
        return orjson.dumps(line, default=str).decode()


FORMS: Mapping[str, type[logging.Formatter]] = {
    "console": ConsoleFormatter,
    "edge": EdgeFormatter,
    "json": JsonFormatter,
}
MODULE = ("IOTEDGE_MODULEID", "IOTEDGE_WORKLOADURI")
"""Variables of the environment that tell a module of IoT Edge."""


def usual_form(environment: Mapping[str, str]) -> str:
    """The form of log lines where nobody asks for one: edgeAgent's in a module of IoT Edge, else the one for people."""
    return "edge" if any(name in environment for name in MODULE) else "console"


def said(record: logging.LogRecord) -> str:
    """What a record says, without secrets: its message, and below it the user's part of a traceback."""
    if record.exc_info and record.exc_info[1]:
        return redact(f"{record.getMessage()}\n{user_traceback(record.exc_info[1])}")
    return _message(record)


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()  # to which a filter of the app's may have added
    return text if text == getattr(record, "clean", "") else redact(text)


def _origin(record: logging.LogRecord, text: str) -> str:
    """Function and invocation of a text that does not name the invocation itself; else nothing."""
    identity = getattr(record, "invocation_id", "")
    return f"{getattr(record, 'function', '')}({identity}) " if identity and identity not in text else ""


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


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes lines. Of one that it can not write it says so in a line, where logging shows all that it was made of."""

    def flush(self) -> None:
        """Without the lock: whoever emits has it already."""
        self.stream.flush()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        error = sys.exc_info()[1]
        if isinstance(error, OSError) or getattr(record, "is_about_another", False):
            return
        meant = ascii(record.msg) if isinstance(record.msg, str) else type(record.msg).__name__
        text = f"{record.pathname}:{record.lineno}: a log line can not be written: {type(error).__name__}: {error}"
        about = {"msg": f"{text}; what it should say is {meant}", "args": (), "exc_info": None}
        self.emit(logging.makeLogRecord({**vars(record), **about, "is_about_another": True}))


@contextlib.contextmanager
def logging_to(
    stream: TextIO, *, form: str = "console", as_json: bool = False, level: int = logging.INFO
) -> Iterator[logging.Handler]:
    """Sends all log lines and warnings of the process to ``stream`` while it lasts, then puts everything back.

    ``form`` is one of FORMS; ``as_json`` is another way to say ``json``.
    """
    handler = LineHandler(stream)
    handler.setFormatter(FORMS["json" if as_json else form]())
    handler.addFilter(_OwnWarnings())
    root, factory = logging.getLogger(), logging.getLogRecordFactory()
    before = root.handlers[:], root.level
    root.handlers[:], root.level = [handler], level
    root.setLevel(level)
    logging.captureWarnings(True)
    with invocations_in_log_lines():
        try:
            yield handler
        finally:
            logging.captureWarnings(False)
            root.handlers[:] = before[0]
            root.setLevel(before[1])
            logging.setLogRecordFactory(factory)


@contextlib.contextmanager
def invocations_in_log_lines() -> Iterator[None]:
    """Stamps each log record with the invocation it belongs to, and carries that into threads that user code starts.

    Python hands context variables to tasks, not to threads: so for as long as this lasts, a thread that is started, and
    a call that is given to a ThreadPoolExecutor, inside an invocation run in a copy of its context. What such a thread
    dies of is a log line too.
    """
    factory, start, submit = logging.getLogRecordFactory(), threading.Thread.start, ThreadPoolExecutor.submit
    died = threading.excepthook
    contexts: weakref.WeakKeyDictionary[threading.Thread, contextvars.Context] = weakref.WeakKeyDictionary()

    def stamped(*args: Any, **keywords: Any) -> logging.LogRecord:
        return _stamp(factory(*args, **keywords))

    if factory is logging.LogRecord:
        stamped.plain = stamped  # type: ignore[attr-defined]  # itself: functools.wraps copies attributes

    def start_in_context(thread: threading.Thread) -> None:
        if CURRENT.get() is not None:
            context = contexts[thread] = contextvars.copy_context()
            thread.run = functools.partial(context.run, thread.run)  # type: ignore[method-assign]
        start(thread)

    def say_died(end: threading.ExceptHookArgs) -> None:
        if end.thread is None or end.exc_value is None or isinstance(end.exc_value, SystemExit):
            return
        context = contexts.get(end.thread) or contextvars.Context()
        context.run(log.error, "Thread '%s' ended by an error", end.thread.name, exc_info=end.exc_value)

    def submit_in_context(
        pool: ThreadPoolExecutor, call: Callable[..., Any], /, *args: Any, **keywords: Any
    ) -> Future[Any]:
        if CURRENT.get() is None:
            return submit(pool, call, *args, **keywords)
        return submit(pool, contextvars.copy_context().run, call, *args, **keywords)

    logging.setLogRecordFactory(stamped)
    threading.Thread.start = start_in_context  # type: ignore[assignment,method-assign]
    ThreadPoolExecutor.submit = submit_in_context  # type: ignore[assignment,method-assign]
    threading.excepthook = say_died
    try:
        yield
    finally:
        logging.setLogRecordFactory(factory)
        threading.Thread.start = start  # type: ignore[method-assign]
        ThreadPoolExecutor.submit = submit  # type: ignore[method-assign]
        threading.excepthook = died


def is_user_file(name: str, root: Path) -> bool:
    """Whether a file or folder belongs to the app: neither to edgefn nor to a package that is installed below the root.

    The root itself may lie among installed packages, as the packaged sample does.
    """
    above = str(root)
    if name != above and not name.startswith(f"{above}{os.sep}"):
        return False
    is_ours = name.startswith(PACKAGE) and not above.startswith(PACKAGE)
    return not is_ours and "site-packages" not in name[len(above) :]


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
