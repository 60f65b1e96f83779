"""Timers on a clock that jumps, stands still and is set back; what a restart remembers; what a function gets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefn.contracts import Event, Outcome, Services, Status
from edgefn.errors import SettingError
from edgefn.host import Host
from edgefn.kept import Kept
from edgefn.settings import Settings
from edgefn.triggers.timer import TimerTriggerKind
from edgefn.triggers.timer_clock import WallClock, time_zone
from edgefn.triggers.timer_listener import LOOK, TimerListener
from edgefn.triggers.timer_options import TimerTrigger
from tests.conftest import AppIn
from tests.ticks import HEAD, PLUGIN

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
FIVE = "0 */5 * * * *"


class Clock:
    """A clock that goes on only when somebody sleeps or ``passes`` is called, and jumps where it is told to."""

    def __init__(self, start: datetime, end: datetime, jumps: Mapping[datetime, timedelta] | None = None) -> None:
        self._now, self._end, self._jumps = start, end, dict(jumps or {})
        self.over = asyncio.Event()
        self.longest = 0.0

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if self.over.is_set():
            await asyncio.Event().wait()
        self.longest = max(self.longest, seconds)
        self.passes(timedelta(seconds=seconds))
        await asyncio.sleep(0)

    def passes(self, time: timedelta) -> None:
        self._now += time
        for at in [at for at in self._jumps if at <= self._now]:
            self._now += self._jumps.pop(at)
        if not self._jumps and self._now >= self._end:
            self.over.set()


class Function:
    """Keeps when it was run and with which events; each run lasts ``lasts`` on the clock."""

    def __init__(self, clock: Clock, lasts: timedelta = timedelta()) -> None:
        self._clock, self._lasts = clock, lasts
        self.times: list[datetime] = []
        self.events: list[Event] = []
        self.running = 0

    async def emit(self, event: Event) -> Outcome:
        assert self.running == 0, "a timer does not overlap itself"
        self.running += 1
        if not self._clock.over.is_set():
            self.times.append(self._clock.now())
            self.events.append(event)
        self._clock.passes(self._lasts)
        await asyncio.sleep(0)
        self.running -= 1
        return Outcome(Status.FAILED, error=ValueError("as functions do"))

    @property
    def past_due(self) -> list[bool]:
        return [json.loads(event.value)["IsPastDue"] for event in self.events]


def listener(
    clock: Clock, schedule: str = FIVE, *, zone: tzinfo = UTC, state: Path | None = None, **options: Any
) -> TimerListener:
    monitor = Kept(state / "timers" / "f.json", "it starts anew") if state else None
    return TimerListener("f", TimerTrigger.model_validate({"schedule": schedule, **options}), zone, clock, monitor)


async def lived(clock: Clock, timer: TimerListener, lasts: timedelta = timedelta()) -> Function:
    """The function of a timer, after the clock has come to its end."""
    function = Function(clock, lasts)
    task = asyncio.create_task(timer.listen(function.emit))
    over = asyncio.create_task(clock.over.wait())
    async with asyncio.timeout(30):
        await asyncio.wait((task, over), return_when=asyncio.FIRST_COMPLETED)
    assert not task.done(), task.exception()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return function


# --- a day -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "start"),
    [(UTC, NOON), (BERLIN, datetime(2026, 3, 28, 12, tzinfo=UTC)), (BERLIN, datetime(2026, 10, 24, 12, tzinfo=UTC))],
    ids=["plain", "spring", "autumn"],
)
async def test_a_day_of_every_five_minutes_fires_288_times(zone: tzinfo, start: datetime, tmp_path: Path) -> None:
    clock = Clock(start + SECOND, start + 24 * HOUR + SECOND)
    function = await lived(clock, listener(clock, zone=zone, state=tmp_path))
    assert function.times == [start + n * 5 * MINUTE for n in range(1, 289)]
    assert not any(function.past_due)
    assert clock.longest <= LOOK


@pytest.mark.parametrize("back", [4 * SECOND, 7 * MINUTE, HOUR, 23 * HOUR])
async def test_a_clock_that_is_set_back_fires_no_occurrence_twice(back: timedelta) -> None:
    clock = Clock(NOON + SECOND, NOON + 24 * HOUR + SECOND, {NOON + 14 * HOUR + SECOND: -back})
    function = await lived(clock, listener(clock))
    assert function.times == [NOON + n * 5 * MINUTE for n in range(1, 289)]
    assert not any(function.past_due)


async def test_a_clock_that_was_years_ahead_does_not_silence_the_timer_for_years(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = NOON.replace(year=2040)
    clock = Clock(wrong, NOON + HOUR, {wrong + 7 * MINUTE: NOON - wrong})
    function = await lived(clock, listener(clock, state=tmp_path))
    assert function.times == [wrong + 5 * MINUTE, *(NOON + n * 5 * MINUTE for n in range(2, 12))]
    assert "The clock was set back" in caplog.text


async def test_what_a_suspended_machine_missed_is_made_up_for_once(tmp_path: Path) -> None:
    asleep = NOON + 2 * HOUR + 2 * MINUTE
    clock = Clock(NOON + SECOND, NOON + 24 * HOUR + SECOND, {asleep: 3 * HOUR})
    timer = listener(clock, state=tmp_path)
    function = await lived(clock, timer)
    late = [at for at, past_due in zip(function.times, function.past_due, strict=True) if past_due]
    assert len(late) == 1
    assert timedelta() <= late[0] - (asleep + 3 * HOUR) <= timedelta(seconds=LOOK)
    missed = {asleep + n * MINUTE for n in range(180)}
    on_time = [NOON + n * 5 * MINUTE for n in range(1, 289) if NOON + n * 5 * MINUTE not in missed]
    assert [at for at in function.times if at not in late] == on_time
    assert timer.status()["past_due"] == 1


async def test_a_function_that_runs_for_longer_than_its_interval_runs_again_when_it_has_ended() -> None:
    clock = Clock(NOON - SECOND, NOON + 30 * MINUTE)
    function = await lived(clock, listener(clock), lasts=7 * MINUTE)
    assert function.times == [NOON + n * 7 * MINUTE for n in range(5)]
    assert not any(function.past_due)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.integers(1, 600), st.integers(-7200, 7200), max_size=8), st.sampled_from([UTC, BERLIN]))
def test_however_a_clock_jumps_each_occurrence_is_fired_or_made_up_for_once(
    jumps: dict[int, int], zone: tzinfo
) -> None:
    start = datetime(2026, 10, 24, 20, tzinfo=UTC)

    async def run() -> Function:
        clock = Clock(start, start + 12 * HOUR, {start + at * MINUTE: by * SECOND for at, by in jumps.items()})
        return await lived(clock, listener(clock, zone=zone))

    function, due = asyncio.run(run()), []
    for at, event in zip(function.times, function.events, strict=True):
        planned = event.metadata.get("OriginalSchedule")
        due.append(datetime.fromisoformat(planned) if planned else at - at.minute % 5 * MINUTE - at.second * SECOND)
        assert not planned or at - due[-1] > timedelta(seconds=LOOK)
    assert due == sorted(set(due))
    assert all(following > at for at, following in zip(function.times, due[1:], strict=False))


async def test_on_the_machines_own_clock_it_fires_again_and_again() -> None:
    times: list[datetime] = []
    third = asyncio.Event()

    async def emit(event: Event) -> Outcome:
        times.append(datetime.now(UTC))
        if len(times) == 3:
            third.set()
        return Outcome(Status.OK)

    options = TimerTrigger.model_validate({"schedule": "00:00:00.020"})
    task = asyncio.create_task(TimerListener("f", options, UTC, WallClock(), None).listen(emit))
    async with asyncio.timeout(10):
        await third.wait()
    task.cancel()
    assert times[2] - times[0] >= timedelta(milliseconds=40)


async def test_a_time_span_counts_from_the_invocation_before() -> None:
    clock = Clock(NOON, NOON + 16 * MINUTE)
    function = await lived(clock, listener(clock, "00:05:00"), lasts=MINUTE)
    assert function.times == [NOON + n * 5 * MINUTE for n in range(1, 4)]


async def test_a_schedule_that_never_comes_says_so_and_waits(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock(NOON, NOON + 24 * HOUR)
    function = await lived(clock, listener(clock, "0 0 0 31 2 *", run_on_startup=True))
    assert function.times == [NOON]
    assert "The 'f' schedule (Cron: '0 0 0 31 2 *') never fires" in caplog.text


# --- restarts ----------------------------------------------------------------------------------------------------


def kept(state: Path) -> dict[str, str]:
    document: dict[str, str] = json.loads((state / "timers" / "f.json").read_text())
    return document


async def host_of(state: Path, start: datetime, schedule: str = FIVE, **options: Any) -> Function:
    """A host with this timer that runs for two minutes."""
    clock = Clock(start, start + 2 * MINUTE)
    return await lived(clock, listener(clock, schedule, state=state, **options))


async def test_the_first_start_of_all_is_not_past_due_and_keeps_what_comes(tmp_path: Path) -> None:
    assert (await host_of(tmp_path, NOON + MINUTE)).times == []
    assert kept(tmp_path) == {
        "Last": "0001-01-01T00:00:00+00:00",
        "Next": "2026-09-01T12:05:00+00:00",
        "LastUpdated": "2026-09-01T12:01:00+00:00",
    }


async def test_a_killed_host_fires_past_due_once(tmp_path: Path) -> None:
    await host_of(tmp_path, NOON - MINUTE)
    assert kept(tmp_path)["Last"] == "2026-09-01T12:00:00+00:00"
    late = await host_of(tmp_path, NOON + 3 * HOUR + MINUTE)
    assert (late.times, late.past_due) == ([NOON + 3 * HOUR + MINUTE], [True])
    assert (await host_of(tmp_path, NOON + 3 * HOUR + 2 * MINUTE)).times == []


async def test_a_timer_that_never_fired_is_past_due_too(tmp_path: Path) -> None:
    await host_of(tmp_path, NOON, "0 30 12 * * *")
    assert (await host_of(tmp_path, NOON + HOUR, "0 30 12 * * *")).past_due == [True]


async def test_a_host_that_is_killed_while_the_function_runs_makes_up_for_that_run(tmp_path: Path) -> None:
    clock, begun = Clock(NOON - SECOND, NOON + MINUTE), asyncio.Event()

    async def hang(event: Event) -> Outcome:
        begun.set()
        await asyncio.Event().wait()
        return Outcome(Status.OK)

    task = asyncio.create_task(listener(clock, state=tmp_path).listen(hang))
    await begun.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await host_of(tmp_path, NOON + MINUTE)).past_due == [True]


@pytest.mark.parametrize("schedule", ["0 */4 * * * *", "0 */5 * * * sun-sat", "00:20:00", "0 0 3 * * *"])
async def test_a_changed_schedule_is_not_past_due(tmp_path: Path, schedule: str) -> None:
    await host_of(tmp_path, NOON - MINUTE)
    changed = await host_of(tmp_path, NOON + HOUR + MINUTE, schedule)
    same_occurrences = schedule.endswith("sun-sat")
    assert changed.past_due == ([True] if same_occurrences else [])
    assert kept(tmp_path)["Next"] > "2026-09-01T13:01"


async def test_a_record_from_a_clock_that_was_ahead_is_not_waited_for(tmp_path: Path) -> None:
    await host_of(tmp_path, NOON.replace(year=2040) - MINUTE)
    assert (await host_of(tmp_path, NOON - MINUTE)).times == [NOON]


async def test_a_function_runs_on_startup_and_is_told_why(tmp_path: Path) -> None:
    function = await host_of(tmp_path, NOON + MINUTE, run_on_startup=True)
    assert (function.times, function.past_due) == ([NOON + MINUTE], [False])
    assert function.events[0].metadata == {"UnscheduledInvocationReason": "RunOnStartup"}


async def test_past_due_comes_before_run_on_startup(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await host_of(tmp_path, NOON - MINUTE)
    function = await host_of(tmp_path, NOON + HOUR + MINUTE, run_on_startup=True)
    assert function.past_due == [True]
    assert function.events[0].reason == "Timer fired at 2026-09-01T13:01:00.0000000+00:00"
    details = "UnscheduledInvocationReason: IsPastDue, OriginalSchedule: 2026-09-01T12:05:00.0000000+00:00"
    assert f"Trigger Details: {details}" in caplog.text


async def test_a_listener_that_is_started_again_does_not_run_on_startup_again(tmp_path: Path) -> None:
    clock = Clock(NOON + MINUTE, NOON + 2 * MINUTE)
    timer = listener(clock, run_on_startup=True)
    assert len((await lived(clock, timer)).times) == 1
    assert len((await lived(clock, timer)).times) == 0


async def test_the_first_cancellation_lets_the_invocation_end_and_keeps_its_record(tmp_path: Path) -> None:
    clock, begun, go_on = Clock(NOON - SECOND, NOON + MINUTE), asyncio.Event(), asyncio.Event()

    async def slow(event: Event) -> Outcome:
        begun.set()
        await go_on.wait()
        return Outcome(Status.OK)

    task = asyncio.create_task(listener(clock, state=tmp_path).listen(slow))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert kept(tmp_path)["Last"] == "2026-09-01T12:00:00+00:00"


async def test_a_record_of_azures_own_host_is_taken_up(tmp_path: Path) -> None:
    status = {
        "Last": "2026-09-01T14:00:00.0013373+02:00",
        "Next": "2026-09-01T14:05:00+02:00",
        "LastUpdated": "2026-09-01T14:00:00.0013373+02:00",
    }
    (tmp_path / "timers").mkdir()
    (tmp_path / "timers" / "f.json").write_text(json.dumps(status))
    assert (await host_of(tmp_path, NOON + 6 * MINUTE)).past_due == [True]


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"Last": "2026-09',
        "[1, 2]",
        '{"Last": null}',
        '{"Last": "soon", "Next": null, "LastUpdated": null}',
        '{"Last": "2026-09-01T12:00:00", "Next": null, "LastUpdated": null}',
    ],
)
async def test_a_file_that_can_not_be_used_is_set_aside(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "timers" / "f.json"
    path.parent.mkdir()
    path.write_text(text)
    assert (await host_of(tmp_path, NOON - MINUTE)).past_due == [False]
    assert [aside.read_text() for aside in path.parent.glob("f.json.unusable-*")] == [text]
    assert kept(tmp_path)["Last"] == "2026-09-01T12:00:00+00:00"
    assert "can not be used" in caplog.text


async def test_a_state_folder_that_can_not_be_written_stops_no_timer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "timers").write_text("a file where the folder should be")
    clock = Clock(NOON, NOON + HOUR + SECOND)
    function = await lived(clock, listener(clock, state=tmp_path))
    assert len(function.times) == 12
    assert caplog.text.count("can not be written") == 1


# --- the log -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "schedule", "lines"),
    [
        (UTC, "0 0 * * * *", ["09/01/2026 13:00:00Z", "09/01/2026 14:00:00Z"]),
        (
            BERLIN,
            "0 0 8 * * *",
            ["09/02/2026 08:00:00+02:00 (09/02/2026 06:00:00Z)", "09/03/2026 08:00:00+02:00 (09/03/2026 06:00:00Z)"],
        ),
    ],
)
async def test_the_log_tells_the_next_occurrences(
    zone: tzinfo, schedule: str, lines: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock(NOON, NOON + SECOND)
    await lived(clock, listener(clock, schedule, zone=zone))
    record = next(record for record in caplog.records if record.name == "Host.Triggers.Timer")
    told = record.getMessage().splitlines()
    assert told[0] == f"The next 5 occurrences of the 'f' schedule (Cron: '{schedule}') will be:"
    assert told[1:3] == lines
    assert len(told) == 6


async def test_the_status_tells_schedule_zone_and_what_was_and_comes(tmp_path: Path) -> None:
    clock = Clock(NOON - SECOND, NOON + MINUTE)
    timer = listener(clock, zone=BERLIN, state=tmp_path)
    await lived(clock, timer)
    assert timer.status() == {
        "schedule": FIVE,
        "zone": "Europe/Berlin",
        "last": "2026-09-01T14:00:00+02:00",
        "next": "2026-09-01T14:05:00+02:00",
        "fired": 1,
        "past_due": 0,
        "skipped": 0,
        "monitored": True,
    }


# --- time zones --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "zone"),
    [
        ({"WEBSITE_TIME_ZONE": "Europe/Berlin", "TZ": "Asia/Tokyo"}, "Europe/Berlin"),
        ({"WEBSITE_TIME_ZONE": "W. Europe Standard Time"}, "Europe/Berlin"),
        ({"WEBSITE_TIME_ZONE": "pacific standard time"}, "America/Los_Angeles"),
        ({"WEBSITE_TIME_ZONE": "", "TZ": ":Asia/Tokyo"}, "Asia/Tokyo"),
    ],
)
def test_the_zone_is_that_of_the_settings(values: dict[str, str], zone: str) -> None:
    assert str(time_zone(Settings(values))) == zone


def test_the_zone_is_else_that_of_the_machine() -> None:
    assert NOON.astimezone(time_zone(Settings({}))).utcoffset() == NOON.astimezone().utcoffset()


@pytest.mark.parametrize("name", ["Europe/Berln", "America", "../etc/passwd", "/no/such/file", "MEZ-1MESZ"])
def test_a_zone_that_is_not_known_is_refused_with_what_would_be_right(name: str) -> None:
    with pytest.raises(SettingError, match=r"TZ: '.*' is no known time zone; a name like Europe/Berlin") as raised:
        time_zone(Settings({"TZ": name}))
    assert name != "Europe/Berln" or "did you mean 'Europe/Berlin'?" in str(raised.value)


# --- in an app ---------------------------------------------------------------------------------------------------


async def seen(app_of: AppIn, parameter: str, **options: Any) -> Any:
    """What a function with this parameter keeps when it runs on startup."""
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    code = f"""{HEAD}
import azure.functions as func
from typing import Any, Optional
@app.timer_trigger("t", "0 0 0 1 1 *", run_on_startup=True{given})
@app.generic_output_binding(arg_name="out", type="keep")
async def f({parameter}, out):
    out.set([t.past_due, t.schedule_status, t.schedule] if hasattr(t, "past_due") else t)
    ENDED.set()
