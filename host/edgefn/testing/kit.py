"""``load``: an app whose functions a test calls, one event at a time, without a host.

Functions run where they run in a host: async ones on an event loop, synchronous ones on a thread. The loop is the
kit's own, on a thread of its own, so that tests of both sorts call in the same way.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import shutil
import sys
import tempfile
import threading
import weakref
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from edgefn.by_hand import function_named
from edgefn.contracts import Event, Outcome, Output, Status
from edgefn.errors import EdgefnError
from edgefn.function import Binding, Function
from edgefn.invocation import Invoker
from edgefn.loader import App, load_app
from edgefn.testing.clock import Clock
from edgefn.testing.events import Events, Tick
from edgefn.testing.outputs import ToldOutput, Unsent, values_of
from edgefn.testing.result import Collected, Response, Result
from edgefn.testing.stubs import Answers, Stubs
from edgefn.testing.surroundings import Surroundings
from edgefn.threads import Threads
from edgefn.triggers.direct_method import reply_of
from edgefn.triggers.timer_clock import time_zone
from edgefn.triggers.timer_options import TimerTrigger
from edgefn.triggers.video_frame import VideoFrameTrigger
from edgefn.web.http import Slot
from edgefn.web.replies import Reply

T = TypeVar("T")
KEPT = ("edgehub", "eventhub", "mqtt")
"""Outputs whose messages the kit's outbox keeps, after their gates."""
ANSWERS = ("http",)
LINES: contextvars.ContextVar[list[logging.LogRecord] | None] = contextvars.ContextVar("edgefn_lines", default=None)


