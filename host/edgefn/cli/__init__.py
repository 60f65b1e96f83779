"""The command line. Nothing of weight is imported before a command needs it: ``edgefn --help`` answers at once."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import TracebackType

VARIADIC = ("--functions",)
DEBUG_PORT = 5678
ASLEEP = {"OPENCV_THREAD_POOL_ACTIVE_WAIT_WORKER": "0", "OPENBLAS_THREAD_TIMEOUT": "4"}
"""So that threads of OpenCV and numpy, one for each processor, sleep while they have nothing to do. They would count to
some thousand after each resize, and for 30 ms after the import."""


def main(arguments: list[str] | None = None) -> None:
    """Runs the command that the arguments name."""
    for name, value in ASLEEP.items():
        os.environ.setdefault(name, value)  # both libraries read it when they are imported
    if os.getpid() == 1:  # in a container: the kernel keeps from it each signal that it has no handler for
        signal.signal(signal.SIGTERM, _told_to_leave)
    sys.excepthook = _crashed  # before Typer comes, which puts its own in front of the one that it finds
    from edgefn.cli.commands import commands

    try:
        commands(spread(sys.argv[1:] if arguments is None else arguments), prog_name="edgefn")
    except SystemExit as ended:
        _leave(ended)


def _told_to_leave(_number: int, _frame: object) -> None:
    """SIGTERM while a command begins: nothing is open yet that would have to be closed."""
    os._exit(0)


def _crashed(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    """A fault of ours, as Python shows it, without the secrets that it may quote."""
    import traceback

    from edgefn.redaction import redact

    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, frames))))


def _leave(ended: SystemExit) -> None:
    """Leaves, at once when threads are left: Python's own end stops them inside C++, which aborts the process."""
    if not any(thread.daemon for thread in threading.enumerate()):
        raise ended
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(ended.code if isinstance(ended.code, int) else ended.code is not None)


def spread(arguments: list[str]) -> list[str]:
    """Options as ``func start`` takes them, in the form that the commands know."""
    return list(_spread(arguments))


def _spread(arguments: list[str]) -> Iterator[str]:
    """``--debug`` and ``--debug=PORT`` as the option that always takes a port."""
    for argument in _one_by_one(arguments):
        if argument == "--debug":
            yield f"--debug-port={DEBUG_PORT}"
        else:
            yield argument.replace("--debug=", "--debug-port=", 1) if argument.startswith("--debug=") else argument


def _one_by_one(arguments: list[str]) -> Iterator[str]:
    """``--functions a b`` as ``--functions a --functions b``."""
    option: str | None = None
    seen = 0
    for argument in arguments:
        if argument.startswith("-"):
            option, seen = (argument if argument in VARIADIC else None), 0
        elif option is not None:
            seen += 1
            if seen > 1:
                yield option
        yield argument
