"""How agreement is counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from edgefn.contracts import Box, Candidate, Detection, PixelBox, Task
from edgefn.sessions.agreement import Shown, compare
from edgefn.sessions.int8 import prepared
from edgefn.sessions.options import OpenVinoOptions


class Answers:
    """A session that gives one answer after the other."""

    def __init__(self, *answers: Any) -> None:
        self._answers = iter(answers)

    def infer(self, _data: Any) -> Any:
        return next(self._answers)


def classes(*scores: float) -> list[Candidate]:
    return sorted((Candidate(i, f"c{i}", score) for i, score in enumerate(scores)), key=lambda c: -c.score)


def objects(*boxes: tuple[float, float, float, float]) -> list[Detection]:
    return [Detection(1, "car", 0.9, Box(*box), PixelBox(0, 0, 1, 1)) for box in boxes]


def shown(labels: Iterable[str]) -> list[Shown]:
    return [Shown(None, label) for label in labels]


def test_the_best_class_is_counted_and_who_is_right() -> None:
    before, after = Answers(classes(0.9, 0.1), classes(0.2, 0.8)), Answers(classes(0.4, 0.6), classes(0.25, 0.75))
    found = compare(before, after, Task.CLASSIFICATION, shown(["C0", ""]))
    assert (found.same, round(found.difference, 6), found.labelled) == (0.5, 0.5, 1)
    assert (found.right_before, found.right_after) == (1.0, 0.0)


def test_objects_count_where_their_boxes_lie_over_each_other() -> None:
    before, after = Answers(objects((0, 0, 0.5, 0.5), (0.6, 0.6, 1, 1))), Answers(objects((0, 0, 0.5, 0.45)))
    assert compare(before, after, Task.DETECTION, shown([""])).same == 2 / 3
    assert compare(Answers([]), Answers([]), Task.DETECTION, shown([""])).same == 1.0


def test_tensors_count_by_number() -> None:
    before, after = Answers({"x": np.array([1.0, 100.0])}), Answers({"x": np.array([1.5, 90.0])})
    found = compare(before, after, Task.RAW, shown([""]))
    assert (found.same, round(found.difference, 6)) == (0.5, 0.1)


def test_pictures_for_calibration_are_what_a_session_folds_into_the_model() -> None:
    options = OpenVinoOptions(model="x", color_order="rgb", mean=(1, 2, 3), scale=(2,))
    picture = np.full((4, 4, 3), (11, 22, 33), np.uint8)
    planes = prepared(picture, (1, 3, 2, 2), "NCHW", options)
    assert planes.shape == (1, 3, 2, 2)
    assert planes[0, :, 0, 0].tolist() == [16.0, 10.0, 4.0]
    assert prepared(picture, (1, 2, 2, 1), "NHWC", OpenVinoOptions(model="x"))[0, 0, 0, 0] == np.float32(24.035)
