"""``edgefn start``: runs an app until it is told to leave, and shows how it does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
import sys
import webbrowser
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import typer

from edgefn import __version__
from edgefn.cli.display import Stdout, display, status_lines
from edgefn.cli.opening import open_app
from edgefn.cli.record import RecordAsked, recording
from edgefn.cli.restart import start_anew
from edgefn.cli.show import lines
from edgefn.contracts import Feed
from edgefn.errors import EdgefnError, SettingError
from edgefn.host import Host
from edgefn.loader import App
from edgefn.log_levels import LineLevels, level_named
from edgefn.logs import logging_to, usual_form
from edgefn.running import can_end
from edgefn.traces import tracing
from edgefn.web.options import MODULE, Asked, server_options
from edgefn.web.server import WebServer

log = logging.getLogger("edgefn.host")


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
    form: str | None = None
    """The form of log lines; None for what is usual here."""
    verbose: bool = False
    user_log_level: str | None = None
    """The lowest level of the functions' own lines; None for what host.json says."""
    debug_port: int | None = None
    reload: bool | None = None
    """Whether to follow what is saved; None for yes, but in a module."""
    web: Asked = field(default_factory=Asked)
    record: RecordAsked | None = None
    opens_page: bool = False
    """Whether a browser is to show the page."""


def run_start(asked: Start) -> int:
    """Runs the app; the exit code is 0 when it left as asked, 1 when it could not run."""
    form = asked.form or usual_form(os.environ)
    with logging_to(Stdout(), form=form) as handler:  # type: ignore[arg-type]
        logging.getLogger("asyncio").setLevel(logging.WARNING)
        logging.getLogger("edgefn.upstream").setLevel(logging.INFO if asked.upstream else logging.WARNING)
        try:
            with contextlib.closing(_levels(asked)) as levels:
                handler.addFilter(levels)
                if asked.debug_port is not None:
                    wait_for_debugger(asked.debug_port)
                app = open_app(asked.root, asked.only, asked.given, asked.state)
                if asked.debug_port is not None:
                    _forget_time(app)
                with recording(app, asked.record), tracing(app.services):
                    restarts, code = asyncio.run(_run(app, replace(asked, form=form), levels))
            return start_anew() if restarts else code
        except EdgefnError as error:
            log.error("%s", error)
            return 1


def _levels(asked: Start) -> LineLevels:
    """Log levels by the command line; raises SettingError."""
    user = None if asked.user_log_level is None else level_named(asked.user_log_level, "--user-log-level")
    return LineLevels(host=logging.DEBUG if asked.verbose else None, user=user)


def _forget_time(app: App) -> None:
    """A function that stands at a breakpoint is not late."""
    for function in app.functions:
        function.timeout = None
    for declared in app.declared.values():
        declared.timeout = -1


def wait_for_debugger(port: int) -> None:
    """Listens for a debugger on the loopback address and waits until one is attached; raises SettingError."""
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # or it warns of how Python itself was built
    try:
        import debugpy
    except ImportError:
        raise SettingError("--debug needs debugpy; install it: pip install 'edgefn[debug]'") from None
    debugpy.listen(("127.0.0.1", port))
    log.info("Waiting for a debugger on 127.0.0.1:%d", port)
    debugpy.wait_for_client()


async def _run(app: App, asked: Start, levels: LineLevels) -> tuple[bool, int]:
    """Runs the app; whether the command is to be started anew, and else its exit code."""
    stopping, restarting = asyncio.Event(), asyncio.Event()
    _stop_on_signals(stopping)
    host = Host(app)
    host.restart = restarting.set
    host.level_lines = levels.apply
    host.operation.ring.addFilter(levels)
    host.operation.overlay.level()
    app.services.spool.take()  # before anything else of this folder is touched that another host may use
    web = WebServer(host, server_options(app.root, app.services.settings, asked.web))
    await web.start()
    try:
        _show_app(app, asked, web)
        if asked.opens_page and web.page:
            webbrowser.open(web.page)
        code = await _served(host, asked, (stopping, restarting))
        return restarting.is_set() and not stopping.is_set(), code
    finally:
        await web.stop()


