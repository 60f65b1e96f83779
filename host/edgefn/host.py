"""The process that owns lifetimes: connect, open, listen, drain, stop.

It knows no trigger, no transport and no library of inference: only the contracts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from edgefn.contracts import Feed, Listener
from edgefn.errors import EdgefnError, SettingError
from edgefn.function import Binding, Function
from edgefn.heartbeat import Heartbeat
from edgefn.invocation import Invoker
from edgefn.loader import App
from edgefn.log_levels import Levels
from edgefn.logs import user_traceback
from edgefn.operation import Operation
from edgefn.running import Running, function_status, listen, worked_off
from edgefn.sight import Sights
from edgefn.swap import Swaps
from edgefn.telling import Telling
from edgefn.threads import Threads

log = logging.getLogger("edgefn.host")

GRACE = 5.0
CLOSING = 10.0
"""Seconds that one part gets to close: a plugin's that never does keeps no other open."""


class Host:
    """Runs one loaded app, from ``start`` to ``stop``, on the event loop that these are awaited on."""

    def __init__(self, app: App, *, grace: float = GRACE) -> None:
        self.app = app
        self.grace = grace
        self.state = "starting"
        """starting, running, draining, drained, stopping or stopped."""
        self.running = [Running(function) for function in app.functions]
        self._heartbeat = Heartbeat(app.root, app.services.metrics)
        self._swaps = Swaps(self)
        self._telling = Telling(app.manager)
        self.sights = Sights()
        self.restart: Callable[[], None] | None = None
        """Has the process start anew, once this host has stopped; None where nobody would."""
        self.level_lines: Callable[[Levels, Sequence[str]], None] | None = None
        """Has log lines written by levels, for functions of these names; None where logging is another's."""
        self.file_errors: Callable[[], Sequence[str]] = list
        """What of the app's files is not what runs, and why."""
        self._started = time.monotonic()
        self.operation = Operation(self)

    # --- start ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connects the hub, opens what the functions need, and listens; what can not be opened is left out.

        Raises EdgefnError when another host has the state folder.
        """
        services = self.app.services
        await services.spool.open()
        self.threads = Threads(_thread_count(services.settings.get("PYTHON_THREADPOOL_THREAD_COUNT")))
        self._heartbeat.start()
        await self._overlay()
        for running in self.running:
            if running.function.errors:
                running.state = "error"
            elif running.function.disabled:
                running.state = "disabled"
        self._subscribe()
        await services.spool.begin(None if self.app.errors else self.app.names)
        await services.hub.start(self.operation.sink)
        await asyncio.gather(*(self._guarded(running, self._open) for running in self._healthy()))
        for running in self._healthy():
            await self._guarded(running, self._make_listener)
        for running in self._healthy():
            self._listen(running)
        services.spool.follow_unserved()
        self.state = "running"
        self.operation.start()
        self._telling.started(services)

    async def _overlay(self) -> None:
        """Lays the desired properties over the functions that were in force when the host ran last."""
        for function in await self.operation.open():
            running = next(each for each in self.running if each.function.name == function.name)
            self.app.functions[self.app.functions.index(running.function)] = running.function = function

    def _subscribe(self) -> None:
        """Has messages kept for every function that may run some day, before the hub delivers the first."""
        for running in self.running:
            self.subscribe(running)

    def subscribe(self, running: Running) -> None:
        """Has messages kept for a function, unless it is disabled."""
        trigger = running.function.trigger
        if trigger is None or running.state == "disabled":
            return
        kind = self.app.kinds.triggers[trigger.type.lower()]
        if (subscribe := getattr(kind, "subscribe", None)) is not None:
            subscribe(trigger)

    def _healthy(self) -> list[Running]:
        return [running for running in self.running if running.state not in ("error", "disabled")]

    async def _guarded(self, running: Running, step: Callable[[Running], Awaitable[None]]) -> None:
        """Runs one step of the start of a function; an error in it is the function's alone."""
        try:
            await step(running)
        except EdgefnError as error:
            running.fail(str(error))
        except Exception as error:  # a plugin's own fault: the function can not run, all others can
            running.fail(f"{running.function.place}: {type(error).__name__}: {error}")
            log.debug("%s", user_traceback(error))

    async def _open(self, running: Running) -> None:
        function, kinds = running.function, self.app.kinds
        for binding in function.inputs:
            running.inputs[binding.name] = await kinds.inputs[binding.type.lower()].open(binding)
        for binding in function.outputs:
            running.outputs[binding.name] = await kinds.outputs[binding.type.lower()].open(binding)

    async def _make_listener(self, running: Running) -> None:
        running.invoker = self.invoker(running)
        running.listener = self.listener(running.function)

    def listener(self, function: Function) -> Listener:
        """The running side of a function's trigger; raises EdgefnError."""
        assert function.trigger is not None
        return self.app.kinds.triggers[function.trigger.type.lower()].listener(function.trigger)

    def invoker(self, running: Running, after: Invoker | None = None) -> Invoker:
        """What runs the function, with what is open for it, in the place of another one where there is one."""
        function, services = running.function, self.app.services
        assert function.trigger is not None
        kind = self.app.kinds.triggers[function.trigger.type.lower()]
        return Invoker(
            function,
            self.app.root,
            convert=kind.convert(function.trigger),
            inputs=running.inputs,
            outputs=running.outputs,
            threads=self.threads,
            metrics=services.metrics.function(function.name),
            ended=self._telling.of_ends(function),
            sights=self.sights,
            spans=services.traces.of(function, kind),
            level=kind.level,
            is_call=getattr(kind, "is_call", False),
            after=after,
            together=services.spool.together,
        )

    def _listen(self, running: Running) -> None:
        running.task = asyncio.create_task(
            listen(running, self.app.services.metrics), name=f"listen {running.function.name}"
        )

    # --- run -----------------------------------------------------------------------------------------------------

    async def wait_for_end(self) -> None:
        """Returns when every trigger that ends by itself has ended, what lay there for others is worked off, and so are
        the messages that came of it, which are sent, or the hub takes none.
        """
        finite = [r for r in self.running if r.listener is not None and r.listener.feed is Feed.FINITE]
        await asyncio.gather(*(r.task for r in finite if r.task is not None), return_exceptions=True)
        more = True
        while more:
            await self.app.services.spool.idle()
            more = any(await asyncio.gather(*map(worked_off, self.running)))

    def status(self) -> dict[str, Any]:
        """How the host and its functions are, as JSON values."""
        services = self.app.services
        functions = {each.function.name: function_status(each, services.metrics) for each in self.running}
        return {
            "state": self.state,
            "uptime": round(time.monotonic() - self._started, 1),
            "hub": dict(services.hub.status()),
            "spool": dict(services.spool.status()),
            **({"brokers": brokers} if (brokers := dict(services.brokers.status())) else {}),
            "functions": functions,
            "blocked": dict(self._heartbeat.lines),
            "errors": [*self.app.errors, *self.file_errors()],
        }

    async def drain(self) -> None:
        """Stops listening and lets the invocations end, however long they take; what is open stays open."""
        self.state = "draining"
        self._stop_retries()
        fed = self._fed()
        await self._end([r for r in self.running if r not in fed], None)
        await self.app.services.spool.inbox.idle()
        await self._end(fed, None)
        if self.state == "draining":
            self.state = "drained"

    async def resume(self) -> None:
        """Listens again after ``drain``."""
        for running in [r for r in self.running if r.state == "stopped"]:
            await self._guarded(running, self._make_listener)
            if running.state != "error":
                self._listen(running)
        self.state = "running"

    # --- swap ----------------------------------------------------------------------------------------------------

    async def swap(self, functions: Sequence[Function], anew: Callable[[Binding], bool] | None = None) -> None:
        """Puts functions into the place of those of the same names: all of them or, with an EdgefnError, none.

        ``anew`` tells of an input or output that it has to be opened again, though its options are the same.
        """
        await self._swaps.swap(functions, anew)

    async def add(self, function: Function) -> None:
        """Takes a function in; one that can not be opened is in error."""
        running = Running(function)
        self.running.append(running)
        self.app.functions.append(function)
        if function.errors or function.disabled:
            running.state = "error" if function.errors else "disabled"
            return
        self.subscribe(running)
        await self._guarded(running, self._open)
        if running.state != "error":
            await self._guarded(running, self._make_listener)
        if running.state != "error":
            self.begin(running)

    async def remove(self, name: str) -> None:
        """Takes a function out: it gets no event any more, and is closed when its invocations have ended."""
        running = next(each for each in self.running if each.function.name == name)
        await self.end([running])
        self.running.remove(running)
        self.app.functions.remove(running.function)
        for output in running.outputs.values():
            await self._quietly(output.close())
        for opened in running.inputs.values():
            await self._quietly(opened.close())
        if (trigger := running.function.trigger) is not None:  # last: it may be added again at once
            kind = self.app.kinds.triggers[trigger.type.lower()]
            for leave, given in (("unsubscribe", trigger), ("release", name)):
                if (call := getattr(kind, leave, None)) is not None:
                    call(given)

    def begin(self, running: Running) -> None:
        """Listens for a function, unless the host does not listen at all at present."""
        running.state = "starting" if self.state == "running" else "stopped"
        if self.state == "running":
            self._listen(running)

    async def end(self, several: Sequence[Running]) -> None:
        """Stops listening for functions, and lets their invocations end within the grace time."""
        await self._end(list(several), self.grace)

    # --- stop ----------------------------------------------------------------------------------------------------

    def _fed(self) -> list[Running]:
        """The functions whose messages other functions may have caused."""
        return [r for r in self.running if r.listener is not None and r.listener.feed is Feed.INBOX]

    def _stop_retries(self) -> None:
        for running in self.running:
            if running.invoker is not None:
                running.invoker.stop()

    async def stop(self) -> None:
        """Drains within the grace time, sources first and what works off their messages last; then closes.

        Messages that are left over stay in the spool, for the next start.
        """
        began = time.monotonic()
        self.state = "stopping"
        await self.operation.stop()
        self._stop_retries()
        fed = self._fed()
        await self._end([r for r in self.running if r not in fed], self.grace)
        try:
            async with asyncio.timeout(max(0.1, self.grace - (time.monotonic() - began))):
                await self.app.services.spool.idle()
        except TimeoutError:
            log.warning("Messages were left over when the grace time of %.1f s was over; they are kept", self.grace)
        await self._end(fed, max(0.1, self.grace - (time.monotonic() - began)))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.5, self.grace - (time.monotonic() - began))):
                await self.app.services.spool.sent()
        await self._close()
        self.state = "stopped"
        self._telling.stopped(self.app.services)

    async def _end(self, several: list[Running], grace: float | None) -> None:
        """Cancels listeners; again those whose invocations have not ended after the grace time, where there is one."""
        tasks = {r.task: r for r in several if r.task is not None and not r.task.done()}
        for number, limit in enumerate((grace, 1.5)):
            for task in tasks:
                if number or not task.cancelling():  # once already where a drain goes on, whose runs get this time too
                    task.cancel()
            if not tasks:
                return
            _, pending = await asyncio.wait(tasks, timeout=limit)
            for task in tasks.keys() - pending:
                tasks[task].state = "stopped"
            tasks = {task: tasks[task] for task in pending}
            for running in tasks.values():
                log.warning("Function '%s' did not end within %.1f s", running.function.name, limit)

    async def _close(self) -> None:
        services = self.app.services
        await self._swaps.close()
        for running in self.running:
            for output in running.outputs.values():
                await self._quietly(output.close())
            for opened in running.inputs.values():
                await self._quietly(opened.close())
        for kind in self.app.kinds.all():
            await self._quietly(kind.close())
        for session_kind in services.session_kinds.values():
            await self._quietly(asyncio.to_thread(session_kind.close))
        await self._quietly(services.spool.close())
        await self._quietly(services.brokers.close())
        await self._quietly(services.hub.stop())
        await self.operation.close()
        self.threads.close()
        self._heartbeat.stop()

    async def _quietly(self, closing: Coroutine[Any, Any, None] | Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(CLOSING):
                await closing
        except TimeoutError:
            log.warning("Closing takes more than %g s, and is not waited for: %r", CLOSING, closing)
        except Exception as error:
            log.warning("Closing failed: %s: %s", type(error).__name__, error)


def _thread_count(declared: str | None) -> int:
    """``PYTHON_THREADPOOL_THREAD_COUNT``, else what Python's own pool takes: processors + 4, at most 32."""
    if declared is None:
        return min(32, (os.cpu_count() or 1) + 4)
    try:
        return max(1, int(declared))
    except ValueError:
        raise SettingError(f"PYTHON_THREADPOOL_THREAD_COUNT should be a whole number, found {declared!r}") from None
