"""A function in the host: what is open for it, how it is, and how it listens, again and again where that breaks."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

from edgefn.contracts import Event, Feed, Input, Listener, Outcome, Output
from edgefn.errors import EdgefnError
from edgefn.function import Function
from edgefn.invocation import Invoker
from edgefn.metrics import Metrics

log = logging.getLogger("edgefn.host")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds until a listener that broke is started again."""


@dataclass(slots=True)
class Running:
    """A function in the host: what is open for it, and how it is."""

    function: Function
    state: str = "starting"
    """starting, running, waiting (its listener broke, and is started again), ended, stopped,
    disabled, or error."""
    inputs: dict[str, Input] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)
    listener: Listener | None = None
    invoker: Invoker | None = None
    task: asyncio.Task[None] | None = None

    def emit(self, event: Event) -> Awaitable[Outcome]:
        """Runs the function, as it is at present, for one event."""
        assert self.invoker is not None
        return self.invoker.emit(event)

    def fail(self, reason: str) -> None:
        """Takes the function out, with the reason in its errors and in the log."""
        self.state = "error"
        self.function.errors.append(reason)
        log.error("The '%s' function is in error: %s", self.function.name, reason)


# --- listening ---------------------------------------------------------------------------------------------------


async def listen(running: Running, metrics: Metrics) -> None:
    """Listens until the trigger ends; a listener that breaks is started again, later each time."""
    task = asyncio.current_task()
    assert running.listener is not None
    assert task is not None
    pause = FIRST_PAUSE / 2
    while True:
        running.state = "running"
        began = time.monotonic()
        try:
            await running.listener.listen(running.emit)
            running.state = "ended"
            log.info("Function '%s' has ended: its trigger gives no further event", running.function.name)
            return
        except asyncio.CancelledError:
            if task.cancelling():
                raise
            error: Exception = EdgefnError("what it waited for was cancelled")
        except Exception as raised:
            # STYLE's trap: an error out of the clean-up of a cancelled listener must not start it again
            if task.cancelling():
                log.warning("The listener of '%s' broke while it stopped: %s", running.function.name, raised)
                raise asyncio.CancelledError from None
            error = raised
        running.state = "waiting"
        is_fresh = time.monotonic() - began > LONGEST_PAUSE
        pause = FIRST_PAUSE / 2 if is_fresh else min(pause * 2, LONGEST_PAUSE)
        _say_broken(running.function, metrics, error, pause)
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))


def _say_broken(function: Function, metrics: Metrics, error: Exception, pause: float) -> None:
    text = str(error) if isinstance(error, EdgefnError) else f"{type(error).__name__}: {error}"
    metrics.function(function.name).last_error = text
    log.error("The listener for function '%s' was unable to start; again in %.1f s: %s", function.name, pause, text)


def can_end(listener: Listener) -> bool:
    """Whether there is an end to wait for: the trigger ends by itself, or what lies there for it can be worked off."""
    return listener.feed is Feed.FINITE or hasattr(listener, "worked_off")


async def worked_off(running: Running) -> bool:
    """Waits until what lies there for a function has been taken, or it listens no more; whether there may be more."""
    listening, call = running.task, getattr(running.listener, "worked_off", None)
    if call is None or listening is None or listening.done():
        return False
    asked = asyncio.ensure_future(call())
    try:
        await asyncio.wait((asked, listening), return_when=asyncio.FIRST_COMPLETED)
        return not asked.done() or asked.result()
    finally:
        asked.cancel()


# --- how it is ---------------------------------------------------------------------------------------------------


def function_status(running: Running, metrics: Metrics) -> dict[str, Any]:
    """How a function and its parts are, as JSON values."""
    return {
        "state": running.state,
        "errors": list(running.function.errors),
        **metrics.function(running.function.name).status(),
        "in_flight": running.invoker.running if running.invoker else 0,
        "trigger": _told(running.listener) if running.listener else {},
        "inputs": {name: _told(opened) for name, opened in running.inputs.items()},
        "outputs": {name: _told(opened) for name, opened in running.outputs.items()},
    }


def _told(part: Listener | Input | Output) -> dict[str, Any]:
    """How a part of a function says that it is."""
    try:
        return dict(part.status())
    except Exception as error:  # a plugin's own fault: what it can not tell keeps nobody from the rest
        return {"fault": f"its status can not be told: {type(error).__name__}: {error}"}
