from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgefn.contracts import Box, Candidate, PixelBox
from edgefn.errors import ModelError
from edgefn.sessions.labels import Labels
from edgefn.sessions.pictures import View
from edgefn.sessions.ports import Port
from edgefn.sessions.results import Found, HeadOptions, best, check_classes, detections, find_head, suppress

VIEW = View(200, 100)


def ports(**shapes: tuple[int, ...]) -> list[Port]:
    return [Port(name, shape, "f32") for name, shape in shapes.items()]


def run(found_ports: list[Port], *outputs: Any, view: View = VIEW, **options: Any) -> list[Any]:
    """The detections of a head on a model whose input is 64 x 64."""
    declared = HeadOptions(
        **{"name": None, "threshold": 0.5, "iou": 0.5, "box_format": None, "background": None} | options
    )
    head, names = find_head(found_ports, declared, 64, 64)
    by_name = dict(zip([port.name for port in found_ports], outputs, strict=True))
    return detections(head([np.array(by_name[name], np.float32) for name in names]), Labels({1: "car"}), view)


# --- classes -----------------------------------------------------------------------------------------------------


def test_the_best_classes_come_highest_first() -> None:
    scores = np.array([[0.1, 0.7, 0.2]], np.float32)
    assert best(scores, 2, Labels({1: "car"})) == [Candidate(1, "car", 0.7), Candidate(2, "2", 0.2)]


@given(arrays(np.float32, st.integers(1, 60), elements=st.floats(0, 1, width=32)), st.integers(1, 70))
def test_the_best_classes_are_those_of_a_full_sort(scores: Any, count: int) -> None:
    expected = sorted(range(len(scores)), key=lambda index: (-scores[index], index))[:count]
    found = [candidate.index for candidate in best(scores, count, Labels())]
    assert [scores[i] for i in found] == [scores[i] for i in expected]
    assert found == sorted(found, key=lambda index: (-scores[index], index))


def test_an_output_of_several_rows_is_no_row_of_classes() -> None:
    check_classes(Port("prob", (1, 1000, 1, 1), "f32"))
    with pytest.raises(ModelError, match=r"boxes \[1,960,4\] f32 is no row of class scores"):
        check_classes(Port("boxes", (1, 960, 4), "f32"))


# --- heads -------------------------------------------------------------------------------------------------------


def ssd_rows(*rows: list[float]) -> Any:
    table = np.zeros((1, 1, 6, 7), np.float32)
    for number, row in enumerate([*rows, [-1.0] + [0.0] * 6]):
        table[0, 0, number] = row
    return table


def test_ssd_gives_names_scores_and_both_kinds_of_coordinates() -> None:
    output = ssd_rows([0, 1, 0.9, 0.1, 0.2, 0.5, 0.6])
    (found,) = run(ports(detection_out=(1, 1, 6, 7)), output)
    assert (found.index, found.name, found.score) == (1, "car", 0.9)
    assert found.box == Box(0.1, 0.2, 0.5, 0.6)
    assert found.pixels == PixelBox(20, 20, 100, 60)


def test_ssd_ends_at_the_first_negative_image_id() -> None:
    output = ssd_rows([0, 1, 0.6, 0, 0, 1, 1])
    output[0, 0, 3] = [0, 1, 0.99, 0, 0, 1, 1]
    assert [d.score for d in run(ports(out=(1, 1, 6, 7)), output)] == [0.6]


def test_objects_come_highest_score_first_and_only_above_the_threshold() -> None:
    output = ssd_rows([0, 1, 0.5, 0, 0, 1, 1], [0, 2, 0.8, 0, 0, 1, 1], [0, 3, 0.49, 0, 0, 1, 1])
    assert [(d.index, d.score) for d in run(ports(out=(1, 1, 6, 7)), output)] == [(2, 0.8), (1, 0.5)]


def test_boxes_are_clipped_to_the_picture() -> None:
    (found,) = run(ports(out=(1, 1, 6, 7)), ssd_rows([0, 1, 0.9, -0.2, 0.5, 1.3, 1.5]))
    assert found.box == Box(0.0, 0.5, 1.0, 1.0)
    assert found.pixels == PixelBox(0, 50, 200, 100)


def test_boxes_of_a_letterbox_are_those_of_the_whole_picture() -> None:
    view = View(200, 100, 1.0, 0.0, 2.0, -0.5)
    rows = ssd_rows([0, 1, 0.9, 0.25, 0.375, 0.5, 0.5], [0, 2, 0.8, 0.1, 0.0, 0.2, 0.2])
    (found,) = run(ports(out=(1, 1, 6, 7)), rows, view=view)
    assert found.box == Box(0.25, 0.25, 0.5, 0.5), "the other one lies in the bar above"


