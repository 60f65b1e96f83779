"""Gates in code: what counts of pictures, labels and detections, by the time that they are given."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgefn.contracts import Box, Candidate, Detection, PixelBox
from edgefn.gates import LabelGate, MotionGate, PresenceEvent, PresenceGate, ThresholdGate
from edgefn.gates.elapsed import Elapsed
from edgefn.gates.sightings import Sighting, class_names, sightings

Picture = NDArray[np.uint8]


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def detection(name: str, score: float = 0.9) -> Detection:
    return Detection(1, name, score, Box(0, 0, 1, 1), PixelBox(0, 0, 9, 9))


# --- time and results --------------------------------------------------------------------------------------------


def test_time_goes_on_from_where_it_was_when_a_clip_begins_again() -> None:
    elapsed = Elapsed()
    assert [elapsed.at(position) for position in (3.0, 4.0, 5.5, 0.0, 0.5, 2.0)] == [0.0, 1.0, 2.5, 2.5, 3.0, 4.5]


@given(st.lists(st.floats(0, 1e6)))
def test_time_never_goes_back(positions: list[float]) -> None:
    elapsed = Elapsed()
    times = [elapsed.at(position) for position in positions]
    assert times == sorted(times)


@pytest.mark.parametrize(
    "results",
    [
        [Candidate(1, "banana", 0.9)],
        Candidate(1, "banana", 0.9),
        [detection("banana")],
        {"name": "banana", "score": 0.9},
        [{"label": "banana", "confidence": 0.9, "frame": 7}],
        [{"tagId": 3, "tagName": "banana", "probability": 0.9}],
        [{"Tag": "banana", "Probability": 0.9}],
        ("banana", 0.9),
        [("banana", np.float64(0.9))],
        [["banana", "0.9"]],
        iter([("banana", 0.9)]),
    ],
)
def test_results_are_read_whatever_they_are_made_of(results: Any) -> None:
    assert sightings(results) == [Sighting("banana", 0.9)]


@pytest.mark.parametrize("results", [None, [], (), iter(())])
def test_nothing_was_found(results: Any) -> None:
    assert sightings(results) == []


@pytest.mark.parametrize(
    ("results", "found"),
    [
        ("banana", "a str"),
        (7, "an? int"),
        (["banana"], "a str"),
        ({"objects": [], "frame_id": 3}, "a dict with objects, frame_id"),
        ([{"name": "banana"}], "a dict with name"),
        ([{"name": "banana", "score": "high"}], "a dict with name, score"),
    ],
)
def test_what_is_no_result_is_told_with_what_would_be_one(results: Any, found: str) -> None:
    with pytest.raises(TypeError, match=f"finds {found}; right would be Candidates, Detections"):
        sightings(results)


def test_classes_may_be_a_text_with_commas() -> None:
    assert class_names("car, dump truck,,") == class_names(["car", "dump truck"]) == {"car", "dump truck"}


# --- threshold ---------------------------------------------------------------------------------------------------


def test_the_threshold_itself_counts() -> None:
    gate = ThresholdGate(0.6)
    assert gate.feed([("a", 0.59), ("b", 0.6), ("c", 0.61)]) == [("b", 0.6), ("c", 0.61)]
    assert gate.feed([("a", 0.59), ("b", float("nan"))]) == []


def test_only_the_named_classes_open_a_threshold() -> None:
    gate = ThresholdGate(0.6, "car, truck")
    assert gate.feed([("person", 0.9)]) == []
    assert gate.feed([("person", 0.9), ("truck", 0.7)]) == [("truck", 0.7)]


# --- label -------------------------------------------------------------------------------------------------------

SCAN = {"threshold": 0.95, "background": "Hand", "timeout": 5.0}


def labels(*seen: tuple[float, str, float], **options: Any) -> list[str | None]:
    """What a gate says to each (time, label, score)."""
    gate = LabelGate(**{**SCAN, **options})
    return [gate.feed([Candidate(0, label, score)], at) for at, label, score in seen]


def test_the_same_label_in_a_row_is_one_event() -> None:
    assert labels((0, "banana", 0.99), (1, "banana", 0.96), (2, "banana", 1.0)) == ["banana", None, None]


def test_the_background_between_makes_the_same_label_a_new_one() -> None:
    assert labels((0, "banana", 1), (1, "Hand", 1), (2, "banana", 1)) == ["banana", None, "banana"]


def test_a_label_that_was_not_seen_for_longer_than_the_time_out_is_a_new_one() -> None:
    assert labels((0, "banana", 1), (5.0, "banana", 1)) == ["banana", None]
    assert labels((0, "banana", 1), (5.1, "banana", 1)) == ["banana", "banana"]
    assert labels((0, "banana", 1), (50, "banana", 1), timeout=None) == ["banana", None]


def test_a_label_that_stays_is_never_forgotten() -> None:
    assert labels(*((n, "banana", 1) for n in range(100))) == ["banana"] + [None] * 99


def test_what_is_below_the_threshold_is_as_if_nothing_was_seen() -> None:
    unsure = [(1, "apple", 0.94), (2, "Hand", 0.9), (3, "banana", 0.5)]
    assert labels((0, "banana", 1), *unsure, (4, "banana", 1)) == ["banana", None, None, None, None]
    assert labels((0, "banana", 1), *unsure, (6, "banana", 1))[-1] == "banana"


def test_another_label_is_an_event_and_so_is_the_way_back() -> None:
    assert labels((0, "apple", 1), (1, "banana", 1), (2, "apple", 1)) == ["apple", "banana", "apple"]


def test_the_best_of_the_candidates_counts_whatever_their_order() -> None:
    gate = LabelGate(0.5, "Hand")
    assert gate.feed([("lemon", float("nan")), ("apple", 0.6), ("banana", 0.9)], 0) == "banana"
    assert gate.feed([("banana", 0.8), ("Hand", 0.9)], 1) is None
    assert gate.feed([("banana", 0.9)], 2) == "banana"
    assert gate.feed([], 3) is None


def test_several_labels_may_be_the_background() -> None:
    for background in ("Hand, Table", ["Hand", "Table"]):
        assert labels((0, "a", 1), (1, "Table", 1), (2, "a", 1), background=background) == ["a", None, "a"]


def test_without_media_time_a_clock_tells_when_the_time_out_is_over() -> None:
    clock = Clock()
    gate = LabelGate(timeout=5.0, clock=clock)
    assert gate.feed(("banana", 1.0)) == "banana"
    clock.now += 5
    assert gate.feed(("banana", 1.0)) is None
    clock.now += 5.1
    assert gate.feed(("banana", 1.0)) == "banana"


def test_a_threshold_that_is_changed_counts_for_the_next_picture() -> None:
    gate = LabelGate(0.96)
    assert gate.feed(("banana", 0.95), 0) is None
    gate.threshold = 0.9
    assert gate.feed(("banana", 0.95), 1) == "banana"


STEPS = st.lists(
    st.tuples(st.floats(0, 10), st.sampled_from(["apple", "banana", "Hand"]), st.sampled_from([0.5, 0.99])), max_size=40
)


@given(STEPS)
def test_between_two_events_of_one_label_lies_something_else_or_the_time_out(
    steps: list[tuple[float, str, float]],
) -> None:
    times = list(itertools.accumulate(gap for gap, _, _ in steps))
    seen = [(at, label, score) for at, (_, label, score) in zip(times, steps, strict=True)]
    said = labels(*seen)
    for index, label in enumerate(said):
        at, found, score = seen[index]
        earlier = [(then, name) for then, name, sure in seen[:index] if sure > 0.9]
        known = earlier[-1] if earlier else (at, "")
        is_news = score > 0.9 and found != "Hand" and (known[1] != found or at - known[0] > 5.0)
        assert label == (found if is_news else None)


# --- presence ----------------------------------------------------------------------------------------------------


def told(seen: Iterable[tuple[float, Sequence[str]]], **options: Any) -> list[tuple[str, str, float]]:
    """The events of a gate that sees these classes at these times."""
    gate = PresenceGate(**{"hold": 2.0, **options})
    events = [event for at, names in seen for event in gate.feed([detection(name) for name in names], at)]
    return [(event.event, event.name, event.at) for event in events]


def test_a_passage_is_one_enter_and_one_leave() -> None:
    seen = [(0, []), (1, ["car"]), (2, ["car"]), (3, []), (4, []), (5, []), (6, [])]
    assert told(seen) == [("enter", "car", 1), ("leave", "car", 2)]


def test_a_gap_that_is_no_longer_than_the_hold_time_is_no_leave() -> None:
    assert told([(0, ["car"]), (1, []), (2, ["car"]), (4, ["car"])]) == [("enter", "car", 0)]
    assert told([(0, ["car"]), (1, []), (2.5, ["car"])])[1:] == [("leave", "car", 0), ("enter", "car", 2.5)]


def test_nothing_leaves_between_two_pictures_that_follow_each_other() -> None:
    assert told([(0, ["car"]), (60, ["car"]), (120, ["car"])], hold=0.0) == [("enter", "car", 0)]


def test_without_hold_time_each_picture_without_a_class_is_a_leave() -> None:
    events = [("enter", "car", 0), ("leave", "car", 0), ("enter", "car", 2), ("leave", "car", 2)]
    assert told([(0, ["car"]), (1, []), (2, ["car"]), (3, [])], hold=0.0) == events


def test_each_class_enters_and_leaves_on_its_own() -> None:
    seen = [(0, ["car", "person"]), (2, ["person"]), (3, ["person", "person"]), (6, [])]
    events = [("enter", "car", 0), ("enter", "person", 0), ("leave", "car", 0), ("leave", "person", 3)]
    assert told(seen) == events


def test_only_the_named_classes_and_sure_detections_count() -> None:
    gate = PresenceGate("car", threshold=0.6)
    assert gate.feed([detection("person"), detection("car", 0.59)], 0) == []
    assert gate.feed([detection("car", 0.6)], 1) == [PresenceEvent("enter", "car", 1, 1)]
    assert gate.present == ["car"]


def test_a_leave_tells_since_when_it_was_there_and_until_when() -> None:
    gate = PresenceGate(hold=1.0)
    events = [event for at, n in ((7.0, 1), (8.0, 2), (9.5, 0)) for event in gate.feed([detection("car")] * n, at)]
    assert events[-1] == PresenceEvent("leave", "car", at=8.0, since=7.0)
    assert gate.present == []


def test_a_clip_that_begins_again_is_no_gap() -> None:
    assert told([(28, ["car"]), (29, ["car"]), (0, ["car"]), (1, [])]) == [("enter", "car", 28)]


def test_without_media_time_a_clock_tells_when_the_hold_time_is_over() -> None:
    clock = Clock()
    gate = PresenceGate(hold=2.0, clock=clock)
    gate.feed([detection("car")])
    clock.now += 2.5
    assert [event.event for event in gate.feed([])] == ["leave"]


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=60), st.integers(0, 6))
def test_enters_and_leaves_are_the_ends_of_what_is_seen_without_longer_gaps(
    steps: list[tuple[int, bool]], hold: int
) -> None:
    times = list(itertools.accumulate(gap for gap, _ in steps))
    seen = [(at, there) for at, (_, there) in zip(times, steps, strict=True)]
    runs: list[list[int]] = []
    for (_, before), (at, there) in itertools.pairwise([(0, False), *seen]):
        if there and runs and (before or at - runs[-1][1] <= hold):
            runs[-1][1] = at
        elif there:
            runs.append([at, at])
    wanted = [event for first, last in runs for event in (("enter", "car", first), ("leave", "car", last))]
    if runs and times[-1] - runs[-1][1] <= hold:
        wanted.pop()  # nobody can know yet
    found = told(((at, ["car"] * there) for at, there in seen), hold=hold)
    assert found == wanted


# --- motion ------------------------------------------------------------------------------------------------------


def scene(box: tuple[float, float] | None = None, height: int = 360, width: int = 640) -> Picture:
    """A picture with texture, and a bright square whose left upper corner is at this share of height and width."""
    rows, columns = np.mgrid[0:height, 0:width]
    texture = 90 + 20 * np.sin(columns * 60 / width) * np.cos(rows * 30 / height)
    image = np.repeat(texture.astype(np.uint8)[:, :, None], 3, axis=2)
    if box is not None:
        top, left = round(box[0] * height), round(box[1] * width)
        image[top : top + height // 5, left : left + height // 5] = 220  # 2.25 % of the picture
    return image


def test_a_still_picture_opens_the_gate_once() -> None:
    gate, picture = MotionGate(), scene()
    assert [gate.feed(picture, n / 10) for n in range(50)] == [True] + [False] * 49


def test_so_much_of_the_picture_has_to_change() -> None:
    for fraction, opens in ((0.01, True), (0.03, False)):
        gate = MotionGate(fraction)
        gate.feed(scene(), 0.0)
        assert gate.feed(scene((0.4, 0.4)), 0.1) is opens
        assert gate.changed == pytest.approx(0.0225, abs=0.004)


@pytest.mark.parametrize("height", [90, 180, 480, 720, 1080])
def test_the_share_is_the_same_at_every_resolution(height: int) -> None:
    gate = MotionGate()
    gate.feed(scene(None, height, height * 16 // 9), 0.0)
    gate.feed(scene((0.4, 0.4), height, height * 16 // 9), 0.1)
    assert gate.changed == pytest.approx(0.0225, abs=0.004)


def test_a_resolution_that_changes_on_the_way_is_no_motion() -> None:
    gate = MotionGate()
    assert gate.feed(scene(None, 720, 1280), 0.0)
    assert not gate.feed(scene(None, 360, 640), 0.1)


def test_the_noise_of_a_camera_is_no_motion() -> None:
    noise, gate = np.random.default_rng(1), MotionGate()
    picture = scene()
    pictures = ((picture + noise.normal(0, 8, (360, 640, 3))).clip(0, 255).astype(np.uint8) for _ in range(30))
    assert [gate.feed(picture, n / 10) for n, picture in enumerate(pictures)] == [True] + [False] * 29


def test_a_slow_change_of_the_light_is_no_motion_and_a_sudden_one_is() -> None:
    gate, picture = MotionGate(), scene()
    slow = [gate.feed(cv2.convertScaleAbs(picture, beta=n / 5), n / 2) for n in range(200)]  # 0.4 levels a second
    assert slow == [True] + [False] * 199
    assert gate.feed(scene(), 100.0)


def test_what_stays_becomes_part_of_the_background_however_many_pictures_a_second_there_are() -> None:
    before, after = scene(), scene((0.4, 0.4))
    for fps in (1, 10, 30):
        gate = MotionGate()
        gate.feed(before, 0.0)
        there = [gate.feed(after, 1 + n / fps) for n in range(30 * fps)]
        assert there[0]
        assert not there[-1]
        assert 10 <= sum(there) / fps <= 20


def test_the_gate_stays_open_for_the_hold_time_after_the_last_motion() -> None:
    gate = MotionGate(hold=1.0)
    gate.feed(scene(), 0.0)
    passing = {4: scene((0.4, 0.2)), 5: scene((0.4, 0.4))}
    opens = [gate.feed(passing.get(n, scene()), n / 2) for n in range(1, 10)]
    assert opens == [True, False, False, True, True, True, False, False, False]  # the first one counts as motion


def test_grey_pictures_will_do() -> None:
    gate = MotionGate()
    assert gate.feed(scene()[:, :, 0], 0.0)
    assert not gate.feed(scene()[:, :, 0], 0.1)
    assert gate.feed(scene((0.2, 0.2))[:, :, 0], 0.2)
