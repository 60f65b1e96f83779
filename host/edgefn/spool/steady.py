"""A clock for ages and due times that does not jump with the system's.

A box without a battery-backed clock starts in 1970, and an operator may set the time: neither may expire all messages
at once. So times in the spool are those of a clock that was set when the file was opened, and goes on steadily; by how
much the system's clock jumped meanwhile is added to all times when the file is opened next. As long as the machine was
not booted anew, its steady clock goes on from one process to the next, and tells that; else it is what was kept.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

JUMP = 5.0
"""Seconds between both clocks that count as a jump; less is correction by NTP, or the drift of a processor's clock."""
KEEP = 60.0
"""Seconds between the times that are kept, to notice a clock that is behind after a start."""


BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """What tells one boot of this machine from all others; empty where the system does not say (it is Linux's)."""
    with suppress(OSError):
        return BOOT_ID.read_text(encoding="utf-8").strip()
    return ""


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def time_in(connection: sqlite3.Connection, clock: SteadyClock | None = None) -> float:
    """What time it is by the clock of a file, which a host may have open or not; writes nothing."""
    clock = clock or SteadyClock()
    return clock.now() - clock.jumped(connection)


class SteadyClock:
    """Seconds since the epoch, as they went on since ``open``."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        boot: Callable[[], str] = boot_id,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._boot = boot
        self._base = wall() - steady()
        self._kept = (0.0, 0.0)

    def now(self) -> float:
        return self._base + self._steady()

    def open(self, connection: sqlite3.Connection) -> None:
        """Moves the times of a file by what the clock jumped since they were written."""
        self._base = self._wall() - self._steady()
        now, boot, jumped = self.now(), self._boot(), self.jumped(connection)
        with _transaction(connection):  # moved twice, by a process that was killed in between, they would be wrong
            if abs(jumped) > JUMP:
                connection.execute("UPDATE inbox SET stored = stored + ?, due = due + ?", (jumped, jumped))
                connection.execute("UPDATE outbox SET stored = stored + ?, expires = expires + ?", (jumped, jumped))
                connection.execute("UPDATE dead SET stored = stored + ?, died = died + ?", (jumped, jumped))
                connection.execute("UPDATE arrivals SET seen = seen + ?", (jumped,))
            rows = [("boot", boot), ("base", self._base)]
            connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)
            self._keep(connection, 0.0, now)

    def jumped(self, connection: sqlite3.Connection) -> float:
        """By how many seconds this clock is before that of a file, since the system's jumped meanwhile."""
        boot, now = self._boot(), self.now()
        if boot and boot == self._value(connection, "boot"):
            return self._base - float(self._value(connection, "base"))
        jumped, last = (float(self._value(connection, name)) for name in ("jumped", "last"))
        return now - last if last and now - jumped < last - JUMP else jumped

    def keep(self, connection: sqlite3.Connection) -> None:
        """Keeps how far the system's clock is away, when that changed, and now and then the time."""
        jumped, now = self._wall() - self.now(), self.now()
        if abs(jumped - self._kept[0]) > JUMP or now - self._kept[1] > KEEP:
            self._keep(connection, jumped, now)

    def _keep(self, connection: sqlite3.Connection, jumped: float, now: float) -> None:
        self._kept = (jumped, now)
        rows = [("jumped", jumped), ("last", now)]
        connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def _value(self, connection: sqlite3.Connection, name: str) -> Any:
        row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return row[0] if row else 0.0
