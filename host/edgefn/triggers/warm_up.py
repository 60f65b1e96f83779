"""``warmupTrigger``: a function that runs once, when the host has started."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from azure.functions.warmup import WarmUpContext

from edgefn.contracts import Copies, Emit, Event, Feed, Services, TriggerKind
from edgefn.errors import BindingError
from edgefn.function import Binding, Options
from edgefn.hookspecs import hookimpl
from edgefn.values import first_of_union
from edgefn.workers import work


class WarmUpTrigger(Options):
    """``warmupTrigger`` has no options."""


class WarmUpListener:
    """Runs the function once, and ends."""

    feed = Feed.FINITE

    def __init__(self) -> None:
        self._state = "waiting"

    async def listen(self, emit: Emit) -> None:
        async def take() -> Event:
            if self._state != "waiting":
                raise StopAsyncIteration
            self._state = "running"
            return Event("{}", "The host has started")

        async def handle(event: Event) -> None:
            outcome = await emit(event)
            self._state = outcome.status.value

        await work(1, take, handle)

    def status(self) -> Mapping[str, Any]:
        return {"warm_up": self._state}


class WarmUpTriggerKind:
    """The binding type ``warmupTrigger``."""

    type = "warmupTrigger"
    options = WarmUpTrigger
    level = logging.INFO

    def check(self, binding: Binding) -> None:
        self.convert(binding)

    def convert(self, binding: Binding) -> Callable[[Any], Any] | None:
        """``func.warmup.WarmUpContext``, also for no annotation; ``str``, ``bytes``, ``dict``: an empty object."""
        annotation = first_of_union(binding.annotation)
        if annotation in (None, Any) or (inspect.isclass(annotation) and issubclass(annotation, WarmUpContext)):
            return lambda _: WarmUpContext()
        if annotation is str:
            return None
        if annotation is bytes:
            return str.encode
        if annotation is dict:
            return lambda _: {}
        name = getattr(annotation, "__name__", annotation)
        raise BindingError(
            f"{binding.where()}: a warm-up can not become {name}; "
            "func.warmup.WarmUpContext, str, bytes or dict would do"
        )

    def listener(self, binding: Binding) -> WarmUpListener:
        return WarmUpListener()

    def copies(self, binding: Binding) -> Copies:
        """Each host is warmed up."""
        return Copies()

    def manual(self, binding: Binding, text: str) -> Event:
        """Another warm-up; a text means nothing to it."""
        return Event("{}")

    async def close(self) -> None:
        """Shares nothing."""


@hookimpl
def edgefn_triggers(services: Services) -> Sequence[TriggerKind]:
    return [WarmUpTriggerKind()]
