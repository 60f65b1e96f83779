"""The drawn street keeps what the source `synthetic:` and the sample models rely on."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from edgefn.scene import CYCLE, LABELS, LIGHTS, Scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(seed=5)


def labels_of(scene: Scene, numbers: range) -> list[list[str]]:
    return [[each.label for each in scene.frame(number)[1]] for number in numbers]


def test_the_same_seed_and_number_give_the_same_frame(scene: Scene) -> None:
    image, objects = scene.frame(123)
    again, same_objects = Scene(seed=5).frame(123)
    assert np.array_equal(image, again)
    assert objects == same_objects


def test_frames_can_be_asked_for_in_any_order(scene: Scene) -> None:
    numbers = [400, 3, 77, 10_000_000, 76]
    other = Scene(seed=5)
    forth = {number: scene.frame(number) for number in numbers}
    back = {number: other.frame(number) for number in reversed(numbers)}
    assert all(np.array_equal(forth[number][0], back[number][0]) for number in numbers)
    assert all(forth[number][1] == back[number][1] for number in numbers)


def test_a_caller_may_draw_on_its_frame(scene: Scene) -> None:
    before = scene.frame(40)[0].copy()
    scene.frame(40)[0][:] = 0
    assert np.array_equal(scene.frame(40)[0], before)


def test_different_seeds_give_different_streets(scene: Scene) -> None:
    image, objects = scene.frame(60)
    other_image, other_objects = Scene(seed=6).frame(60)
    assert np.abs(image.astype(int) - other_image).mean() > 10
    assert objects != other_objects


@pytest.mark.parametrize(("width", "height"), [(640, 360), (1280, 720), (320, 240), (97, 61)])
def test_a_picture_has_the_size_that_was_asked_for(width: int, height: int) -> None:
    image, _ = Scene(width=width, height=height).frame(0)
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8


def test_every_box_is_inside_the_picture_and_not_empty(scene: Scene) -> None:
    for number in range(0, 900, 10):
        for each in scene.frame(number)[1]:
            assert each.label in LABELS
            assert 0 <= each.x_min < each.x_max <= 1
            assert 0 <= each.y_min < each.y_max <= 1


def test_an_object_is_drawn_where_its_box_says(scene: Scene) -> None:
    noon = Scene(seed=5).frame(0)[0].astype(int)  # the light of frame 60; where nobody stood, only noise differs
    image, objects = scene.frame(60)
    for each in objects:
        rows = slice(round(each.y_min * 360), round(each.y_max * 360))
        columns = slice(round(each.x_min * 640), round(each.x_max * 640))
        assert np.abs(image[rows, columns] - noon[rows, columns]).mean() > 12


def test_all_three_kinds_enter_and_leave_again(scene: Scene) -> None:
    seen = labels_of(scene, range(0, 4500, 5))
    for label in LABELS:
        there = [label in labels for labels in seen]
        came = sum(now and not before for before, now in pairwise(there))
        left = sum(before and not now for before, now in pairwise(there))
        assert came >= 2
        assert left >= 2


@pytest.mark.parametrize("seed", range(1, 9))
def test_something_can_be_seen_from_the_first_seconds_on(seed: int) -> None:
    assert any(labels_of(Scene(seed=seed), range(0, 30, 5)))


def test_the_street_is_empty_at_times_and_full_at_others(scene: Scene) -> None:
    counts = [len(labels) for labels in labels_of(scene, range(0, 9000, 15))]
    assert min(counts) == 0
    assert max(counts) >= 6


def test_what_is_hidden_behind_a_nearer_object_is_not_labelled(scene: Scene) -> None:
    for number in range(0, 1500, 25):
        objects = scene.frame(number)[1]
        for place, far in enumerate(objects):
            for near in objects[place + 1 :]:
                width = min(far.x_max, near.x_max) - max(far.x_min, near.x_min)
                height = min(far.y_max, near.y_max) - max(far.y_min, near.y_min)
                area = (far.x_max - far.x_min) * (far.y_max - far.y_min)
                assert max(width, 0) * max(height, 0) <= 0.6 * area + 1e-9


def test_vehicles_of_a_lane_do_not_drive_through_each_other() -> None:
    for seed in range(3):
        scene = Scene(seed=seed)
        for number in range(0, 1800, 7):
            vehicles = [each for each in scene.frame(number)[1] if each.label != "person"]
            for ground in {each.y_max for each in vehicles}:
                lane = sorted((each.x_min, each.x_max) for each in vehicles if each.y_max == ground)
                assert all(end < start for (_, end), (start, _) in pairwise(lane))


def test_the_light_goes_round_in_the_order_of_the_cycle(scene: Scene) -> None:
    length = sum(seconds for _, seconds in CYCLE)
    lights = [scene.light(number) for number in range(int(length * scene.fps))]
    changes = [lights[0], *(now for before, now in pairwise(lights) if now != before)]
    assert changes == ["day", "dusk", "night", "dusk", "day"]
    assert set(lights) == set(LIGHTS)


def test_a_night_is_darker_than_dusk_and_dusk_than_day(scene: Scene) -> None:
    brightness = [scene.frame(round(seconds * scene.fps))[0].mean() for seconds in (4, 14, 20)]
    assert [scene.light(round(seconds * scene.fps)) for seconds in (4, 14, 20)] == ["day", "dusk", "night"]
    assert brightness[0] > brightness[1] > brightness[2]
