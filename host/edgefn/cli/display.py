"""How a running host shows what it does: a live line a function in a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefn.redaction import redact

if TYPE_CHECKING:
    from edgefn.host import Host

log = logging.getLogger("edgefn.host")

REPORT_EVERY = 10.0
"""Seconds between plain status lines."""
REDRAW_EVERY = 0.5
"""Seconds between two pictures of the live status, in a terminal."""


class Stdout:
    """Whatever ``sys.stdout`` is at the time of writing, since a live display puts itself in its place.

    When nobody reads it any more (``edgefn start | head``), the host is told to stop, and what follows goes nowhere.
    """

    def write(self, text: str) -> int:
        try:
            return sys.stdout.write(text)
        except BrokenPipeError:
            self._gone()
            return len(text)

    def flush(self) -> None:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            self._gone()

    def _gone(self) -> None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  it is open until the process ends
        signal.raise_signal(signal.SIGTERM)


@contextlib.asynccontextmanager
async def display(host: Host, *, is_live: bool) -> AsyncIterator[None]:
    """Shows the host's status for as long as it lasts: live, or now and then as log lines."""
    task = asyncio.create_task(_draw(host) if is_live else _report(host))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _report(host: Host) -> None:
    while True:
        await asyncio.sleep(REPORT_EVERY)
        for line in status_lines(host.status()):
            log.info("%s", line)


async def _draw(host: Host) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(soft_wrap=True), auto_refresh=False, transient=True) as live:
        while True:
            status = host.status()
            shown = [*status_lines(status), *(f"NOT RELOADED {error.splitlines()[0]}" for error in host.file_errors())]
            text = Text(redact("\n".join(shown)), no_wrap=True, overflow="ellipsis")
            live.update(text, refresh=True)
            await asyncio.sleep(REDRAW_EVERY)


def status_lines(status: Mapping[str, Any]) -> list[str]:
    """One line a function: state, rate, durations, drops by cause, errors."""
    functions = status["functions"]
    width = max((len(name) for name in functions), default=0)
    return [f"{name:<{width}}  {_figures(figures)}" for name, figures in functions.items()]


def _figures(figures: Mapping[str, Any]) -> str:
    if figures["state"] == "error":
        return f"in error: {figures['errors'][0].splitlines()[0]}"
    if figures["state"] == "disabled":
        return "disabled"
    trigger = figures["trigger"]
    dropped = {cause: count for cause, count in trigger.get("dropped", {}).items() if count}
    causes = f" ({', '.join(f'{cause} {count}' for cause, count in dropped.items())})" if dropped else ""
    parts = [
        f"{trigger.get('state', figures['state']):<8}",
        f"{figures['rate']:6.1f}/s",
        f"p50 {figures['p50_ms']:.1f} ms",
        f"p99 {figures['p99_ms']:.1f} ms",
        counted(figures["invocations"], "invocation"),
        f"{sum(dropped.values())} dropped{causes}",
        counted(figures["failed"] + figures["timed_out"], "error"),
    ]
    return "  ".join(parts)


def counted(count: int, word: str) -> str:
    """``1 error``, ``2 errors``."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
