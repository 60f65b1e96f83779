"""``edgefn record FUNCTION`` and ``edgefn start --record FUNCTION``: the events of a function and what came of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefn.cli.opening import open_app
from edgefn.contracts import Feed
from edgefn.errors import EdgefnError
from edgefn.host import Host
from edgefn.loader import App
from edgefn.logs import logging_to

if TYPE_CHECKING:
    from edgefn.testing.recorder import Recorder

log = logging.getLogger("edgefn.record")

SECONDS = 10.0
SUFFIX = ".edgefn"
CALLED = ("httpTrigger", "directMethodTrigger")
"""Triggers that are called from outside, where ``edgefn record`` serves nobody."""


@dataclass(frozen=True, slots=True)
class RecordAsked:
    """What is to be recorded; ``seconds`` None keeps all."""

    function: str
    seconds: float | None = SECONDS
    out: Path | None = None


@contextlib.contextmanager
def recording(app: App, asked: RecordAsked | None) -> Iterator[Recorder | None]:
    """Records while it lasts, and writes the file at the end; does nothing, and gives None, when nothing is asked for.

    Raises EdgefnError, before anything runs, for a function or a file that will not do.
    """
    if asked is None:
        yield None
        return
    from edgefn.testing.recorder import attach
    from edgefn.testing.recording import summary

    path = asked.out or Path(f"{asked.function}{SUFFIX}")
    if path.exists():
        raise EdgefnError(f"{path}: is there already; take it away, or name another file with --out or --record-out")
    if not path.parent.is_dir():
        raise EdgefnError(f"{path}: there is no folder {path.parent}; name a file in one that is there")
    recorder = attach(app, asked.function, asked.seconds)
    try:
        yield recorder
    finally:
        kept = recorder.finish()
        if kept.invocations:
            kept.write(path)
            log.info("%s: %s", path, summary(kept))
        else:
            log.warning("%s: is not written: function '%s' had no event", path, asked.function)


def run_record(root: Path | None, given: tuple[str, ...], asked: RecordAsked) -> int:
    """Records from the start of an app on, for so many seconds of events or until its sources end; 1 when it can not.

    The time begins with the first event: on a busy machine it may take seconds until a camera is open and models are.
    Where none comes in that time, it is over. The app runs by itself, beside a host or without one: with a state folder
    of its own and the hub inside the process.
    """
    from edgefn.testing.surroundings import LocalHubOnly

    with logging_to(sys.stderr), tempfile.TemporaryDirectory(prefix="edgefn-record-") as state:
        logging.getLogger("edgefn.upstream").setLevel(logging.WARNING)
        try:
            app = open_app(root, (), given, Path(state), (LocalHubOnly(),))
            _refuse_called(app, asked.function)
            with recording(app, RecordAsked(asked.function, None, asked.out)) as recorder:
                assert recorder is not None
                asyncio.run(_run(app, recorder, asked.seconds))
        except EdgefnError as error:
            log.error("%s", error)
            return 1
        path = asked.out or Path(f"{asked.function}{SUFFIX}")
        return 0 if path.exists() else 1


def _refuse_called(app: App, name: str) -> None:
    for function in app.functions:
        if function.name.lower() == name.lower() and function.trigger_type in CALLED:
            raise EdgefnError(
                f"{function.place}: nobody calls function '{function.name}' here; run `edgefn start --record {name}`, "
                "and call it"
            )


async def _run(app: App, recorder: Recorder, seconds: float | None) -> None:
    host, began = Host(app), asyncio.Event()
    recorder.began = began.set
    await host.start()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopping.set))
    reasons: list[asyncio.Task[Any]] = [asyncio.create_task(stopping.wait())]
    if seconds is not None:
        reasons.append(asyncio.create_task(_over(began, seconds)))
    if any(r.listener is not None and r.listener.feed is Feed.FINITE for r in host.running):
        reasons.append(asyncio.create_task(host.wait_for_end()))
    await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
    for task in reasons:
        task.cancel()
    await host.stop()


async def _over(began: asyncio.Event, seconds: float) -> None:
    """Returns so many seconds after the first event, or after so many without one."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await began.wait()
        await asyncio.sleep(seconds)
