"""Time in tests: it passes when it is told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Clock:
    """The time that timers, frames, messages and the gates of outputs see; it begins on 2026-01-01 12:00 UTC."""

    def __init__(self, start: datetime = START) -> None:
        if start.tzinfo is None:
            raise ValueError("the start of a clock should have a time zone; add tzinfo=datetime.UTC")
        self._start = self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the clock began."""
        return (self._now - self._start).total_seconds()

    def pass_by(self, seconds: float) -> None:
        """Lets time pass; runs nothing."""
        if seconds < 0:
            raise ValueError(f"time passes forwards only; {seconds} is less than 0")
        self._now += timedelta(seconds=seconds)

    def reach(self, moment: datetime) -> None:
        """Lets time pass until that moment; one that has passed already changes nothing."""
        self._now = max(self._now, moment.astimezone(UTC))

    async def sleep(self, seconds: float) -> None:
        """Lets time pass at once."""
        self.pass_by(seconds)