def test_boxes_beside_scores_give_the_best_class_of_each() -> None:
    boxes = [[[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0, 0.5, 0.52]]]
    scores = [[[0.1, 0.9, 0], [0.2, 0.1, 0.6], [0, 0.8, 0]]]
    for shapes in ({"boxes": (1, 3, 4), "scores": (1, 3, 3)}, {"scores": (1, 3, 3), "boxes": (1, 3, 4)}):
        outputs = {"boxes": boxes, "scores": scores}
        found = run(ports(**shapes), *(outputs[name] for name in shapes))
        assert [(d.index, d.score) for d in found] == [(1, 0.9), (2, 0.6)]


def test_a_background_class_is_never_an_object() -> None:
    shapes = ports(boxes=(1, 1, 4), scores=(1, 1, 2))
    outputs = [[[0, 0, 1, 1]]], [[[0.9, 0.6]]]
    assert [d.index for d in run(shapes, *outputs)] == [0]
    assert [d.index for d in run(shapes, *outputs, background=0)] == [1]


def test_boxes_in_pixels_are_declared() -> None:
    shapes = ports(boxes=(1, 1, 4), scores=(1, 1, 2))
    (found,) = run(shapes, [[[16, 16, 32, 64]]], [[[0, 0.9]]], box_format="pixels")
    assert found.box == Box(0.25, 0.25, 0.5, 1.0)


def test_boxes_with_their_score_beside_labels_are_in_pixels() -> None:
    found = run(ports(boxes=(1, -1, 5), labels=(1, -1)), [[[0, 0, 32, 64, 0.9], [0, 0, 9, 9, 0.2]]], [[1, 0]])
    assert [(d.index, d.score, d.box) for d in found] == [(1, 0.9, Box(0.0, 0.0, 0.5, 1.0))]


def test_yolo_with_columns_has_no_objectness() -> None:
    table = np.zeros((1, 6, 9), np.float32)
    table[0, :, 3] = [32, 32, 16, 32, 0.2, 0.8]
    (found,) = run(ports(output0=(1, 6, 9)), table)
    assert (found.index, found.score, found.box) == (1, 0.8, Box(0.375, 0.25, 0.625, 0.75))


def test_yolo_with_rows_multiplies_objectness_and_class() -> None:
    table = np.zeros((1, 20, 7), np.float32)
    table[0, 3] = [32, 32, 16, 32, 0.9, 0.2, 0.8]
    table[0, 4] = [32, 32, 16, 32, 0.6, 0.2, 0.8]
    (found,) = run(ports(output=(1, 20, 7)), table)
    assert (found.index, found.score, found.box) == (1, 0.72, Box(0.375, 0.25, 0.625, 0.75))


def test_nothing_found_is_an_empty_list() -> None:
    assert run(ports(out=(1, 1, 6, 7)), ssd_rows()) == []
    assert run(ports(output0=(1, 6, 9)), np.zeros((1, 6, 9))) == []
    assert run(ports(output0=(1, 9, 6)), np.zeros((1, 9, 6))) == []
    assert run(ports(boxes=(1, 0, 4), scores=(1, 0, 2)), np.zeros((1, 0, 4)), np.zeros((1, 0, 2))) == []


@pytest.mark.parametrize(
    ("shapes", "head"),
    [
        ({"prob": (1, 3)}, None),
        ({"prob": (1, 3)}, "yolo"),
        ({"a": (1, 9, 4)}, "boxes-scores"),
        ({"a": (1, 9, 6)}, "ssd"),
    ],
)
def test_outputs_of_no_head_are_listed(shapes: dict[str, tuple[int, ...]], head: str | None) -> None:
    with pytest.raises(ModelError, match=r"outputs .*\[1,.*right would be ssd"):
        run(ports(**shapes), *shapes, name=head)


# --- suppression -------------------------------------------------------------------------------------------------


def overlap(a: Any, b: Any) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    whole = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return float(shared / whole) if whole else 0.0


@given(st.integers(0, 30), st.integers(0, 2**32 - 1), st.floats(0.1, 0.9))
def test_what_stays_is_apart_and_what_goes_had_a_better_neighbour(count: int, seed: int, iou: float) -> None:
    random = np.random.default_rng(seed)
    boxes = np.sort(random.random((count, 2, 2)), axis=1).reshape(count, 4)
    found = Found(boxes, random.random(count), random.integers(0, 3, count))
    kept = suppress(found, iou)
    best_first = list(zip(kept.boxes, kept.scores, kept.classes, strict=True))
    for i, (box, _, index) in enumerate(best_first):
        assert all(overlap(box, b) <= iou + 1e-9 for b, _, other in best_first[:i] if other == index)
    for box, score, index in zip(*found, strict=True):
        rivals = [overlap(box, b) for b, s, other in best_first if other == index and s >= score]
        assert any((box == b).all() for b, _, _ in best_first) or max(rivals) > iou - 1e-9