def load(
    root: str | Path,
    *,
    settings: Mapping[str, str] | None = None,
    sessions: Mapping[str, Answers] | None = None,
    clock: Clock | None = None,
    environment: Mapping[str, str] | None = None,
) -> Kit:
    """Loads the app in the folder ``root``, for calls; nothing is opened before a function is called.

    settings
        Over those of local.settings.json; the environment of the process is not looked at, unless it is given.
    sessions
        Recorded answers in place of models, by parameter or ``function.parameter``: a list with one answer a call
        (``[[Detection(...)], []]``, or as docs/sessions.md describes them), a file of them, or an object with
        ``infer``. Sessions that are not named here are opened as declared.
    clock
        The time that timers, frames and the intervals of outputs see; one that stands still when it is left out.

    Raises EdgefnError when host.json, local.settings.json or ``sessions`` can not be used. A function that is in
    error says why when it is called.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise EdgefnError(f"{folder}: is no folder; name the one with host.json")
    return Kit(folder, dict(settings or {}), dict(sessions or {}), clock or Clock(), dict(environment or {}))


class Kit:
    """A loaded app. ``close`` it, or use it with ``with``: models and threads go, and the state folder."""

    def __init__(
        self,
        root: Path,
        settings: Mapping[str, str],
        sessions: Mapping[str, Answers],
        clock: Clock,
        environment: Mapping[str, str],
    ) -> None:
        self.clock = clock
        path, state = sys.path[:], Path(tempfile.mkdtemp(prefix="edgefn-test-"))
        self._around = Surroundings(clock)
        try:
            self.app: App = load_app(
                root, environment=environment, given=settings, state=state, plugins=(self._around,)
            )
            self._stubs = Stubs(sessions, self.app.functions, self.app.root)
        except BaseException:
            shutil.rmtree(state, ignore_errors=True)
            sys.path[:] = path
            raise
        self._events = Events(self.app, clock)
        self._invokers: dict[str, Invoker] = {}
        self._opened: list[Any] = []
        self._collected: dict[int, Collected] = {}
        self._threads: Threads | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="edgefn-test", daemon=True)
        self._thread.start()
        added = [entry for entry in sys.path if entry not in path]
        self._left = weakref.finalize(self, _leave, self._loop, self._thread, state, added)

    @property
    def functions(self) -> list[str]:
        """The names of the app's functions."""
        return [function.name for function in self.app.functions]

    # --- calls ---------------------------------------------------------------------------------------------------

    def call(self, function: str, given: Any = None) -> Result:
        """Runs the function once, and waits for it. What ``given`` is depends on its trigger:

        ``videoFrameTrigger``
            a picture (numpy array, H x W x 3, uint8, BGR), the path of one, or a VideoFrame; a list of them with
            cardinality many; nothing for the first frame of the function's own source.
        ``edgeHubTrigger``, ``eventHubTrigger``
            a body (dict, list, str, bytes), or a message with properties, as ``edgefn.testing.message`` makes it.
        ``fileTrigger``
            the path of a file, in its folder or from the app root; or what would be read of one: a picture, a text or
            bytes (a text is content where the parameter wants that), a JSON value.
        ``timerTrigger``
            nothing, or ``Tick(past_due=True)``.
        ``httpTrigger``
            a ``Request``; nothing for a request to its route.
        ``directMethodTrigger``, ``twinTrigger``
            the payload, or the desired properties: a JSON value.
        other triggers
            the event's value.

        It is one attempt, whatever the retry policy. An error of the function is in ``outcome``, and raised by the
        result's ``value`` and ``outputs``. Raises EdgefnError for a function that is not there, is in error, or whose
        bindings can not be opened, and for what can not become an event.
        """
        found = function_named(self.app, function)
        return self._run(self._invoke(found, self._events.event(found, given)))

    def play(self, function: str, clip: str | Path | None = None, *, seconds: float | None = None) -> list[Result]:
        """Runs the function for the frames of a clip, one after the other, as its ``max_fps`` and ``every_nth`` say.

        ``clip`` is whatever a source may be, by default the function's own; ``seconds`` of it, by default to its end.
        The clock goes with the frames, so that intervals of outputs count in the time of the clip.
        """
        found = function_named(self.app, function)
        frames: Iterator[Any] = self._events.clip(found, clip, seconds)
        trigger = found.trigger
        assert trigger is not None
        if isinstance(trigger.options, VideoFrameTrigger) and trigger.options.cardinality == "many":
            frames = _batches(frames, trigger.options.max_batch_size)
        return [self._run(self._invoke(found, self._events.event(found, one))) for one in frames]

    def pass_by(self, seconds: float) -> list[Result]:
        """Lets time pass on the clock, and runs each timer whenever it is due in between, in the order of the times."""
        zone, now = time_zone(self.app.services.settings), self.clock.now()
        end = now + timedelta(seconds=seconds)
        schedules = {f.name: timer.schedule for f in self.app.functions if (timer := _timer(f)) is not None}
        due = {name: schedule.next(now, zone) for name, schedule in schedules.items()}
        results = []
        while coming := {name: moment for name, moment in due.items() if moment is not None and moment <= end}:
            name = min(coming, key=lambda each: coming[each])
            self.clock.reach(coming[name])
            results.append(self.call(name, Tick()))
            due[name] = schedules[name].next(coming[name], zone)
        self.clock.reach(end)
        return results

    # --- one invocation ------------------------------------------------------------------------------------------

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if not self._left.alive:
            work.close()
            raise EdgefnError(f"{self.app.root}: was closed; load it again")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _invoke(self, function: Function, event: Event) -> Result:
        invoker = await self._invoker(function)
        collected = self._collected[id(event)] = Collected()
        with _lines() as logs:
            outcome = await invoker.emit(event)
        del self._collected[id(event)]
        assert function.trigger is not None
        reply = reply_of(function.name, outcome) if function.trigger.type == "directMethodTrigger" else None
        return Result(function.name, outcome, collected, logs, response=_response(event, outcome), reply=reply)

    async def _invoker(self, function: Function) -> Invoker:
        invoker = self._invokers.get(function.name)
        if invoker is None:
            invoker = self._invokers[function.name] = await self._open(function)
        return invoker

    async def _open(self, function: Function) -> Invoker:
        kinds = self.app.kinds
        self._threads = self._threads or Threads(8)
        inputs, outputs = {}, {}
        for binding in function.inputs:
            given = self._stubs.input(binding)
            inputs[binding.name] = given or await kinds.inputs[binding.type.lower()].open(binding)
            self._opened.append(inputs[binding.name])
        for binding in function.outputs:
            outputs[binding.name] = await self._output(binding)
            self._opened.append(outputs[binding.name])
        assert function.trigger is not None
        kind = kinds.triggers[function.trigger.type.lower()]
        return Invoker(
            replace(function, retry=None),
            self.app.root,
            convert=kind.convert(function.trigger),
            inputs=inputs,
            outputs=outputs,
            threads=self._threads,
            metrics=self.app.services.metrics.function(function.name),
            level=logging.DEBUG,
            is_call=getattr(kind, "is_call", False),
        )

    async def _output(self, binding: Binding) -> Output:
        opened = await self.app.kinds.outputs[binding.type.lower()].open(binding)
        if binding.type.lower() in KEPT:
            return ToldOutput(binding.name, _Kept(self, binding.name, opened), self._told)
        return ToldOutput(binding.name, opened if binding.type.lower() in ANSWERS else Unsent(opened), self._left_by)

    def _told(self, name: str, event: Event, said: Any) -> None:
        collected = self._collected[id(event)]
        collected.given[name], collected.raw[name] = values_of(said), said
        collected.outputs.setdefault(name, [])

    def _left_by(self, name: str, event: Event, said: Any) -> None:
        self._told(name, event, said)
        self._collected[id(event)].outputs[name] = values_of(said)

    def kept(self, name: str, event: Event) -> None:
        """Takes what the gate of an output has let through, out of the outbox."""
        messages, collected = self._around.outbox.taken(), self._collected[id(event)]
        collected.outputs[name] = values_of(messages)
        collected.messages += messages

    # --- the end -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Closes what was opened; a second time does nothing."""
        if self._left.alive:
            self._run(self._close())
            self._left()

    async def _close(self) -> None:
        for opened in (*self._opened, *self.app.kinds.all()):
            await opened.close()
        for kind in self.app.services.session_kinds.values():
            await asyncio.to_thread(kind.close)
        if self._threads is not None:
            self._threads.close()
        await self._loop.shutdown_default_executor()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _Kept:
    """An output of edgeHub, or a broker, whose messages go to the result of their invocation."""

    def __init__(self, kit: Kit, name: str, output: Output) -> None:
        self._kit = kit
        self._name = name
        self._output = output
        self.encode = output.encode
        self.status = output.status
        self.close = output.close

    async def send(self, encoded: Any, event: Event) -> None:
        await self._output.send(encoded, event)  # into the outbox, which never waits: no other invocation is in between
        self._kit.kept(self._name, event)


