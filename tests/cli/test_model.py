"""``edgefn model``: what a file holds, the same model as IR, and its speed, on the sample models and on real ones."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest
from typer.testing import CliRunner, Result

from edgefn.cli.commands import commands
from edgefn.scene import Scene
from tests.cli.command import edgefn
from tests.seeds.tiny_onnx import color_model

ROOT = Path(__file__).parents[2]
DETECTOR, LIGHT = ROOT / "sample/street-detector.xml", ROOT / "sample/light-classifier.xml"


def model(*arguments: object) -> Result:
    return CliRunner().invoke(commands, ["model", *map(str, arguments)])


def answered(*arguments: object) -> Any:
    """The JSON of a command that succeeds."""
    ended = model(*arguments, "--json")
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of streets, in a folder for each light."""
    folder, scene = tmp_path_factory.mktemp("streets"), Scene(seed=5)
    for number in range(0, 360, 40):
        at = folder / scene.light(number)
        at.mkdir(exist_ok=True)
        cv2.imwrite(str(at / f"{number}.png"), scene.frame(number)[0])
    return folder


# --- inspect -----------------------------------------------------------------------------------------------------


def test_a_model_says_what_it_holds_and_what_a_session_of_it_would_be() -> None:
    said = model("inspect", DETECTOR).stdout
    assert f"{DETECTOR}: OpenVINO IR, 547,893 bytes\n  input    image [1,3,192,320] f32, NCHW\n" in said
    assert "task detection, 3 labels of street-detector.labels.txt; on CPU" in said
    assert f'@app.inference_session(arg_name="model", model="{DETECTOR}")' in said
    assert "model: edgefn.DetectionSession" in said
    assert "bgr and none are taken" in said


def test_the_line_to_paste_holds_the_options_of_the_session() -> None:
    said = model("inspect", LIGHT, "--option", "color_order=rgb", "--option", "task=raw").stdout
    assert f"model=\"{LIGHT}\", color_order='rgb', task='raw')" in said
    assert "model: edgefn.Session" in said
    assert "bgr and none" not in said


def test_the_formats_of_others_are_inspected_alike(test_data: Path) -> None:
    fruits = answered("inspect", test_data / "models/custom-vision-fruits/model.pb")
    assert (fruits["format"], fruits["layouts"]) == ("TensorFlow", {"Placeholder:0": "NHWC"})
    assert (fruits["session"]["task"], fruits["session"]["labels"]) == ("classification", 4)
    (tflite,) = (test_data / "models/mobilenet-v2-quant").glob("*.tflite")
    mobilenet = answered("inspect", tflite)
    assert (mobilenet["format"], mobilenet["quantised"]) == ("TensorFlow Lite", True)


def test_a_model_that_no_session_opens_is_shown_with_the_reason() -> None:
    found = answered("inspect", LIGHT, "--option", "task=detection")
    assert found["outputs"] == ["probabilities [1,3] f32"]
    assert found["session"] is None
    assert "are those of no head that is known" in found["fault"]


