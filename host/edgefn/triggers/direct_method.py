"""``directMethodTrigger``: a direct method of the module; what the function returns is the answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from pydantic import Field

from edgefn.contracts import Copies, Emit, Event, Feed, MethodReply, Outcome, Services, Status, TriggerKind
from edgefn.errors import BindingError, EdgefnError, StillRunning, UnfitEvent
from edgefn.function import Binding, Options
from edgefn.hookspecs import hookimpl
from edgefn.methods import Methods, refusal
from edgefn.values import json_bytes, json_converter, refuse_pictures

log = logging.getLogger("edgefn.methods")

LAST_WISH = 1.0
"""Seconds that invocations get to end after they were cancelled."""
LONGEST = 300
"""Characters of an error that a caller is told."""


class DirectMethodTrigger(Options):
    """The options of ``directMethodTrigger``."""

    method_name: str = Field(min_length=1)


class DirectMethodListener:
    """Answers one method while it listens; requests run side by side."""

    feed = Feed.ENDLESS

    def __init__(self, binding: Binding, methods: Methods) -> None:
        self._function = binding.function
        self._method = _options(binding).method_name
        self._methods = methods
        self._tasks: set[asyncio.Task[Outcome]] = set()
        self._requests = 0

    async def listen(self, emit: Emit) -> None:
        async def answer(payload: Any) -> MethodReply:
            return await self._answer(payload, emit)

        self._methods.serve(self._method, answer)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._methods.withdraw(self._method, answer)
            await self._end()

    async def _end(self) -> None:
        """Waits for the invocations that it started; cancels them when it is cancelled itself."""
        try:
            while self._tasks:
                await asyncio.wait(self._tasks)
        except asyncio.CancelledError:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=LAST_WISH)
            raise

    async def _answer(self, payload: Any, emit: Emit) -> MethodReply:
        event = Event(payload, f"Direct method {self._method} was called")
        task = asyncio.ensure_future(emit(event))
        self._requests += 1
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait([task])
        if task.cancelled():
            return refusal(503, f"function '{self._function}' was stopped before it could answer")
        return reply_of(self._function, task.result())

    def status(self) -> Mapping[str, Any]:
        return {"method": self._method, "requests": self._requests, "answering": len(self._tasks)}


def reply_of(function: str, outcome: Outcome) -> MethodReply:
    """The answer that an outcome is: ``(status, payload)`` or a payload as returned; of an error its first line."""
    if outcome.ok:
        return _returned(function, outcome.value)
    error = outcome.error
    if outcome.status is Status.TIMED_OUT:
        return refusal(504, f"function '{function}' ran into its time-out")
    if isinstance(error, StillRunning):
        return refusal(503, f"function '{function}' is held by a call that ran into its time-out")
    if isinstance(error, UnfitEvent):
        return refusal(400, short(error))
    return refusal(500, short(error))


def _returned(function: str, value: Any) -> MethodReply:
    status = 200
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], int) and not isinstance(value[0], bool):
        status, value = value
    try:
        refuse_pictures(value)
        return MethodReply(status, {} if value is None else orjson.loads(json_bytes(value)))
    except TypeError as error:
        log.error("The answer of function '%s' can not be sent: %s", function, error)
        return refusal(500, f"the answer of function '{function}' can not be sent: {error}")


def short(error: BaseException | None) -> str:
    """The first line of an error, for somebody far away."""
    text = str(error) if isinstance(error, EdgefnError) else f"{type(error).__name__}: {error}"
    return text.strip().partition("\n")[0][:LONGEST]


class DirectMethodTriggerKind:
    """The binding type ``directMethodTrigger``."""

    type = "directMethodTrigger"
    options = DirectMethodTrigger
    level = logging.INFO
    is_call = True
    """Somebody waits for each outcome: a slow invocation holds up no other, and none is tried again."""
    fixed = ("methodName",)

    def __init__(self, services: Services) -> None:
        self._methods = services.methods

    def check(self, binding: Binding) -> None:
        self.convert(binding)
        name = _options(binding).method_name
        owner = self._methods.claim(name, binding.function)
        if owner != binding.function:
            raise BindingError(
                f"{binding.where()}: function '{owner}' answers the direct method '{name}' already; "
                "give one of them another methodName"
            )

    def release(self, function: str) -> None:
        self._methods.release(function)

    def convert(self, binding: Binding) -> Callable[[Any], Any] | None:
        """The payload as it is without an annotation; else what its JSON can become."""
        try:
            return json_converter(binding.annotation, "a payload")
        except TypeError as error:
            raise BindingError(f"{binding.where()}: {error}") from None

    def listener(self, binding: Binding) -> DirectMethodListener:
        return DirectMethodListener(binding, self._methods)

    def copies(self, binding: Binding) -> Copies:
        """A method is called of the one module that has it."""
        return Copies("who calls it reaches one host")

    def manual(self, binding: Binding, text: str) -> Event:
        """The text as the payload: the JSON value that it is, else the text itself; nothing is null."""
        try:
            return Event(orjson.loads(text) if text.strip() else None)
        except orjson.JSONDecodeError:
            return Event(text)

    async def close(self) -> None:
        """Shares nothing that is open."""


def _options(binding: Binding) -> DirectMethodTrigger:
    assert isinstance(binding.options, DirectMethodTrigger)
    return binding.options


@hookimpl
def edgefn_triggers(services: Services) -> Sequence[TriggerKind]:
    return [DirectMethodTriggerKind(services)]
