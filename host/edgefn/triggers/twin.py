"""``twinTrigger``: a function that hears of desired properties: first of all there are, then of each change."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from edgefn.contracts import Copies, Emit, Event, Feed, Services, TriggerKind
from edgefn.desired import Desired, at, changes, same
from edgefn.errors import BindingError
from edgefn.function import Binding, Options
from edgefn.hookspecs import hookimpl
from edgefn.values import json_converter
from edgefn.workers import work


class TwinTrigger(Options):
    """The options of ``twinTrigger``."""

    property: str = ""
    """The path of the one property to listen to, like ``camera.zoom``; empty for all."""


class TwinListener:
    """Hands over what is different from what it gave before; changes that come while the function runs are one.

    Only what the host accepted counts: desired properties that it refuses are no change.
    """

    feed = Feed.ENDLESS

    def __init__(self, path: str, desired: Desired) -> None:
        self._path = path
        self._desired = desired
        self._given: Mapping[str, Any] | None = None
        self._changes = 0

    async def listen(self, emit: Emit) -> None:
        await work(1, self._take, emit)

    async def _take(self) -> Event:
        while True:
            new = await self._desired.other_than(self._given)
            version = self._desired.version
            old, self._given = self._given, new
            if not self._path:
                return self._event(new if old is None else changes(old, new), version)
            value = at(new, self._path)
            if not same(value, None if old is None else at(old, self._path)):
                return self._event(value, version)

    def _event(self, value: Any, version: int) -> Event:
        self._changes += 1
        named = f"'{self._path}' of the desired" if self._path else "Desired"
        own = copy.deepcopy(value)  # the function may do with it what it likes
        return Event(own, f"{named} properties changed, version {version}", {"version": version})

    def status(self) -> Mapping[str, Any]:
        return {"changes": self._changes, "version": self._desired.version}


class TwinTriggerKind:
    """The binding type ``twinTrigger``."""

    type = "twinTrigger"
    options = TwinTrigger
    level = logging.INFO

    def __init__(self, services: Services) -> None:
        self._desired = services.desired

    def check(self, binding: Binding) -> None:
        self.convert(binding)
        path = _options(binding).property
        if path and any(not name or name.startswith("$") for name in path.split(".")):
            raise BindingError(
                f"{binding.where()}: property '{path}' is no path; names with dots between them, like camera.zoom"
            )

    def convert(self, binding: Binding) -> Callable[[Any], Any] | None:
        """The JSON value as it is without an annotation; else what it can become."""
        try:
            return json_converter(binding.annotation, "a desired property")
        except TypeError as error:
            raise BindingError(f"{binding.where()}: {error}") from None

    def listener(self, binding: Binding) -> TwinListener:
        return TwinListener(_options(binding).property, self._desired)

    def copies(self, binding: Binding) -> Copies:
        """Each host is told of its properties."""
        return Copies()

    def manual(self, binding: Binding, text: str) -> Event:
        """The text as JSON: the properties that changed, or the value of the one; nothing is an empty object."""
        try:
            return Event(orjson.loads(text) if text.strip() else None if _options(binding).property else {})
        except orjson.JSONDecodeError as error:
            raise BindingError(f"{binding.where()}: the text is no JSON: {error}; desired properties are") from None

    async def close(self) -> None:
        """Shares nothing."""


def _options(binding: Binding) -> TwinTrigger:
    assert isinstance(binding.options, TwinTrigger)
    return binding.options


@hookimpl
def edgefn_triggers(services: Services) -> Sequence[TriggerKind]:
    return [TwinTriggerKind(services)]
