"""``timerTrigger``: a function that runs on a schedule, as Azure Functions' timer does.

The wall clock of a device steps and stands still, so the listener never trusts a long sleep: it looks at the clock at
least every 30 s. An occurrence is fired once, however often the clock passes it; what was missed while the machine was
suspended, or the host did not run, is made up for by one invocation that is past due.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from inspect import isclass
from pathlib import Path
from typing import Annotated, Any, Protocol, get_origin
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import azure.functions as func
import orjson
from azure.functions.meta import Datum
from azure.functions.timer import TimerRequestConverter
from pydantic import Field, PlainValidator

from edgefn.contracts import Emit, Event, Feed, Services, TriggerKind
from edgefn.errors import BindingError, SettingError, nearest
from edgefn.function import Binding, Options, Truth
from edgefn.hookspecs import hookimpl
from edgefn.ncrontab import Interval, Schedule, parse
from edgefn.settings import Settings
from edgefn.values import first_of_union
from edgefn.workers import work

log = logging.getLogger("Host.Triggers.Timer")

MOST_SKIPPED = 10_000
"""Occurrences that are counted at a start; one that took longer is told of as so many."""
LOOK = 30.0
"""Seconds after which a sleeping timer looks at the clock again."""
LATE = timedelta(seconds=LOOK)
"""What an occurrence may be late and still count as scheduled."""
SET_BACK = timedelta(days=1)
"""A clock that goes back by more than this was wrong before: the schedule starts anew. Less is waited for."""
NEVER = "0001-01-01T00:00:00+00:00"
"""How .NET writes a time that is not set."""


FORMS = r"^\s*(?:\S+(?:\s+\S+){4,5}|(?:\d+\.)?\d+:\d+(?::\d+(?:\.\d+)?)?)\s*$"
"""What a schedule looks like: five or six fields, or a TimeSpan."""


class TimerTrigger(Options):
    """The options of ``timerTrigger``."""

    schedule: Annotated[Schedule, PlainValidator(parse, json_schema_input_type=Annotated[str, Field(pattern=FORMS)])]
    """NCRONTAB of six or five fields, or a TimeSpan."""
    run_on_startup: Annotated[bool, Truth] = False
    """Whether the function also runs when the host starts."""
    use_monitor: Annotated[bool, Truth] = True
    """Whether a restart sees what was missed; never done for a schedule that fires more than once a minute."""


# --- the clock ---------------------------------------------------------------------------------------------------


class Clock(Protocol):
    """The time that a timer lives in."""

    def now(self) -> datetime:
        """The wall-clock time, aware, in UTC. It may step, and stand still while nobody looks."""

    async def sleep(self, seconds: float) -> None:
        """Waits for about so long; cancelling it loses nothing."""


class WallClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def time_zone(settings: Settings) -> tzinfo:
    """The zone of schedules: ``WEBSITE_TIME_ZONE``, else ``TZ``, else that of the machine, else UTC.

    The settings hold an IANA name, a Windows name, or (TZ) the path of a file as in /usr/share/zoneinfo. Raises
    SettingError for a zone that is not known.
    """
    for setting in ("WEBSITE_TIME_ZONE", "TZ"):
        if name := (settings.get(setting) or "").strip().removeprefix(":"):
            return _named_zone(setting, name)
    return _machine_zone()


def _named_zone(setting: str, name: str) -> tzinfo:
    from tzlocal.windows_tz import win_tz

    iana = next((zone for windows, zone in win_tz.items() if windows.lower() == name.lower()), name)
    try:
        if Path(iana).is_absolute():
            with Path(iana).open("rb") as file:
                return ZoneInfo.from_file(file, key=iana)
        return ZoneInfo(iana)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingError(
            f"{setting}: '{name}' is no known time zone; a name like Europe/Berlin or W. Europe Standard Time would be "
            f"right{nearest(name, {*available_timezones(), *win_tz})}"
        ) from None


def _machine_zone() -> tzinfo:
    from tzlocal import get_localzone

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a container that names no zone has UTC, which is nothing to warn of
        try:
            return get_localzone()
        except ZoneInfoNotFoundError as error:
            raise SettingError(
                f"the time zone of this machine is not known ({error}); set WEBSITE_TIME_ZONE, e.g. to Europe/Berlin"
            ) from None


# --- the monitor -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a timer, all in UTC: Azure Functions' ScheduleStatus."""

    last: datetime | None
    """The invocation before, None when there was none."""
    next: datetime | None
    """The next occurrence; None when the schedule never fires."""
    updated: datetime | None
    """The time from which ``next`` was reckoned."""

    def json(self, zone: tzinfo) -> dict[str, str | None]:
        """``{Last, Next, LastUpdated}`` with ISO 8601 times in the zone of the schedule."""

        def text(moment: datetime | None) -> str | None:
            return moment.astimezone(zone).isoformat() if moment else None

        return {"Last": text(self.last) or NEVER, "Next": text(self.next), "LastUpdated": text(self.updated) or NEVER}

    @classmethod
    def of(cls, document: Any) -> Record:
        """Reads what ``json`` wrote; raises ValueError or KeyError."""
        if not isinstance(document, dict):
            raise ValueError("it is no JSON object")
        return cls(*(_moment(document[name]) for name in ("Last", "Next", "LastUpdated")))


