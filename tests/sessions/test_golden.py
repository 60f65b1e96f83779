"""Real models on real pictures, at f32: the figures of GOLDEN.json, to 1e-4."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

Open = Callable[..., Any]
TOP_10 = "squeezenet1.1 top-10 [index, name, score]"


@pytest.fixture(scope="module")
def squeezenet(opened: Open, test_data: Path) -> Any:
    folder = test_data / "models/squeezenet1.1"
    model, labels = folder / "squeezenet1.1.xml", folder / "imagenet_labels.txt"
    return opened(model, "classification", labels=str(labels), precision="f32")


@pytest.fixture(scope="module")
def mobilenet(opened: Open, test_data: Path) -> Any:
    model = test_data / "models/mobilenet-v2-quant/mobilenet_v2_1.0_224_quant.tflite"
    labels = test_data / "images/seed-001/imagenet-classes.json"
    options = {"labels": str(labels), "labelOffset": -1, "colorOrder": "rgb", "topN": 1}
    return opened(model, "classification", precision="f32", **options)


def fruits(opened: Open, test_data: Path, **options: Any) -> Any:
    folder = test_data / "models/custom-vision-fruits"
    options = {"labels": str(folder / "labels.txt"), "resize": "custom-vision", **options}
    return opened(folder / "model.pb", "classification", precision="f32", **options)


def test_squeezenet_gives_the_ten_best_classes_of_each_picture(
    squeezenet: Any, golden: Any, picture: Callable[[str], Any]
) -> None:
    expected = {name: models[TOP_10] for name, models in golden["images"].items() if TOP_10 in models}
    assert len(expected) == 16
    for name, rows in expected.items():
        found = squeezenet.infer(picture(name))
        assert [(c.index, c.name) for c in found] == [(index, label) for index, label, _ in rows]
        assert [c.score for c in found] == pytest.approx([score for _, _, score in rows], abs=1e-4)


def test_a_quantised_model_gives_real_scores_and_the_labels_of_its_offset(
    mobilenet: Any, golden: Any, picture: Callable[[str], Any]
) -> None:
    expected = {n: m["mobilenet_v2_quant_top1"] for n, m in golden["images"].items() if "mobilenet_v2_quant_top1" in m}
    assert len(expected) == 16
    for name, (index, label, score) in expected.items():
        (found,) = mobilenet.infer(picture(name))
        assert (found.index, found.name) == (index, label)
        assert found.score == pytest.approx(score, abs=1e-4)


def test_two_models_with_other_indexes_agree_by_name(
    squeezenet: Any, mobilenet: Any, picture: Callable[[str], Any]
) -> None:
    for name in ("dog", "schoolbus", "snowleopardgaze", "tiger", "indian-elephant"):
        image = picture(f"images/seed-001/{name}.jpg")
        ours, theirs = squeezenet.infer(image)[0], mobilenet.infer(image)[0]
        assert (ours.name, ours.index + 1) == (theirs.name, theirs.index)


def test_custom_vision_scores_are_equal_and_wrong_colours_show(
    opened: Open, test_data: Path, golden: Any, picture: Callable[[str], Any]
) -> None:
    right, wrong = fruits(opened, test_data), fruits(opened, test_data, colorOrder="rgb")
    hits, worst = 0, 0.0
    expected = {n: m["custom-vision-fruits"] for n, m in golden["images"].items() if "custom-vision-fruits" in m}
    for name, scores in expected.items():
        image = picture(name)
        found = right.infer(image)
        assert {c.name: c.score for c in found} == pytest.approx(scores, abs=1e-4)
        hits += found[0].name.lower() == Path(name).parent.name
        worst = max(worst, *(abs(c.score - scores[c.name]) for c in wrong.infer(image)))
    assert (hits, len(expected)) == (23, 27)
    assert worst > 0.5, "RGB for BGR must not pass"


def test_an_ssd_finds_the_car_of_the_clip(opened: Open, test_data: Path) -> None:
    name = "vehicle-detection-adas-0002"
    session = opened(test_data / "models" / name / f"{name}.xml", "detection", precision="f32")
    clip = cv2.VideoCapture(str(test_data / "videos/car-detection.mp4"))
    frames = [clip.read()[1] for _ in range(61)]
    assert [len(session.infer(frame)) for frame in frames[56:]] == [0, 0, 0, 0, 1]
    (car,) = session.infer(frames[60])
    assert (car.index, car.name) == (1, "1")
    assert 0.5 < car.score < 0.7
    assert car.pixels.x_min == round(car.box.x_min * 768)


def test_the_precision_in_use_is_in_the_status(squeezenet: Any, opened: Open, test_data: Path) -> None:
    assert squeezenet.status()["precision"] == "f32"
    default = opened(test_data / "models/squeezenet1.1/squeezenet1.1.xml")
    assert default.status()["precision"] in ("f32", "bf16", "f16")


def test_a_rejected_model_says_why_in_one_line(opened: Open, test_data: Path) -> None:
    with pytest.raises(Exception, match=r"does not take model.*Per-Channel Quantization axis 3") as error:
        opened(test_data / "models/rejected-by-openvino/person_detect.tflite")
    assert "\n" not in str(error.value)
    assert "Exception from" not in str(error.value)


def test_a_warm_cache_compiles_in_half_the_time(opened: Open, test_data: Path, tmp_path: Path) -> None:
    model = test_data / "models/person-detection-retail-0013/person-detection-retail-0013.xml"

    def status() -> Any:
        return opened(model, cache=str(tmp_path / "cache")).status()

    cold, *warm = [status() for _ in range(4)]
    assert [s["from_cache"] for s in (cold, *warm)] == [False, True, True, True]
    assert min(s["compile_seconds"] for s in warm) < cold["compile_seconds"] / 2