def _timer(function: Function) -> TimerTrigger | None:
    """The timer of a function that runs."""
    options = function.trigger.options if function.trigger is not None else None
    return options if isinstance(options, TimerTrigger) and not function.errors and not function.disabled else None


def _batches(frames: Iterable[Any], size: int) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _response(event: Event, outcome: Outcome) -> Response | None:
    """What the web server would answer."""
    slot = event.metadata.get("reply")
    if not isinstance(slot, Slot):
        return None
    reply = (slot.reply or Reply(204)) if outcome.status is Status.OK else Reply(500)
    headers = {name.decode(): text.decode("latin-1") for name, text in reply.headers}
    return Response(reply.status, headers, reply.body)


class _Lines(logging.Handler):
    """Keeps the lines of the invocation in whose context they are written."""

    def emit(self, record: logging.LogRecord) -> None:
        lines = LINES.get()
        if lines is not None and record.pathname:  # the host's own lines name no file
            lines.append(record)


@contextmanager
def _lines() -> Iterator[list[logging.LogRecord]]:
    root, handler, lines = logging.getLogger(), _Lines(), list[logging.LogRecord]()
    before, token = root.level, LINES.set(lines)
    root.addHandler(handler)
    root.setLevel(min(before, logging.INFO) if before else logging.INFO)
    try:
        yield lines
    finally:
        root.setLevel(before)
        root.removeHandler(handler)
        LINES.reset(token)


def _leave(loop: asyncio.AbstractEventLoop, thread: threading.Thread, state: Path, added: list[str]) -> None:
    """Ends the loop, and puts back what loading has changed."""
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5.0)
    if not thread.is_alive():
        loop.close()
    shutil.rmtree(state, ignore_errors=True)
    sys.path[:] = [entry for entry in sys.path if entry not in added]
