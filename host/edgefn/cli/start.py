"""``edgefn start``: runs an app until it is told to leave, and shows how it does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import typer

from edgefn import __version__
from edgefn.cli.opening import open_app
from edgefn.cli.show import lines
from edgefn.contracts import Feed
from edgefn.errors import EdgefnError
from edgefn.host import Host
from edgefn.loader import App
from edgefn.logs import logging_to
from edgefn.web.options import Asked, server_options
from edgefn.web.server import WebServer

log = logging.getLogger("edgefn.host")

REPORT_EVERY = 10.0
"""Seconds between plain status lines."""
REDRAW_EVERY = 0.5
"""Seconds between two pictures of the live status, in a terminal."""


@dataclass(frozen=True, slots=True)
class Start:
    """What the command was asked for."""

    root: Path | None = None
    only: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    state: Path | None = None
    until_end: bool = False
    max_seconds: float | None = None
    upstream: bool = False
    as_json: bool = False
    verbose: bool = False
    web: Asked = field(default_factory=Asked)


class Stdout:
    """Whatever ``sys.stdout`` is at the time of writing: a live display puts itself in its place."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


def run_start(asked: Start) -> int:
    """Runs the app; the exit code is 0 when it left as asked, 1 when it could not run."""
    sys.dont_write_bytecode = True  # quick edits of the same size would be hidden by stale bytecode
    level = logging.DEBUG if asked.verbose else logging.INFO
    with logging_to(Stdout(), as_json=asked.as_json, level=level):  # type: ignore[arg-type]
        logging.getLogger("asyncio").setLevel(logging.WARNING)
        logging.getLogger("edgefn.upstream").setLevel(logging.INFO if asked.upstream else logging.WARNING)
        try:
            app = open_app(asked.root, asked.only, asked.given, asked.state)
            return asyncio.run(_run(app, asked))
        except EdgefnError as error:
            log.error("%s", error)
            return 1


async def _run(app: App, asked: Start) -> int:
    stopping = asyncio.Event()
    _stop_on_signals(stopping)
    host = Host(app)
    web = WebServer(host, server_options(app.root, app.services.settings, asked.web))
    await web.start()
    try:
        _show_app(app, asked, web.addresses())
        return await _served(host, asked, stopping)
    finally:
        await web.stop()


async def _served(host: Host, asked: Start, stopping: asyncio.Event) -> int:
    """Runs the host while the web server tells how it is."""
    app = host.app
    await host.start()
    log.info("Worker process started and initialized.")
    if not any(running.listener for running in host.running):
        log.error("No function runs: %s", "each one is in error" if app.functions else f"{app.root} declares none")
        if asked.until_end or not app.functions:
            await host.stop()
            return 1
    with _display(host, asked):
        await _until(host, asked, stopping)
        await host.stop()
    for line in status_lines(host.status()):
        log.info("%s", line)
    return 0


async def _until(host: Host, asked: Start, stopping: asyncio.Event) -> None:
    """Returns on a signal, at the end of all sources, or when the time is over."""
    reasons: list[asyncio.Task[Any]] = [asyncio.create_task(stopping.wait())]
    if asked.until_end:
        _warn_of_endless(host)
        reasons.append(asyncio.create_task(host.wait_for_end()))
    await asyncio.wait(reasons, timeout=asked.max_seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in reasons:
        task.cancel()


def _warn_of_endless(host: Host) -> None:
    endless = [r.function.name for r in host.running if r.listener is not None and r.listener.feed is Feed.ENDLESS]
    if endless:
        log.warning("--until-end does not wait for %s: their triggers never end", ", ".join(endless))


def _stop_on_signals(stopping: asyncio.Event) -> None:
    """The first signal drains; a second one leaves at once."""
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        if stopping.is_set():
            sys.exit(128 + number)
        log.info("%s: draining", signal.Signals(number).name)
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop, number)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda got, _frame: loop.call_soon_threadsafe(stop, got))


def _show_app(app: App, asked: Start, addresses: Mapping[str, str]) -> None:
    log.info("edgefn %s, azure-functions %s, app %s", __version__, version("azure-functions"), app.root)
    for warning in app.warnings:
        log.warning("%s", warning)
    for error in app.errors:
        log.error("%s", error)
    for function in app.functions:
        for error in function.errors:
            log.error("The '%s' function is in error: %s", function.name, error)
    if asked.as_json:
        log.info("Functions: %s", ", ".join(function.name for function in app.functions) or "none")
        return
    typer.echo()
    for line in lines(app, addresses):
        typer.echo(line)
    typer.echo("\nFor detailed output, run edgefn with --verbose flag.")


# --- how it does -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _display(host: Host, asked: Start) -> Iterator[None]:
    """A live line a function in a terminal, else plain lines now and then."""
    live = not asked.as_json and sys.stdout.isatty()
    task = asyncio.create_task(_draw(host) if live else _report(host))
    try:
        yield
    finally:
        task.cancel()


async def _report(host: Host) -> None:
    while True:
        await asyncio.sleep(REPORT_EVERY)
        for line in status_lines(host.status()):
            log.info("%s", line)


async def _draw(host: Host) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False, transient=True) as live:
        while True:
            live.update(Text("\n".join(status_lines(host.status())), no_wrap=True, overflow="ellipsis"), refresh=True)
            await asyncio.sleep(REDRAW_EVERY)


def status_lines(status: Mapping[str, Any]) -> list[str]:
    """One line a function: state, rate, durations, drops by cause, errors."""
    functions = status["functions"]
    width = max((len(name) for name in functions), default=0)
    return [f"{name:<{width}}  {_figures(figures)}" for name, figures in functions.items()]


def _figures(figures: Mapping[str, Any]) -> str:
    if figures["state"] == "error":
        return "in error"
    trigger = figures["trigger"]
    dropped = {cause: count for cause, count in trigger.get("dropped", {}).items() if count}
    causes = f" ({', '.join(f'{cause} {count}' for cause, count in dropped.items())})" if dropped else ""
    failed = figures["failed"] + figures["timed_out"]
    parts = [
        f"{trigger.get('state', figures['state']):<8}",
        f"{figures['rate']:6.1f}/s",
        f"p50 {figures['p50_ms']:.1f} ms",
        f"p99 {figures['p99_ms']:.1f} ms",
        f"{figures['invocations']} invocations",
        f"{sum(dropped.values())} dropped{causes}",
        f"{failed} errors",
    ]
    return "  ".join(parts)
