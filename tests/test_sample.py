"""The clip and the models that come with the package: whole, small, and good at the street that they were made for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgefn.scene import LABELS, LIGHTS, Scene

SAMPLE = Path(__file__).parent.parent / "sample"
FRESH_SEED = 424_242  # nothing was learned from it
NUMBERS = range(0, 1000, 25)


def compiled(name: str) -> Any:
    import openvino

    return openvino.Core().compile_model(SAMPLE / f"{name}.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def labels(name: str) -> tuple[str, ...]:
    return tuple((SAMPLE / f"{name}.labels.txt").read_text(encoding="utf-8").split())


def blob(image: np.ndarray, width: int, height: int) -> np.ndarray:
    return cv2.resize(image, (width, height)).transpose(2, 0, 1)[None].astype(np.float32)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    common = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None).prod()
    return float(common / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - common))


def detections(boxes: np.ndarray, scores: np.ndarray) -> list[np.ndarray]:
    """The boxes of one label, the surest first, without those that overlap a surer one."""
    kept: list[np.ndarray] = []
    for place in np.argsort(-scores):
        if scores[place] >= 0.5 and all(overlap(boxes[place], each) <= 0.5 for each in kept):
            kept.append(boxes[place])
    return kept


def found(truth: list[np.ndarray], claims: list[np.ndarray]) -> int:
    left = list(truth)
    for claim in claims:
        best = max(range(len(left)), key=lambda place: overlap(claim, left[place]), default=None)
        if best is not None and overlap(claim, left[best]) >= 0.5:
            left.pop(best)
    return len(truth) - len(left)


def test_the_clip_decodes_from_the_first_frame_to_the_last() -> None:
    capture = cv2.VideoCapture(str(SAMPLE / "street.mp4"))
    frames = 0
    while True:
        there, image = capture.read()
        if not there:
            break
        assert image.shape == (360, 640, 3)
        frames += 1
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(15)
    assert frames == capture.get(cv2.CAP_PROP_FRAME_COUNT) == 225


def test_what_is_shipped_stays_small() -> None:
    sizes = {path.name: path.stat().st_size for path in SAMPLE.iterdir() if path.is_file()}
    assert sum(sizes.values()) < 1_800_000
    assert sizes["street.mp4"] < 900_000
    assert sum(size for name, size in sizes.items() if name.endswith((".xml", ".bin"))) < 620_000


def test_the_detector_finds_the_objects_of_a_street_that_it_has_not_seen() -> None:
    request = compiled("street-detector").create_infer_request()
    assert labels("street-detector") == LABELS
    objects = hits = claimed = 0
    scene = Scene(seed=FRESH_SEED)
    for number in NUMBERS:
        image, truth = scene.frame(number)
        answer = request.infer({"image": blob(image, 320, 192)})
        for place, label in enumerate(LABELS):
            wanted = [np.array((o.x_min, o.y_min, o.x_max, o.y_max)) for o in truth if o.label == label]
            claims = detections(answer["boxes"][0], answer["scores"][0][:, place])
            objects, hits, claimed = objects + len(wanted), hits + found(wanted, claims), claimed + len(claims)
    assert objects > 100
    assert hits / objects >= 0.9
    assert hits / claimed >= 0.9


def test_the_detector_answers_with_shares_of_the_picture_and_one() -> None:
    model = compiled("street-detector")
    assert [list(port.shape) for port in model.outputs] == [[1, 960, 4], [1, 960, 3]]
    answer = model.create_infer_request().infer({"image": blob(Scene(seed=FRESH_SEED).frame(0)[0], 320, 192)})
    assert 0 <= answer["scores"].min() <= answer["scores"].max() <= 1
    assert (answer["boxes"][..., 2:] > answer["boxes"][..., :2]).all()


def test_the_classifier_tells_day_dusk_and_night_apart() -> None:
    request = compiled("light-classifier").create_infer_request()
    assert labels("light-classifier") == LIGHTS
    scene, right = Scene(seed=FRESH_SEED), 0
    for number in NUMBERS:
        probabilities = request.infer({"image": blob(scene.frame(number)[0], 64, 64)})["probabilities"][0]
        assert probabilities.sum() == pytest.approx(1, abs=1e-3)
        right += LIGHTS[probabilities.argmax()] == scene.light(number)
    assert right / len(NUMBERS) >= 0.95
