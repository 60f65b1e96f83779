"""What counts as a difference, and how it is named."""

from __future__ import annotations

from typing import Any

import pytest

from edgefn.testing.differences import differences, is_ignored


def paths(before: Any, after: Any, tolerance: float = 1e-4) -> list[str]:
    return [each.path for each in differences(before, after, "v", tolerance)]


def test_places_are_named_down_to_the_value() -> None:
    before = {"objects": [{"name": "car", "score": 0.5}, {"name": "truck"}], "id": 1}
    after = {"objects": [{"name": "car", "score": 0.6}], "id": 1, "new": None}
    assert paths(before, after) == ["v.objects[0].score", "v.objects[1]", "v.new"]
    shown = [str(each) for each in differences(before, after, "v")]
    assert shown[0] == "v.objects[0].score: 0.5 -> 0.6"
    assert shown[2] == "v.new: (nothing) -> None"


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (0.5, 0.50004, True),
        (0.5, 0.501, False),
        (1, 1.0, True),
        (1000.0, 1000.05, True),
        (7, 8, False),
        (True, 1, False),
        (0, [], False),
    ],
)
def test_fractions_have_a_tolerance_and_nothing_else_has(before: Any, after: Any, same: bool) -> None:
    assert (paths(before, after) == []) is same


def test_a_tolerance_of_nothing_is_exact() -> None:
    assert paths(0.5, 0.5 + 1e-12, tolerance=0.0) == ["v"]


@pytest.mark.parametrize(
    ("path", "pattern", "ignored"),
    [
        ("out[0].objects[3].score", "out.objects.score", True),
        ("out[0].timestamp", "*.timestamp", True),
        ("out[0].objects[3].box.x_min", "out.objects", True),
        ("out[0].objectsize", "out.objects", False),
    ],
)
def test_places_are_ignored_by_name_without_their_numbers(path: str, pattern: str, ignored: bool) -> None:
    assert is_ignored(path, [pattern]) is ignored