async def _served(host: Host, asked: Start, leaving: Sequence[asyncio.Event]) -> int:
    """Runs the host while the web server tells how it is."""
    app = host.app
    await host.start()
    log.info("Worker process started and initialized.")
    log.info("Host lock lease acquired by instance ID '%s'.", f"{random.getrandbits(128):032x}")  # tools wait for it
    listeners = [running.listener for running in host.running if running.listener is not None]
    if asked.until_end and not any(map(can_end, listeners)):
        endless = ", ".join(_endless(host, Feed.ENDLESS, Feed.INBOX))
        log.error("No source runs that could end: %s", f"the triggers of {endless} never do" if endless else _why(app))
        await host.stop()
        return 1
    if not listeners:
        log.error("No function runs: %s", _why(app))
        if not app.functions:
            await host.stop()
            return 1
    async with display(host, is_live=asked.form == "console" and sys.stdout.isatty()), _reloading(host, asked):
        await _until(host, asked, leaving)
        await host.stop()
    for line in status_lines(host.status()):
        log.info("%s", line)
    return 0


@contextlib.asynccontextmanager
async def _reloading(host: Host, asked: Start) -> AsyncIterator[None]:
    """Follows what is saved while it lasts, unless nobody would edit here."""
    is_module = host.app.services.settings.get(MODULE) is not None
    if asked.until_end or not (not is_module if asked.reload is None else asked.reload):
        yield
        return
    from edgefn.reload import Reloader, Watcher

    reloader = Reloader(host)
    host.file_errors = lambda: reloader.errors
    watcher = Watcher(host.app.root, reloader.reload)
    watcher.start(reloader.files())
    try:
        yield
    finally:
        await watcher.stop()


def _why(app: App) -> str:
    """What there is instead of a function that runs."""
    faulty = [function.name for function in app.functions if function.errors]
    if faulty:
        return f"in error: {', '.join(faulty)}"
    return (
        app.errors[0]
        if app.errors
        else f"{app.root} declares {'others' if app.functions else 'none; add one with: edgefn new'}"
    )


async def _until(host: Host, asked: Start, leaving: Sequence[asyncio.Event]) -> None:
    """Returns on a signal, when a restart is asked for, at the end of all sources, or when the time is over."""
    reasons: list[asyncio.Task[Any]] = [asyncio.create_task(reason.wait()) for reason in leaving]
    if asked.until_end:
        _warn_of_endless(host)
        reasons.append(asyncio.create_task(host.wait_for_end()))
    await asyncio.wait(reasons, timeout=asked.max_seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in reasons:
        task.cancel()


def _endless(host: Host, *feeds: Feed) -> list[str]:
    """The functions without an end to wait for."""
    listening = [(running.function.name, running.listener) for running in host.running]
    return [name for name, each in listening if each is not None and each.feed in feeds and not can_end(each)]


def _warn_of_endless(host: Host) -> None:
    if endless := _endless(host, Feed.ENDLESS):
        log.warning("--until-end does not wait for %s: their triggers never end", ", ".join(endless))


def _stop_on_signals(stopping: asyncio.Event) -> None:
    """The first signal drains; a second one leaves at once, also while a function blocks the event loop."""
    loop = asyncio.get_running_loop()
    got: list[int] = []

    def stop(number: int, _frame: object) -> None:
        got.append(number)
        if len(got) > 1:
            os._exit(128 + number)
        log.info("%s: draining", signal.Signals(number).name)
        loop.call_soon_threadsafe(stopping.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _show_app(app: App, asked: Start, web: WebServer) -> None:
    log.info("edgefn %s, azure-functions %s, app %s", __version__, version("azure-functions"), app.root)
    for warning in app.warnings:
        log.warning("%s", warning)
    for error in app.errors:
        log.error("%s", error)
    if asked.form == "console":
        _print_functions(app, asked, web)
    else:
        log.info("Functions: %s", ", ".join(function.name for function in app.functions) or "none")
        if web.page:
            log.info("Page: %s", web.page)
    for function in app.functions:
        for error in function.errors:
            log.error("The '%s' function is in error: %s", function.name, error)
        if function.disabled:
            log.info("Function '%s' is disabled", function.name)


def _print_functions(app: App, asked: Start, web: WebServer) -> None:
    typer.echo()
    for line in lines(app, web.addresses()):
        typer.echo(line)
    if web.page:
        typer.echo(f"\nPage: {web.page}")
    typer.echo("" if asked.verbose else "\nFor detailed output, run edgefn with --verbose flag.")
