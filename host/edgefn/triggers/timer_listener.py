"""The running side of ``timerTrigger``.

The wall clock of a device steps and stands still, so the listener never trusts a long sleep: it looks at the clock at
least every 30 s. An occurrence is fired once, however often the clock passes it; what was missed while the machine was
suspended, or the host did not run, is made up for by one invocation that is past due.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

import orjson

from edgefn.contracts import Emit, Event, Feed
from edgefn.kept import Kept
from edgefn.ncrontab import Interval
from edgefn.triggers.timer_clock import Clock
from edgefn.triggers.timer_options import TimerTrigger
from edgefn.triggers.timer_record import Record
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
        monitor: Kept | None,
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
        kept = await asyncio.to_thread(self._monitor.read_as, Record.of) if self._monitor else None
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