def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path: Path, test_data: Path) -> None:
    (tmp_path / "cut.onnx").write_bytes(b"\x08\x07nothing")
    (tmp_path / "text.xml").write_text("<a/>")
    faults = {
        tmp_path / "cut.onnx": "OpenVINO does not take model",
        tmp_path / "text.xml": "OpenVINO does not take model",
        test_data / "models/rejected-by-openvino/person_detect.tflite": "axis 3 is out of range",
        ROOT / "README.md": "is no model by its ending; known: .xml (OpenVINO IR), .onnx (ONNX)",
        ROOT / "sample/street-detecter.xml": "is not there; did you mean 'street-detector.xml'?",
    }
    for path, said in faults.items():
        for command in (["inspect", path], ["bench", path], ["convert", path, "-o", tmp_path / "out.xml"]):
            ended = model(*command)
            assert ended.exit_code == 1
            assert said in ended.stderr
            assert len(ended.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out.xml").exists()


def test_a_wrong_option_of_the_session_is_named() -> None:
    assert "--option colour: is unknown" in model("inspect", LIGHT, "--option", "colour=rgb").stderr
    assert "--option topN: Input should be" in model("inspect", LIGHT, "--option", "top_n=0").stderr


# --- convert -----------------------------------------------------------------------------------------------------


def test_a_tensorflow_model_becomes_half_as_large_and_stays_as_right(tmp_path: Path, test_data: Path) -> None:
    pictures, out = test_data / "images/fruits", tmp_path / "new/fruits.xml"
    source = test_data / "models/custom-vision-fruits/model.pb"
    done = answered("convert", source, "-o", out, "--calibration", pictures, "--option", "resize=custom-vision")
    assert done["bytes"] < 0.55 * source.stat().st_size
    agreement = done["agreement"]
    assert (agreement["same"], agreement["labelled"]) == (1.0, 27)
    assert agreement["right_before"] == agreement["right_after"] == pytest.approx(23 / 27)
    assert agreement["difference"] < 0.01
    assert answered("inspect", out)["session"]["labels"] == 4


def test_an_onnx_model_becomes_ir(tmp_path: Path) -> None:
    (tmp_path / "colors.onnx").write_bytes(color_model())
    done = answered("convert", tmp_path / "colors.onnx", "-o", tmp_path / "colors.xml")
    assert (done["agreement"]["same"], done["fault"]) == (1.0, "")
    assert answered("inspect", tmp_path / "colors.xml")["inputs"] == ["picture [1,3,2,2] f32"]


def test_the_sample_detector_finds_the_same_after_it_was_written_anew(tmp_path: Path) -> None:
    said = model("convert", DETECTOR, "-o", tmp_path / "x.xml", "--fp32").stdout
    assert re.search(r"x\.xml, with x\.bin: [\d,]+ bytes, of 547,893", said)
    assert "On 8 drawn frames both agree on the objects in 100.0%" in said


def test_int8_is_a_quarter_and_is_compared_with_what_it_was(tmp_path: Path, streets: Path) -> None:
    out = tmp_path / "light8.xml"
    arguments = ("model", "convert", str(LIGHT), "-o", str(out), "--int8", "--calibration", str(streets), "--json")
    ended = edgefn(*arguments, cwd=tmp_path)  # in a process of its own: NNCF is large, and warns
    assert ended.returncode == 0, ended.stderr
    agreement = json.loads(ended.stdout)["agreement"]
    assert agreement["pictures"] == agreement["labelled"] == 9
    assert agreement["right_before"] == 1.0
    assert agreement["right_after"] > 0.8
    assert answered("inspect", out)["quantised"]
    again = model("convert", out, "-o", tmp_path / "y.xml", "--int8", "--calibration", streets)
    assert "is quantised already" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "x.onnx"], "name one that ends in .xml"),
        (["-o", "x.xml", "--int8"], "--int8 needs --calibration"),
        (["-o", "x.xml", "--calibration", "nowhere"], "is no folder"),
        (["-o", "x.xml", "--calibration", "."], "has no pictures"),
        (["-o", "light.xml"], "is the model itself"),
    ],
)
def test_what_can_not_be_converted_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for ending in (".xml", ".bin"):
        shutil.copy(LIGHT.with_suffix(ending), tmp_path / f"light{ending}")
    ended = model("convert", "light.xml", *arguments)
    assert (ended.exit_code, said in ended.stderr) == (1, True)
    assert {path.name for path in tmp_path.iterdir()} == {"light.xml", "light.bin"}


# --- bench -------------------------------------------------------------------------------------------------------


def test_a_model_is_timed_by_a_session_beside_openvino_alone() -> None:
    result = answered("bench", LIGHT, "--seconds", "0.1")
    assert [row["way"] for row in result["figures"]] == [
        "session, one by one",
        "OpenVINO, one by one",
        "session, side by side",
        "OpenVINO, side by side",
    ]
    assert all(row["per_second"] > 0 and 0 < row["p50_ms"] <= row["p99_ms"] for row in result["figures"])
    assert (result["device"], result["picture"]) == ("CPU", "1280x720")
    assert "of OpenVINO's loops" in model("bench", LIGHT, "--seconds", "0.1").stdout


def test_a_device_that_is_not_there_is_said() -> None:
    assert model("bench", LIGHT, "--device", "NPU").stderr == "device 'NPU' is not there; this machine has CPU\n"