ENDED = asyncio.Event()
"""
    app = app_of({"functions/ticks.py": PLUGIN, "functions/f.py": code}, WEBSITE_TIME_ZONE="UTC")
    assert app.functions[0].errors == []
    host = Host(app)
    await host.start()
    async with asyncio.timeout(10):
        await app.functions[0].call.__globals__["ENDED"].wait()  # type: ignore[union-attr]
    await host.stop()
    return host.status()["functions"]["f"]["outputs"]["out"]["kept"][0]


@pytest.mark.parametrize("parameter", ["t", "t: func.TimerRequest", "t: Optional[func.TimerRequest]", "t: Any"])
async def test_a_function_gets_a_timer_request(app_of: AppIn, parameter: str) -> None:
    past_due, status, schedule = await seen(app_of, parameter)
    assert (past_due, schedule) == (False, {"AdjustForDST": True})
    assert status["Last"] == "0001-01-01T00:00:00+00:00"
    assert status["Next"].endswith("-01-01T00:00:00+00:00")


async def test_without_a_monitor_a_timer_request_has_no_status(app_of: AppIn) -> None:
    assert await seen(app_of, "t: func.TimerRequest", use_monitor=False) == [False, {}, {"AdjustForDST": True}]


@pytest.mark.parametrize(
    ("annotation", "read"),
    [
        ("str", json.loads),
        ("bytes", lambda value: json.loads(value.decode())),
        ("dict", dict),
        ("dict[str, Any]", dict),
    ],
)
async def test_the_json_of_azures_host_comes_as_text_bytes_or_dict(
    app_of: AppIn, annotation: str, read: Callable[[Any], Any]
) -> None:
    value = await seen(app_of, f"t: {annotation}", use_monitor=False)
    assert read(value) == {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": False}


@pytest.mark.parametrize(
    ("parameter", "options", "said"),
    [
        ("t: int", "schedule='* * * * * *'", "a timer can not become int; func.TimerRequest, str, bytes or dict"),
        ("t: list[str]", "schedule='* * * * * *'", "a timer can not become list; func.TimerRequest"),
        ("t", "schedule='0 0 24 * * *'", "'0 0 24 * * *' was not recognized as a valid cron expression or timespan"),
        ("t", "schedule='%WHEN%'", "'24' is no hour; 0 to 23 would be right"),
        ("t", "schedule='0 * * * * *', run_on_startup='perhaps'", "option 'run_on_startup' of timerTrigger"),
        ("t", "schedule='0 * * * * *', monitor=True", "unknown option 'monitor' of timerTrigger"),
    ],
)
def test_what_does_not_fit_is_an_error_of_the_function(app_of: AppIn, parameter: str, options: str, said: str) -> None:
    code = f"{HEAD}@app.timer_trigger('t', {options})\ndef f({parameter}): ..."
    text = "\n".join(app_of({"functions/f.py": code}, WHEN="0 0 24 * * *").functions[0].errors)
    assert said in text
    assert text.startswith("functions/f.py:")


def test_an_unknown_zone_is_an_error_of_the_functions_with_timers_only(app_of: AppIn) -> None:
    code = (
        f"{HEAD}@app.timer_trigger('t', '0 * * * * *')\ndef f(t): ...\n@app.edge_hub_trigger('m', 'in')\ndef g(m): ..."
    )
    f, g = app_of({"functions/f.py": code}, WEBSITE_TIME_ZONE="Mars/Olympus").functions
    assert "timerTrigger 't' of function 'f': WEBSITE_TIME_ZONE: 'Mars/Olympus' is no known time zone" in f.errors[0]
    assert g.errors == []


@pytest.mark.parametrize(("schedule", "is_monitored"), [("*/10 * * * * *", False), ("00:00:30", False), (FIVE, True)])
def test_a_schedule_that_fires_more_than_once_a_minute_is_not_monitored(
    app_of: AppIn, services: Services, schedule: str, is_monitored: bool
) -> None:
    code = f"{HEAD}@app.timer_trigger('t', '{schedule}')\ndef f(t): ..."
    binding = app_of({"functions/f.py": code}).functions[0].trigger
    assert binding is not None
    assert TimerTriggerKind(services).listener(binding).status()["monitored"] is is_monitored


async def test_what_falls_due_while_the_host_is_starting_is_counted_as_skipped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """S1.5: a model that compiles for 17 minutes."""
    clock = Clock(NOON, NOON + 20 * MINUTE)
    options, since = TimerTrigger(schedule=FIVE, use_monitor=False), clock.now()
    clock.passes(17 * MINUTE)
    listener, function = TimerListener("f", options, UTC, clock, None, since), Function(clock)
    listening = asyncio.create_task(listener.listen(function.emit))
    await clock.over.wait()
    listening.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listening
    assert listener.status()["skipped"] == 3
    assert min(function.times, default=NOON + 20 * MINUTE) >= NOON + 20 * MINUTE  # none of those before is made up for
    assert "'f' was due while the host was starting, and was skipped: 3" in caplog.text
