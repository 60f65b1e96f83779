"""``timerTrigger``: a function that runs on a schedule, as Azure Functions' timer does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from inspect import isclass
from typing import Any, get_origin

import azure.functions as func
import orjson
from azure.functions.meta import Datum
from azure.functions.timer import TimerRequestConverter

from edgefn.contracts import Copies, Event, Origin, Services, TriggerKind
from edgefn.errors import BindingError, SettingError
from edgefn.function import Binding
from edgefn.hookspecs import hookimpl
from edgefn.kept import Kept
from edgefn.ncrontab import Interval
from edgefn.triggers.timer_clock import Clock, WallClock, time_zone
from edgefn.triggers.timer_listener import TimerListener
from edgefn.triggers.timer_options import TimerTrigger
from edgefn.values import first_of_union


class TimerTriggerKind:
    """The binding type ``timerTrigger``."""

    type = "timerTrigger"
    options = TimerTrigger
    level = logging.INFO

    def __init__(self, services: Services, clock: Clock | None = None) -> None:
        self._services = services
        self._clock = clock or WallClock()
        self._loaded = self._clock.now()

    def check(self, binding: Binding) -> None:
        self.convert(binding)
        try:
            time_zone(self._services.settings)
        except SettingError as error:
            raise SettingError(f"{binding.where()}: {error}") from None

    def convert(self, binding: Binding) -> Callable[[Any], Any] | None:
        """``func.TimerRequest``, also without an annotation; ``str``, ``bytes`` and ``dict`` are its JSON."""
        annotation = first_of_union(binding.annotation)
        if annotation is str:
            return None
        if annotation is bytes:
            return str.encode
        if annotation is dict or get_origin(annotation) is dict:
            return orjson.loads
        if annotation in (None, Any) or (isclass(annotation) and issubclass(annotation, func.TimerRequest)):
            return _timer_request
        name = getattr(annotation, "__name__", annotation)
        raise BindingError(
            f"{binding.where()}: a timer can not become {name}; func.TimerRequest, str, bytes or dict would do"
        )

    def listener(self, binding: Binding) -> TimerListener:
        assert isinstance(binding.options, TimerTrigger)
        path = self._services.state / "timers" / f"{binding.function}.json"
        is_monitored = binding.options.use_monitor and not binding.options.schedule.is_frequent
        monitor = Kept(path, "a restart does not see what was missed") if is_monitored else None
        zone = time_zone(self._services.settings)
        return TimerListener(binding.function, binding.options, zone, self._clock, monitor, self._loaded)

    def origin(self, binding: Binding) -> Callable[[Event], Origin]:
        """The schedule."""
        assert isinstance(binding.options, TimerTrigger)
        origin = Origin("timer", attributes={"faas.cron": binding.options.schedule.label})
        return lambda event: origin

    def manual(self, binding: Binding, text: str) -> Event:
        """An invocation out of turn, which the schedule knows nothing of; a text means nothing to a timer."""
        assert isinstance(binding.options, TimerTrigger)
        adjusts = not isinstance(binding.options.schedule, Interval)
        value = {"Schedule": {"AdjustForDST": adjusts}, "ScheduleStatus": None, "IsPastDue": False}
        return Event(orjson.dumps(value).decode())

    def copies(self, binding: Binding) -> Copies:
        """Azure Functions has a timer run in one host of an app."""
        return Copies("each host would run it at each of its times")

    async def close(self) -> None:
        """Shares nothing."""


def _timer_request(text: str) -> Any:
    return TimerRequestConverter.decode(Datum(text, "json"), trigger_metadata=None)


@hookimpl
def edgefn_triggers(services: Services) -> Sequence[TriggerKind]:
    return [TimerTriggerKind(services)]
