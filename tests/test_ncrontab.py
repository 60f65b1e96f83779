"""Schedule expressions: the vectors, the rules against a walk through every time, and the hours that a zone shifts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgefn.ncrontab import FIELDS, Cron, Interval, parse
from tests.conftest import DATA, ON_CI

VECTORS = DATA.parent / "conformance" / "ncrontab.json"
MINUTE = timedelta(minutes=1)
ZONES = {
    "America/Los_Angeles": (datetime(2018, 3, 11), datetime(2018, 11, 4)),
    "Europe/Berlin": (datetime(2026, 3, 29), datetime(2026, 10, 25)),
    "Australia/Lord_Howe": (datetime(2026, 10, 4), datetime(2026, 4, 5)),  # by half an hour
    "Antarctica/Troll": (datetime(2026, 3, 29), datetime(2026, 10, 25)),  # by two hours
    "Pacific/Apia": (datetime(2011, 12, 30), datetime(2012, 4, 1)),  # skipped a day
}


def vectors(kind: str) -> list[Any]:
    document: dict[str, Any] = json.loads(VECTORS.read_text()) if VECTORS.exists() else {}
    found = document.get(kind, [])
    return found["cases"] if isinstance(found, dict) else found


def cron(expression: str) -> Cron:
    schedule = parse(expression)
    assert isinstance(schedule, Cron)
    return schedule


# --- the vectors -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not VECTORS.exists() and not ON_CI, reason=f"no vectors in {VECTORS}")
@pytest.mark.parametrize("kind", ["evaluations", "no_occurrence_before", "invalid", "dst_pacific"])
def test_there_are_vectors_of_each_kind(kind: str) -> None:
    assert vectors(kind)


@pytest.mark.parametrize("vector", vectors("evaluations"), ids=str)
def test_the_next_occurrence_is_that_of_the_vectors(vector: dict[str, str]) -> None:
    assert cron(vector["expr"]).next_local(datetime.fromisoformat(vector["base"])) == datetime.fromisoformat(
        vector["next"]
    )


@pytest.mark.parametrize("vector", vectors("no_occurrence_before"), ids=str)
def test_nothing_occurs_before_the_end_where_the_vectors_have_nothing(vector: dict[str, str]) -> None:
    found = cron(vector["expr"]).next_local(datetime.fromisoformat(vector["base"]))
    assert found is not None
    assert found >= datetime.fromisoformat(vector["end"])


@pytest.mark.parametrize("expression", vectors("invalid"))
def test_what_the_vectors_refuse_is_refused_with_the_remedy(expression: str) -> None:
    with pytest.raises(ValueError, match=r"was not recognized as a valid cron expression .* would be right"):
        parse(expression)


@pytest.mark.parametrize("vector", vectors("dst_pacific"), ids=lambda vector: vector["expr"])
def test_a_change_of_offset_is_passed_as_in_the_vectors(vector: dict[str, Any]) -> None:
    zone = ZoneInfo("America/Los_Angeles")
    at: datetime | None = datetime.fromisoformat(vector["start"]).replace(tzinfo=zone)
    for expected in vector["next"]:
        assert at is not None
        at = cron(vector["expr"]).next(at, zone)
        assert at is not None
        assert at.astimezone(zone).isoformat() == expected


# --- the syntax --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number", "values"),
    [
        ("*", 2, range(24)),
        ("*/7", 2, [0, 7, 14, 21]),
        ("20/2", 2, [20, 22]),
        ("5-9/3", 2, [5, 8]),
        ("9-5", 2, [5, 6, 7, 8, 9]),
        ("4/0", 2, range(4, 24)),
        ("*/-3", 2, range(24)),
        ("7,3,3-5", 2, [3, 4, 5, 7]),
        ("1,*", 2, range(24)),
        ("j", 4, [1]),
        ("ju-Decemb", 4, range(6, 13)),
        ("SAT-sun", 5, range(7)),
        ("tu,thurs", 5, [2, 4]),
    ],
)
def test_a_field_allows(text: str, number: int, values: list[int]) -> None:
    assert FIELDS[number].values(text) == tuple(values)


@pytest.mark.parametrize("text", ["", ",1", "1,", "/5", "*/", "-1", "1-", "1-2-3", "*-3", "1/2/3", "1x", "٣", "?", "L"])
def test_a_field_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="would be right"):
        FIELDS[2].values(text)


@pytest.mark.parametrize("text", ["mondays", "7", "Mon#1", "x"])
def test_a_name_is_refused_with_the_names_that_there_are(text: str) -> None:
    with pytest.raises(ValueError, match="is no day of the week; 0 to 6, or Sunday to Saturday would be right"):
        FIELDS[5].values(text)


@pytest.mark.parametrize(
    ("expression", "period"),
    [
        ("00:00:05", timedelta(seconds=5)),
        (" 01:30:00 ", timedelta(hours=1.5)),
        ("23:59", timedelta(hours=23, minutes=59)),
        ("1.02:03:04", timedelta(1, hours=2, minutes=3, seconds=4)),
        ("00:00:00.2500000", timedelta(seconds=0.25)),
        ("25:00:00", timedelta(days=25)),  # .NET's rule, which Azure documents
    ],
)
def test_a_time_span_is_read_as_dotnet_reads_it(expression: str, period: timedelta) -> None:
    schedule = parse(expression)
    assert isinstance(schedule, Interval)
    assert schedule.period == period
    base = datetime(2026, 1, 1, tzinfo=UTC)
    assert schedule.next(base, UTC) == base + period


@pytest.mark.parametrize(
    "expression", ["00:00:00", "-00:05:00", "00:60:00", "0.24:00:00", "24:00", "99999999999.00:00:00", "300", "", 5]
)
def test_a_time_span_that_is_none_is_refused(expression: object) -> None:
    with pytest.raises(ValueError, match=r"was not recognized as a valid cron expression or timespan string"):
        parse(expression)


@pytest.mark.parametrize(
    ("expression", "is_frequent"),
    [
        ("*/5 * * * * *", True),
        ("10,20 * * * * *", True),
        ("00:00:59", True),
        ("0 * * * * *", False),
        ("* * * * *", False),
        ("* 30 * * * *", False),
        ("00:01:00", False),
    ],
)
def test_a_schedule_knows_whether_it_fires_more_than_once_a_minute(expression: str, is_frequent: bool) -> None:
    assert parse(expression).is_frequent is is_frequent


# --- occurrences -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expression", ["0 0 0 31 2 *", "0 0 0 30 feb *", "0 0 0 31 4,6,9,11 *"])
def test_a_day_that_never_comes_never_fires(expression: str) -> None:
    assert parse(expression).next(datetime(2026, 1, 1, tzinfo=UTC), UTC) is None


def test_the_rarest_day_is_found_and_the_end_of_the_calendar_is_no_error() -> None:
    rare = cron("0 0 0 29 2 mon")
    assert rare.next_local(datetime(2072, 3, 1)) == datetime(2112, 2, 29)
    assert rare.next_local(datetime(9998, 1, 1)) is None
    assert parse("10000.00:00:00").next(datetime(9999, 1, 1, tzinfo=UTC), UTC) is None


def items(number: int) -> st.SearchStrategy[str]:
    field = FIELDS[number]
    values = st.integers(field.least, field.most)
    return st.one_of(
        st.just("*"),
        values.map(str),
        st.builds("{}-{}".format, values, values),
        st.builds("{}/{}".format, values, st.integers(0, 40)),
        st.builds("*/{}".format, st.integers(1, 40)),
        st.lists(values, min_size=2, max_size=5).map(lambda several: ",".join(map(str, several))),
    )


EXPRESSIONS = st.tuples(*(items(number) for number in range(6))).map(" ".join)
BASES = st.datetimes(datetime(1999, 1, 1), datetime(2100, 1, 1))


def matches(schedule: Cron, at: datetime) -> bool:
    found = (at.second, at.minute, at.hour, at.day, at.month, at.isoweekday() % 7)
    fields = (
        schedule.seconds,
        schedule.minutes,
        schedule.hours,
        schedule.days,
        schedule.months,
        schedule.weekdays,
    )
    return all(value in values for value, values in zip(found, fields, strict=True))


@settings(max_examples=200, deadline=None)
@given(EXPRESSIONS, BASES)
def test_the_next_occurrence_is_after_the_base_matches_and_keeps_the_order_of_bases(
    expression: str, base: datetime
) -> None:
    schedule = cron(expression)
    found = schedule.next_local(base)
    if found is not None:
        assert found > base
        assert matches(schedule, found)
        assert schedule.next_local(found - timedelta(microseconds=1)) == found
        assert schedule.next_local(base + (found - base) / 2) == found


@settings(max_examples=40, deadline=None)
@given(items(0), items(1), BASES)
def test_no_second_is_left_out(seconds: str, minutes: str, base: datetime) -> None:
    schedule = cron(f"{seconds} {minutes} * * * *")
    start = base.replace(microsecond=0)
    walked = [at for n in range(1, 3700) if matches(schedule, at := start + timedelta(seconds=n))]
    found, at = [], schedule.next_local(base)
    while at is not None and at < start + timedelta(seconds=3700):
        found.append(at)
        at = schedule.next_local(at)
    assert found == walked


@settings(max_examples=60, deadline=None)
@given(items(3), items(4), items(5), BASES)
def test_no_day_is_left_out(days: str, months: str, weekdays: str, base: datetime) -> None:
    schedule = cron(f"0 0 12 {days} {months} {weekdays}")
    noon = base.replace(hour=12, minute=0, second=0, microsecond=0)
    walked = (at for n in range(1500) if matches(schedule, at := noon + timedelta(days=n)) and at > base)
    expected = next(walked, None)
    found = schedule.next_local(base)
    assert found == expected if expected else found is None or found > noon + timedelta(days=1499)


# --- changes of offset -------------------------------------------------------------------------------------------


def meant(schedule: Cron, zone: ZoneInfo, day: datetime) -> list[datetime]:
    """All occurrences of 40 hours about ``day`` by the definition, found by looking at each local minute."""
    found: set[datetime] = set()
    for minute in range(-6 * 60, 34 * 60):
        local = day + minute * MINUTE
        if matches(schedule, local):
            first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
            found.add(first)
            if first < second and schedule.is_interval:
                found.add(second)
    return sorted(found)


def walk(schedule: Cron, zone: ZoneInfo, base: datetime, until: datetime) -> Iterator[datetime]:
    while (following := schedule.next(base, zone)) is not None and following <= until:
        base = following
        yield base


@pytest.mark.parametrize("name", ZONES)
@settings(max_examples=10, deadline=None)
@given(items(1), items(2), st.integers(0, 30 * 60))
@example("20,40", "2", 0)
@example("30", "2", 9 * 60)
@example("*", "*", 7 * 60)
def test_nothing_is_left_out_or_doubled_where_a_zone_shifts(name: str, minutes: str, hours: str, start: int) -> None:
    zone, schedule = ZoneInfo(name), cron(f"0 {minutes} {hours} * * *")
    for day in ZONES[name]:
        every = meant(schedule, zone, day)
        base = (day - timedelta(hours=6)).replace(tzinfo=zone).astimezone(UTC) + start * MINUTE
        expected = [moment for moment in every if base < moment]
        assert list(walk(schedule, zone, base, every[-1] if every else base)) == expected


@pytest.mark.parametrize(
    ("expression", "base", "following"),
    [
        ("0 30 2 * * *", "2026-03-29T01:00:00+01:00", "2026-03-29T03:30:00+02:00"),  # skipped, so an hour later
        ("0 30 2 * * *", "2026-03-29T03:10:00+02:00", "2026-03-29T03:30:00+02:00"),  # also for one who starts after
        ("0 30 2 * * *", "2026-10-25T00:00:00+02:00", "2026-10-25T02:30:00+02:00"),
        ("0 30 2 * * *", "2026-10-25T02:10:00+01:00", "2026-10-26T02:30:00+01:00"),  # it has been, the first time
        ("0 */30 2 * * *", "2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00"),
    ],
)
def test_summer_time_in_berlin(expression: str, base: str, following: str) -> None:
    zone = ZoneInfo("Europe/Berlin")
    found = parse(expression).next(datetime.fromisoformat(base), zone)
    assert found is not None
    assert found.astimezone(zone).isoformat() == following


def test_a_schedule_is_a_value() -> None:
    assert parse("0 */5 * * * *") == parse("0 */5 * * * *")
    assert parse("0  */5 * * * *").label == "Cron: '0 */5 * * * *'"
    assert parse("00:05:00").label == "Constant: 00:05:00"
