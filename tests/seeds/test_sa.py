"""SA, what all seeds ask for: rows of docs/seeds.md, on the models and clips that they name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino
import pytest

from tests.end_to_end.apps import (
    CARS,
    FRUITS,
    MOBILENET,
    PEOPLE,
    PERSONS,
    PICTURES,
    REJECTED,
    SQUEEZENET,
    VEHICLES,
    classify,
    detect,
)
from tests.end_to_end.conftest import Load, Play, Played
from tests.seeds.tiny_onnx import color_model

# --- SA.1 --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def four_seeds(play: Play) -> Played:
    """The four seed functions in one host, one of them raising, and a fifth one on the model of the first."""
    vehicles = detect("vehicles", CARS, VEHICLES, is_async=True).replace("max_in_flight=1", "every_nth=10")
    persons = detect("persons", PEOPLE, PERSONS).replace("    return", "    1 / (frame.id % 2)\n    return")
    fruits = classify("fruits", "%DATA%/images/fruits/banana", FRUITS, ", resize='custom-vision'")
    return play(
        {
            "labels.txt": "background\nobject\n",
            "functions/pictures.py": classify("pictures", PICTURES, SQUEEZENET),
            "functions/again.py": classify("again", PICTURES, SQUEEZENET, ", top_n=3"),
            "functions/vehicles.py": vehicles,
            "functions/persons.py": persons,
            "functions/fruits.py": fruits,
        }
    )


def test_sa_1_four_functions_run_in_one_host_and_one_that_raises_leaves_the_others(four_seeds: Played) -> None:
    sent = {name: len(four_seeds.bodies(name)) for name in four_seeds.functions}
    assert sent == {"pictures": 10, "again": 10, "vehicles": 38, "persons": 53, "fruits": 9}
    assert four_seeds.functions["persons"]["failed"] == 54
    assert four_seeds.functions["persons"]["last_error"].startswith("ZeroDivisionError: ")
    assert {figures["state"] for figures in four_seeds.functions.values()} == {"ended"}


def test_sa_1_each_distinct_model_is_compiled_once(four_seeds: Played) -> None:
    sessions = {name: next(iter(figures["inputs"].values())) for name, figures in four_seeds.functions.items()}
    assert sessions["pictures"]["inferences"] == sessions["again"]["inferences"] == 20
    assert sessions["persons"]["inferences"] == 53
    blobs = list((four_seeds.app.services.state / "model-cache").glob("*.blob"))
    assert len(blobs) == len({session["model"] for session in sessions.values()}) == 4


# --- SA.2 --------------------------------------------------------------------------------------------------------


def test_sa_2_four_formats_load_by_the_same_declaration(play: Play, tmp_path: Path) -> None:
    (tmp_path / "colors.onnx").write_bytes(color_model())
    (tmp_path / "pictures").mkdir()
    for number, color in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255)]):
        cv2.imwrite(str(tmp_path / f"pictures/{number}.png"), np.full((8, 8, 3), color, np.uint8))
    more = ", color_order='rgb', labels='%DATA%/models/mobilenet-v2-quant/imagenet_labels.txt'"
    played = play(
        {
            "functions/ir.py": classify("ir", PICTURES, SQUEEZENET),
            "functions/pb.py": classify("pb", "%DATA%/images/fruits/banana", FRUITS, ", resize='custom-vision'"),
            "functions/tflite.py": classify("tflite", PICTURES, MOBILENET, more),
            "functions/onnx.py": classify("onnx", "pictures", "colors.onnx", ", scale=255"),
        },
        tmp_path,
    )
    assert [body["index"] for body in played.bodies("onnx")] == [0, 1, 2]
    assert played.bodies("onnx")[0]["score"] == pytest.approx(np.e / (np.e + 2), abs=1e-2)
    assert [body["index"] for body in played.bodies("tflite")] == [body["index"] + 1 for body in played.bodies("ir")]
    assert len(played.bodies("ir")) == 10
    assert [body["index"] for body in played.bodies("pb")] == [1] * 9


def test_sa_2_a_model_that_openvino_rejects_disables_only_its_own_function(play: Play) -> None:
    played = play(
        {
            "functions/good.py": classify("good", PICTURES, SQUEEZENET),
            "functions/bad.py": classify("bad", PICTURES, REJECTED),
        }
    )
    (error,) = played.functions["bad"]["errors"]
    assert played.functions["bad"]["state"] == "error"
    assert error.startswith("functions/bad.py:6: inferenceSession 'classifier' of function 'bad': OpenVINO does not")
    assert "person_detect.tflite" in error
    assert "\n" not in error
    assert (played.functions["good"]["state"], len(played.bodies("good"))) == ("ended", 10)


# --- SA.3 --------------------------------------------------------------------------------------------------------


def test_sa_3_a_warm_start_loads_what_a_cold_one_left_in_the_cache(play: Play, tmp_path: Path) -> None:
    app = {"functions/f.py": classify("pictures", PICTURES, SQUEEZENET)}
    cold, blobs = play(app, tmp_path), blobs_of(tmp_path)
    warm = play(app, tmp_path)
    assert len(blobs) == 1
    assert blobs_of(tmp_path) == blobs
    assert [session(played)["from_cache"] for played in (cold, warm)] == [False, True]
    assert warm.bodies("pictures")[10:] == cold.bodies("pictures")


def blobs_of(root: Path) -> dict[str, int]:
    """The compiled models of an app's cache, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in (root / ".edgefn/model-cache").glob("*.blob")}


def session(played: Played) -> dict[str, Any]:
    (figures,) = played.functions.values()
    return figures["inputs"]["classifier"]


# --- SA.5 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", ["f32", "F32", None])
def test_sa_5_the_precision_in_use_is_in_the_status_and_can_be_declared(play: Play, declared: str | None) -> None:
    more = f", precision='{declared}'" if declared else ""
    usual = openvino.Core().get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name()
    played = play({"functions/f.py": classify("pictures", PICTURES, SQUEEZENET, more)})
    assert session(played)["precision"] == (declared.lower() if declared else usual)


def test_sa_5_a_precision_that_there_is_not_lists_those_that_there_are(load: Load) -> None:
    (function,) = load({"functions/f.py": classify("f", PICTURES, SQUEEZENET, ", precision='fp64'")}).functions
    (error,) = function.errors
    assert error.startswith("functions/f.py:6: ")
    assert "option 'precision'" in error
    assert "'f32', 'bf16' or 'f16', found 'fp64'" in error
