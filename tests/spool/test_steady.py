"""Times in the spool do not jump with the system's clock."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edgefn.spool.schema import FILE, open_file, salvage
from edgefn.spool.steady import SteadyClock, time_in

HOUR = 3600.0


class Clocks:
    """The system's clock, which may jump, and the steady one."""

    def __init__(self, wall: float = 1_000_000.0, boot: str = "") -> None:
        self.wall = wall
        self.steady = 50.0
        self.boot = boot

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def made(self, connection: sqlite3.Connection) -> SteadyClock:
        clock = SteadyClock(lambda: self.wall, lambda: self.steady, lambda: self.boot)
        clock.open(connection)
        return clock


@pytest.fixture
def connection(tmp_path: Path) -> sqlite3.Connection:
    return open_file(tmp_path, power=False)[0]


def age(connection: sqlite3.Connection, clock: SteadyClock) -> float:
    stored: float = connection.execute("SELECT stored FROM outbox").fetchone()[0]
    return clock.now() - stored


def store(connection: sqlite3.Connection, clock: SteadyClock) -> None:
    row = ("out", b"{}", b"", 1, clock.now(), clock.now() + 100)
    connection.execute("INSERT INTO outbox (output, head, body, size, stored, expires) VALUES (?, ?, ?, ?, ?, ?)", row)


@pytest.mark.parametrize("jump", [HOUR, -HOUR, 50 * 365 * 24 * HOUR])
def test_a_jump_of_the_clock_ages_nothing_also_after_a_restart(connection: sqlite3.Connection, jump: float) -> None:
    clocks = Clocks()
    clock = clocks.made(connection)
    store(connection, clock)
    clocks.pass_by(10)
    clocks.wall += jump
    clock.keep(connection)
    assert age(connection, clock) == pytest.approx(10)
    clocks.pass_by(5)
    other = SteadyClock(lambda: clocks.wall, lambda: clocks.steady, lambda: clocks.boot)  # as of the command line
    assert time_in(connection, other) == pytest.approx(clock.now())
    assert age(connection, clocks.made(connection)) == pytest.approx(15)


def test_time_that_passes_while_the_host_is_down_counts(connection: sqlite3.Connection) -> None:
    clocks = Clocks()
    clock = clocks.made(connection)
    store(connection, clock)
    clock.keep(connection)
    clocks.pass_by(2 * HOUR)
    assert age(connection, clocks.made(connection)) == pytest.approx(2 * HOUR)


def test_a_box_that_starts_in_1970_does_not_see_messages_from_the_future(connection: sqlite3.Connection) -> None:
    clocks = Clocks(wall=1_800_000_000.0)
    clock = clocks.made(connection)
    store(connection, clock)
    clocks.wall = 30.0
    assert age(connection, clocks.made(connection)) == pytest.approx(0, abs=1)


def test_small_corrections_are_no_jumps(connection: sqlite3.Connection) -> None:
    clocks = Clocks()
    clock = clocks.made(connection)
    store(connection, clock)
    clocks.wall += 2
    clock.keep(connection)
    assert age(connection, clocks.made(connection)) == pytest.approx(2)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_jump_that_nobody_saw_ages_nothing_in_the_same_boot(connection: sqlite3.Connection, jump: float) -> None:
    clocks = Clocks(boot="the first")
    clock = clocks.made(connection)
    store(connection, clock)
    clock.keep(connection)
    clocks.pass_by(10)
    clocks.wall += jump
    assert age(connection, clocks.made(connection)) == pytest.approx(10)


def test_after_a_boot_the_steady_clock_begins_anew_and_tells_nothing(connection: sqlite3.Connection) -> None:
    clocks = Clocks(boot="the first")
    clock = clocks.made(connection)
    store(connection, clock)
    clock.keep(connection)
    clocks.pass_by(100)
    clocks.steady, clocks.boot = 1.0, "the second"
    assert age(connection, clocks.made(connection)) == pytest.approx(100)


def test_a_process_that_is_killed_while_times_are_moved_has_moved_none(connection: sqlite3.Connection) -> None:
    clocks = Clocks(boot="one")
    store(connection, clocks.made(connection))
    clocks.wall += HOUR
    connection.execute("CREATE TRIGGER killed BEFORE INSERT ON meta BEGIN SELECT RAISE(ABORT, 'killed'); END")
    with pytest.raises(sqlite3.IntegrityError):
        clocks.made(connection)
    connection.execute("DROP TRIGGER killed")
    assert age(connection, clocks.made(connection)) == pytest.approx(0)


def test_what_is_saved_of_a_damaged_file_has_its_times_moved_too(tmp_path: Path) -> None:
    """Else a box that had started in 1970 would take all of it for too old."""
    clocks = Clocks(wall=1000.0, boot="one")
    damaged, _ = open_file(tmp_path / "damaged", power=False)
    store(damaged, clocks.made(damaged))
    damaged.close()
    clocks.wall += 50 * 365 * 24 * HOUR
    fresh, _ = open_file(tmp_path / "fresh", power=False)
    assert salvage(tmp_path / "damaged" / FILE, fresh) == 1
    assert age(fresh, clocks.made(fresh)) == pytest.approx(0)
    fresh.close()