def _moment(text: Any) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(str(text))
    if moment.year == 1:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"'{text}' has no offset")
    return moment.astimezone(UTC)


class Monitor:
    """Keeps the record of one timer in a file, so that a restart sees what was missed.

    A file that can not be used is set aside and counts as missing; a disk that takes nothing does not stop the timer.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failing = False

    def read(self, now: datetime) -> Record | None:
        """The record that was kept last; None when there is none. ``now`` names the file that is set aside."""
        try:
            return Record.of(orjson.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, OverflowError) as error:
            aside = self._path.with_name(f"{self._path.name}.unusable-{now:%Y%m%dT%H%M%S}")
            fault = f"it lacks {error}" if isinstance(error, KeyError) else error
            log.warning(
                "%s: can not be used: %s; it is kept as %s, and the timer starts anew", self._path, fault, aside
            )
            with contextlib.suppress(OSError):
                self._path.replace(aside)
            return None

    def write(self, status: Mapping[str, Any]) -> None:
        """Keeps a record whole or not at all; says once that it can not, until it can again."""
        temporary = self._path.with_name(f"{self._path.name}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(orjson.dumps(status))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
            self._failing = False
        except OSError as error:
            if not self._failing:
                log.warning("%s: can not be written: %s; a restart will not see what was missed", self._path, error)
            self._failing = True
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


# --- the listener ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Firing:
    """One invocation to come: for an occurrence, or ``due`` None for the start of the host."""

    due: datetime | None
    past_due: bool = False

    def details(self, zone: tzinfo) -> dict[str, str]:
        """Why it comes at another time than its schedule's; nothing when it does not."""
        if self.due is None:
            return {"UnscheduledInvocationReason": "RunOnStartup"}
        if self.past_due:
            return {"UnscheduledInvocationReason": "IsPastDue", "OriginalSchedule": _round_trip(self.due, zone)}
        return {}


