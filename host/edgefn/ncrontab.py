"""Schedule expressions of Azure Functions' timers: NCRONTAB and .NET's TimeSpan. Pure: no clock in here.

Six fields ``second minute hour day month day-of-week``, or five without the seconds. All fields must match at once:
``45 16 1 * Mon`` is the first of a month that is a Monday. The syntax is that of the .NET library NCrontab, the rules
for the hours that daylight saving time skips and repeats are those of Azure Functions' timer.
"""

from __future__ import annotations

import calendar
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Protocol

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
SHORTEST = timedelta(milliseconds=1)
YEARS = 40
"""A date that does not come in so many years never comes: February 29 on a given weekday is the rarest."""
TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d+):(\d+)(?::(\d+)(?:\.(\d{1,7}))?)?", re.ASCII)


class Schedule(Protocol):
    """When a timer fires. A value: it compares, prints, and knows no clock."""

    @property
    def expression(self) -> str:
        """The expression as it was written."""

    @property
    def label(self) -> str:
        """How log lines name it: ``Cron: '0 */5 * * * *'`` or ``Constant: 00:05:00``."""

    @property
    def is_frequent(self) -> bool:
        """Whether it fires more than once a minute, the whole day."""

    def next(self, base: datetime, zone: tzinfo) -> datetime | None:
        """The first occurrence after ``base`` (aware), in UTC; None when there is none."""


def parse(expression: object) -> Schedule:
    """The schedule that an expression stands for; raises ValueError, with what is wrong and what would be right.

    Of a TimeSpan ``hh:mm:ss`` whose first number is 24 or more, .NET makes ``dd:hh:mm``: ``25:00:00`` is 25 days.
    """
    said = f"The schedule expression '{expression}' was not recognized as a valid cron expression or timespan string"
    if not isinstance(expression, str):
        raise ValueError(f"{said}; a text would be right")
    fields = expression.split()
    try:
        if len(fields) in (5, 6):
            return _cron(expression, fields)
        if match := TIME_SPAN.fullmatch(expression.strip()):
            return Interval(expression, _time_span(*match.groups()))
    except ValueError as error:
        raise ValueError(f"{said}: {error}") from None
    raise ValueError(
        f"{said}: it has {len(fields)} fields; 6 would be right (second minute hour day month day-of-week), "
        "5 without the seconds, or a time span hh:mm:ss"
    )


@dataclass(frozen=True, slots=True)
class Interval:
    """A constant time between two occurrences; ``period`` is at least 1 ms."""

    expression: str
    period: timedelta

    @property
    def label(self) -> str:
        return f"Constant: {self.expression.strip()}"

    @property
    def is_frequent(self) -> bool:
        return self.period < timedelta(minutes=1)

    def next(self, base: datetime, zone: tzinfo) -> datetime | None:
        """``base`` and one period, in UTC; None beyond the year 9999."""
        try:
            return base.astimezone(UTC) + self.period
        except OverflowError:
            return None


@dataclass(frozen=True, slots=True)
class Cron:
    """The values that each field allows, ascending; weekdays count from 0, Sunday."""

    expression: str
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    is_interval: bool
    """Whether second, minute or hour is written with ``*``, ``/`` or ``-``: then it also fires in a repeated hour."""

    @property
    def label(self) -> str:
        return f"Cron: '{' '.join(self.expression.split())}'"

    @property
    def is_frequent(self) -> bool:
        wide = ((self.minutes, 60), (self.hours, 24), (self.days, 31), (self.months, 12), (self.weekdays, 7))
        return len(self.seconds) > 1 and all(len(values) == count for values, count in wide)

    def next_local(self, base: datetime) -> datetime | None:
        """The first wall-clock time after ``base`` that matches all fields; None when there is none. Both are naive."""
        at = base.replace(microsecond=0, fold=0) + SECOND
        for day in self._dates(at.date()):
            found = self._time(at.time() if day == at.date() else time())
            if found is not None:
                return datetime.combine(day, found)
        return None

    def next(self, base: datetime, zone: tzinfo) -> datetime | None:
        """The first occurrence after ``base`` (aware), in UTC; None when there is none.

        A time that ``zone`` skips is moved on by what was skipped. A time that it repeats counts twice for an interval,
        and the first time only for a point in time.
        """
        base = base.astimezone(UTC)
        wall = base.astimezone(zone)
        offset, fold = wall.utcoffset(), wall.fold
        assert offset is not None
        local = wall.replace(tzinfo=None, fold=0)
        found = [
            self._following(local, base, zone),
            self._repeated(local, base, zone) if self.is_interval and not fold else None,
            self._moved(local, offset - _offset(base - DAY, zone), zone),
        ]
        return min((moment for moment in found if moment is not None), default=None)

    def _following(self, local: datetime, base: datetime, zone: tzinfo) -> datetime | None:
        """The first occurrence of those whose wall-clock time is after ``local``, the one of ``base``."""
        later: datetime | None = local
        while later is not None and (later := self.next_local(later)) is not None:
            first, second = _moments(later, zone)
            if second < first:  # skipped; and before it is made up for, there may be one right after the gap
                resumed = _change(second, first, zone).astimezone(zone).replace(tzinfo=None)
                after = self.next_local(resumed - SECOND)
                return first if after is None else min(first, _moments(after, zone)[0])
            if first > base:
                return first
            if self.is_interval and second > base:
                return second
        return None

    def _repeated(self, local: datetime, base: datetime, zone: tzinfo) -> datetime | None:
        """While the zone is in an hour that it will repeat: the first occurrence of the second time."""
        first, second = _moments(local, zone)
        if second <= first:
            return None
        begin = _change(base, second, zone).astimezone(zone).replace(tzinfo=None, fold=0)
        found = self.next_local(begin - SECOND)
        return None if found is None else _moments(found, zone)[1]

    def _moved(self, local: datetime, gap: timedelta, zone: tzinfo) -> datetime | None:
        """Where the offset grew by ``gap`` in the last day: the first skipped occurrence still to be made up for."""
        if gap <= timedelta():
            return None
        found = self.next_local(local - gap)
        if found is None or found > local:
            return None
        first, second = _moments(found, zone)
        return first if second < first else None

    def _dates(self, start: date) -> Iterator[date]:
        for year in range(start.year, min(start.year + YEARS, 9999) + 1):
            for month in self.months[bisect_left(self.months, start.month) if year == start.year else 0 :]:
                length = calendar.monthrange(year, month)[1]
                first = start.day if (year, month) == (start.year, start.month) else 1
                for day in self.days[bisect_left(self.days, first) :]:
                    if day <= length and (found := date(year, month, day)).isoweekday() % 7 in self.weekdays:
                        yield found

    def _time(self, start: time) -> time | None:
        """The first matching time of a day that is not before ``start``."""
        for hour in self.hours[bisect_left(self.hours, start.hour) :]:
            if hour > start.hour:
                return time(hour, self.minutes[0], self.seconds[0])
            for minute in self.minutes[bisect_left(self.minutes, start.minute) :]:
                if minute > start.minute:
                    return time(hour, minute, self.seconds[0])
                for second in self.seconds[bisect_left(self.seconds, start.second) :]:
                    return time(hour, minute, second)
        return None


