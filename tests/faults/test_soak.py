"""Fault 30: what the soak would find; the soak itself runs beside the tests, for minutes or a day."""

from __future__ import annotations

from pathlib import Path

from tests.faults.box import box
from tests.faults.soak import Arrivals, Sample, growth, soak


def test_fault_30_the_soak_sees_nothing_wrong_in_a_few_seconds(tmp_path: Path) -> None:
    told = soak(tmp_path, seconds=4, drop_each=1.5, sample_each=0.25)
    assert told["drops"] == 2
    assert told["inputs"] > 200
    assert told["lost"] == told["with_another_id"] == told["disorder"] == 0
    assert told["grows"] == []


def test_fault_30_the_soak_sees_what_is_lost_comes_again_or_grows(tmp_path: Path) -> None:
    with box(tmp_path) as there:
        there.give(3)
        there.wait_for_all()
        arrivals = Arrivals()
        arrivals.read(there.hub)
    assert (arrivals.lost(3), arrivals.again) == (0, 0)
    for number, message_id in ((5, "a"), (4, "b"), (5, "a"), (5, "other")):
        arrivals._came(number, message_id)
    assert (arrivals.lost(8), arrivals.missing) == (3, {3})
    assert (arrivals.again, arrivals.strangers, arrivals.disorder) == (2, 1, 1)
    told = growth([Sample(100.0 + n, 7, 10 + n, 4) for n in range(40)])
    assert told["grows"] == ["rss", "descriptors"]
    assert (told["threads_first"], told["threads_last"]) == (7, 7)