class TimerListener:
    """Runs a function at the occurrences of its schedule, never two at once.

    Occurrences that come while the function runs are made up for by one invocation when it has ended.
    """

    feed = Feed.ENDLESS

    def __init__(
        self,
        function: str,
        options: TimerTrigger,
        zone: tzinfo,
        clock: Clock,
        monitor: Monitor | None,
        since: datetime | None = None,
    ) -> None:
        self._function = function
        self._schedule = options.schedule
        self._run_on_startup = options.run_on_startup
        self._zone = zone
        self._clock = clock
        self._monitor = monitor
        self._record = Record(None, None, None)
        self._free = clock.now()
        """Since when the function could have run."""
        self._first: Firing | None = None
        self._fired = 0
        self._past_due = 0
        self._since = since
        """Since when the host has been starting; what falls due until the timer begins is skipped, and counted."""
        self._skipped = 0

    async def listen(self, emit: Emit) -> None:
        async def handle(firing: Firing) -> None:
            await self._fire(firing, emit)

        await self._begin()
        await work(1, self._take, handle)

    def status(self) -> Mapping[str, Any]:
        record = self._record.json(self._zone)
        return {
            "schedule": self._schedule.expression,
            "zone": str(self._zone),
            "last": record["Last"] if self._record.last else None,
            "next": record["Next"],
            "fired": self._fired,
            "past_due": self._past_due,
            "skipped": self._skipped,
            "monitored": self._monitor is not None,
        }

    async def _begin(self) -> None:
        """Takes up where the host before left off."""
        now = self._free = self._clock.now()
        kept = await asyncio.to_thread(self._monitor.read, now) if self._monitor else None
        self._record = self._taken_up(kept, now)
        if self._record != kept:
            await self._keep()
        due = self._record.next
        self._first = Firing(None) if self._run_on_startup and not self._fired else None
        if due is not None and due < now:
            self._first = Firing(due, past_due=True)
        self._count_skipped(now)
        self._tell(now)

    def _count_skipped(self, now: datetime) -> None:
        """Counts what fell due while the host was starting, once."""
        at, self._since = self._since, None
        while at is not None and self._skipped < MOST_SKIPPED:
            at = self._schedule.next(at, self._zone)
            if at is None or at > now:
                break
            self._skipped += 1
        if self._skipped:
            log.warning("'%s' was due while the host was starting, and was skipped: %d", self._function, self._skipped)

    def _taken_up(self, kept: Record | None, now: datetime) -> Record:
        """The record to go on with; past due only if the schedule is the one that the record was made by."""
        base = now if kept is None else kept.last or kept.updated or now
        if kept is None or base - now > SET_BACK:
            return self._anew(now)
        expected = self._schedule.next(base, self._zone)
        if kept.next == expected:
            return kept
        return self._anew(now if expected is not None and expected < now else base)

    def _anew(self, base: datetime) -> Record:
        return Record(None, self._schedule.next(base, self._zone), base)

    async def _take(self) -> Firing:
        """Waits for the next occurrence."""
        if (first := self._first) is not None:
            self._first = None
            return first
        while True:
            now = self._clock.now()
            if self._record.updated is not None and self._record.updated - now > SET_BACK:
                log.warning("The clock was set back to %s; the schedule of '%s' starts anew", now, self._function)
                self._record, self._free = self._anew(now), now
                await self._keep()
            left = LOOK
            if (due := self._record.next) is not None:
                left = (due - now).total_seconds()
                if left <= 0:
                    return Firing(due, past_due=now - max(due, self._free) > LATE)
            await self._clock.sleep(min(left, LOOK))

    async def _fire(self, firing: Firing, emit: Emit) -> None:
        now = self._clock.now()
        self._fired += 1
        self._past_due += firing.past_due
        details = firing.details(self._zone)
        if details:
            shown = ", ".join(f"{name}: {value}" for name, value in details.items())
            logging.getLogger(f"Function.{self._function}").info("Trigger Details: %s", shown)
        await emit(Event(self._value(firing), f"Timer fired at {_round_trip(now, self._zone)}", details))
        base = now if firing.due is None else max(now, firing.due)  # so that a clock that went back fires nothing twice
        self._record = Record(base, self._schedule.next(base, self._zone), base)
        self._free = self._clock.now()
        await self._keep()

    def _value(self, firing: Firing) -> str:
        """The JSON that Azure's host sends to its Python worker."""
        value = {
            "Schedule": {"AdjustForDST": not isinstance(self._schedule, Interval)},
            "ScheduleStatus": self._record.json(self._zone) if self._monitor else None,
            "IsPastDue": firing.past_due,
        }
        return orjson.dumps(value).decode()

    async def _keep(self) -> None:
        if self._monitor is not None:
            await asyncio.to_thread(self._monitor.write, self._record.json(self._zone))

    def _tell(self, now: datetime) -> None:
        coming = list(self._occurrences(now, 5))
        if not coming:
            log.warning("The '%s' schedule (%s) never fires", self._function, self._schedule.label)
            return
        lines = "\n".join(_shown(moment, self._zone) for moment in coming)
        log.info(
            "The next %d occurrences of the '%s' schedule (%s) will be:\n%s",
            len(coming),
            self._function,
            self._schedule.label,
            lines,
        )

    def _occurrences(self, base: datetime, count: int) -> Iterator[datetime]:
        for _ in range(count):
            found = self._schedule.next(base, self._zone)
            if found is None:
                return
            yield (base := found)


def _round_trip(moment: datetime, zone: tzinfo) -> str:
    """.NET's round-trip format, seven digits of a second: ``2026-09-01T12:00:00.0000000+02:00``."""
    text = moment.astimezone(zone).isoformat(timespec="microseconds")
    return f"{text[:26]}0{text[26:]}"


def _shown(moment: datetime, zone: tzinfo) -> str:
    """``MM/dd/yyyy HH:mm:ssZ``; for a zone that is not UTC the local time, and that one in brackets."""
    in_utc = f"{moment:%m/%d/%Y %H:%M:%SZ}"
    if not any(datetime(moment.year, month, 1, tzinfo=zone).utcoffset() for month in (1, 7)):
        return in_utc
    local = moment.astimezone(zone)
    return f"{local:%m/%d/%Y %H:%M:%S}{local.isoformat()[-6:]} ({in_utc})"


# --- the binding type --------------------------------------------------------------------------------------------


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
        monitor = Monitor(path) if is_monitored else None
        zone = time_zone(self._services.settings)
        return TimerListener(binding.function, binding.options, zone, self._clock, monitor, self._loaded)

    def manual(self, binding: Binding, text: str) -> Event:
        """An invocation out of turn, which the schedule knows nothing of; a text means nothing to a timer."""
        assert isinstance(binding.options, TimerTrigger)
        adjusts = not isinstance(binding.options.schedule, Interval)
        value = {"Schedule": {"AdjustForDST": adjusts}, "ScheduleStatus": None, "IsPastDue": False}
        return Event(orjson.dumps(value).decode())

    async def close(self) -> None:
        """Shares nothing."""


def _timer_request(text: str) -> Any:
    return TimerRequestConverter.decode(Datum(text, "json"), trigger_metadata=None)


@hookimpl
def edgefn_triggers(services: Services) -> Sequence[TriggerKind]:
    return [TimerTriggerKind(services)]