# --- time zones --------------------------------------------------------------------------------------------------


def _moments(local: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """What a wall-clock time is in UTC: twice the same, the first and the second time, or, if skipped, swapped."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second


def _offset(moment: datetime, zone: tzinfo) -> timedelta:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The moment in (before, after] from which on the zone has the offset that it has at ``after``; to the second."""
    before = before.replace(microsecond=0)
    changed = _offset(after, zone)
    while after - before > SECOND:
        middle = before + (after - before) // SECOND // 2 * SECOND
        before, after = (before, middle) if _offset(middle, zone) == changed else (middle, after)
    return after


# --- expressions -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an expression: the values that it may have, and names for them, of which any beginning will do."""

    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()

    def values(self, text: str) -> tuple[int, ...]:
        """The values that the field's text allows, ascending; raises ValueError."""
        return tuple(sorted({value for item in text.split(",") for value in self._item(item)}))

    def _item(self, text: str) -> range:
        """``*``, ``a``, ``a-b``, or ``a/step``, which runs to the end, ``*/step``, ``a-b/step``."""
        head, slash, step = text.partition("/")
        if slash and not re.fullmatch(r"[+-]?\d+", step, re.ASCII):
            raise ValueError(f"'{text}' in its {self.name} has no step; a number would be right, as in */5")
        if head == "*":
            first, last = self.least, self.most
        elif "-" in head:
            first, last = sorted(self._value(end) for end in head.split("-", 1))
        else:
            first = self._value(head)
            last = self.most if slash else first
        return range(first, last + 1, max(1, int(step)) if slash else 1)

    def _value(self, text: str) -> int:
        if text.isascii() and text.isdigit() and self.least <= int(text) <= self.most:
            return int(text)
        for number, name in enumerate(self.names, self.least):
            if text and name.lower().startswith(text.lower()):
                return number
        names = f", or {self.names[0]} to {self.names[-1]}" if self.names else ""
        raise ValueError(f"'{text}' is no {self.name}; {self.least} to {self.most}{names} would be right")


MONTHS = tuple("January February March April May June July August September October November December".split())
WEEKDAYS = tuple("Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split())
FIELDS = (
    Field("second", 0, 59),
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("day of the week", 0, 6, WEEKDAYS),
)


def _cron(expression: str, texts: list[str]) -> Cron:
    times = texts[: len(texts) - 3]
    full = ["0", *texts] if len(texts) == 5 else texts
    values = [field.values(text) for field, text in zip(FIELDS, full, strict=True)]
    seconds, minutes, hours, days, months, weekdays = values
    is_interval = any(sign in text for text in times for sign in "*/-")
    return Cron(expression, seconds, minutes, hours, days, months, weekdays, is_interval)


def _time_span(days: str | None, first: str, second: str, third: str | None, fraction: str | None) -> timedelta:
    """The length that .NET's TimeSpan.Parse gives ``[d.]hh:mm[:ss[.fffffff]]`` or ``dd:hh:mm``; raises ValueError."""
    numbers = (int(days or 0), int(first), int(second), int(third or 0))
    if days is None and fraction is None and third is not None and int(first) > 23:
        numbers = (int(first), int(second), int(third), 0)
    _, hours, minutes, seconds = numbers
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ValueError(
            "a time span has hours to 23, minutes and seconds to 59; hh:mm:ss or d.hh:mm:ss would be right"
        )
    try:
        period = timedelta(numbers[0], hours=hours, minutes=minutes, seconds=seconds + float(f"0.{fraction or 0}"))
    except OverflowError:
        raise ValueError("a time span of so many days is too long; at most 10675199 would be right") from None
    if period < SHORTEST:
        raise ValueError("a timer can not fire without a pause; at least 00:00:00.001 would be right")
    return period
