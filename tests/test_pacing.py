from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edgefn.pacing import BackOff, MeasuredRate, Pacer, Spacing


def taken(rate: float, fps: float, frames: int) -> list[int]:
    spacing = Spacing(rate)
    return [number for number in range(frames) if spacing.wants(number / fps, 1 / fps)]


def test_ten_of_thirty_frames_a_second_are_each_third_one() -> None:
    assert taken(10, 30, 300) == list(range(0, 300, 3))


def test_ten_of_twelve_and_a_half_frames_a_second_are_four_of_five() -> None:
    chosen = taken(10, 12.5, 1250)
    assert len(chosen) == 1000
    assert max(after - before for before, after in itertools.pairwise(chosen)) == 2


def test_a_rate_above_that_of_the_source_takes_every_frame() -> None:
    assert taken(60, 30, 100) == list(range(100))


def test_times_rounded_to_milliseconds_keep_the_spacing_even() -> None:
    spacing = Spacing(10)
    chosen = [number for number in range(300) if spacing.wants(round(number / 30, 3), 1 / 30)]
    assert chosen == list(range(0, 300, 3))


@given(st.lists(st.floats(-0.01, 0.01), min_size=60, max_size=300), st.floats(0.5, 60))
def test_jitter_never_gives_more_frames_than_the_rate_allows(jitter: list[float], rate: float) -> None:
    spacing = Spacing(rate)
    chosen = sum(spacing.wants(number / 30 + off, 1 / 30) for number, off in enumerate(jitter))
    assert chosen <= (len(jitter) / 30 + 0.02) * rate + 2


def test_nothing_is_made_up_for_after_a_gap() -> None:
    spacing = Spacing(10)
    assert spacing.wants(0.0, 0.0)
    burst = [spacing.wants(5.03 + number / 1000, 0.0) for number in range(20)]
    assert sum(burst) == 1


def test_a_late_frame_shifts_no_later_one() -> None:
    pacer = Pacer()
    assert pacer.delay(0.0, now=100.0) == 0.0
    assert round(pacer.delay(0.1, now=100.25), 6) == -0.15
    assert round(pacer.delay(0.2, now=100.15), 6) == 0.05


def test_attempts_come_later_and_later_up_to_the_longest_delay() -> None:
    back_off = BackOff(first=0.5, longest=30.0)
    delays = [back_off.next() for _ in range(40)]
    assert delays[0] == 0.5
    assert all(0.5 <= delay <= 30.0 for delay in delays)
    assert all(delay >= 20.0 for delay in delays[8:])


def test_the_measured_rate_is_that_of_the_last_second() -> None:
    rate = MeasuredRate()
    for number in range(100):
        rate.frame(number / 50)
    assert round(rate.fps) == 50
    for number in range(40):
        rate.frame(2 + number / 10)
    assert round(rate.fps) == 10
