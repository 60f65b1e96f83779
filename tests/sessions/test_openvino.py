"""Opening and running sessions, on the sample models of the repository and on models made here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

import edgefn
from edgefn.contracts import Task
from edgefn.errors import ModelError
from edgefn.sessions.openvino import OpenVinoKind

Open = Callable[..., Any]
DETECTOR, LIGHT = "sample/street-detector.xml", "sample/light-classifier.xml"
ROOT = Path(__file__).resolve().parents[2]
CPU_ONLY = openvino.Core().available_devices == ["CPU"]
STREET = np.random.default_rng(1).integers(0, 255, (90, 160, 3), np.uint8)


def saved(path: Path, outputs: list[Any], inputs: list[Any]) -> Path:
    openvino.save_model(openvino.Model(outputs, inputs, path.stem), path)
    return path


def parameter(shape: list[int], name: str, kind: Any = np.float32) -> Any:
    node = ops.parameter(shape, kind, name=name)
    node.output(0).set_names({name})
    return node


def named(node: Any, name: str) -> Any:
    node.output(0).set_names({name})
    return node


def passing(path: Path, shape: list[int]) -> Path:
    """A model that gives its input of this shape back, as ``same``."""
    image = parameter(shape, "image")
    return saved(path, [named(ops.add(image, np.float32(0)), "same")], [image])


# --- devices -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("device", ["CPU", "AUTO", "AUTO:GPU,CPU", "HETERO:CPU", "MULTI:CPU", "BATCH:CPU"])
def test_these_devices_run_on_any_machine(opened: Open, device: str, cache: bool) -> None:
    session = opened(LIGHT, "classification", device=device, cache=cache)
    assert len(session.infer(STREET)) == 3
    assert session.status()["asked"] == device
    assert "CPU" in session.status()["device"]


@pytest.mark.skipif(not CPU_ONLY, reason="this machine has more than a CPU")
@pytest.mark.parametrize("device", ["GPU", "NPU", "HETERO:GPU,CPU", "HETERO:FPGA,CPU", "MYRIAD"])
def test_an_absent_device_fails_at_start_or_falls_back(opened: Open, device: str) -> None:
    with pytest.raises(ModelError, match=rf"device '{device}'.* is not there.*this machine has CPU$"):
        opened(LIGHT, device=device)
    status = opened(LIGHT, device=device, fallback="CPU").status()
    assert (status["device"], status["asked"], status["fallbacks"]) == ("CPU", device, 1)
    assert "fell back to CPU" in status["note"]
    with pytest.raises(ModelError, match=rf"'{device}'.*; nor can its fallback be used: device 'NPU.3' is not there"):
        opened(LIGHT, device=device, fallback="NPU.3")


@pytest.mark.skipif(not CPU_ONLY, reason="this machine has more than a CPU")
def test_what_was_dropped_of_auto_is_in_the_status(opened: Open) -> None:
    assert opened(LIGHT, device="AUTO:GPU,CPU").status()["note"] == "GPU of AUTO:GPU,CPU is not there"


# --- files and names ---------------------------------------------------------------------------------------------


def test_a_missing_model_lists_those_that_lie_there(opened: Open) -> None:
    with pytest.raises(ModelError) as error:
        opened("sample/street-detektor.xml")
    assert "did you mean 'street-detector.xml'?" in str(error.value)
    assert "models beside it: light-classifier.xml, street-detector.xml" in str(error.value)
    assert str(ROOT / "sample/street-detektor.xml") in str(error.value)


def test_a_model_may_lie_where_the_host_was_started(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passing(tmp_path / "here.xml", [1, 3, 4, 4])
    monkeypatch.chdir(tmp_path)
    assert opened("here.xml").status()["model"] == "here.xml"


def test_missing_weights_are_named(opened: Open, tmp_path: Path) -> None:
    shutil.copy(ROOT / DETECTOR, tmp_path / "alone.xml")
    with pytest.raises(ModelError, match=r"has no weights; 'alone.bin' should lie beside it"):
        opened(tmp_path / "alone.xml")


@pytest.mark.parametrize("name", ["broken.xml", "broken.onnx", "broken.pb", "broken.tflite"])
def test_a_broken_file_is_one_line(opened: Open, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no model at all")
    with pytest.raises(
        ModelError, match=r"OpenVINO does not take model .*; export it again, or copy it whole$"
    ) as error:
        opened(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"inputName": "imag"}, r"no input 'imag'; did you mean 'image'\?; its inputs: image \[1,3,192,320\] f32"),
        ({"outputNames": "boxes,score"}, r"no output 'score'; did you mean 'scores'\?; its outputs: boxes \[1,960,4\]"),
        ({"task": "classification"}, r"has outputs boxes .*, scores .*; declare 'outputNames'"),
        ({"task": "classification", "outputNames": "boxes"}, r"boxes \[1,960,4\] f32 is no row of class scores"),
        ({"task": "detection", "head": "ssd"}, r"outputs boxes .* are not those of head 'ssd'"),
        ({"task": "detection", "labels": "sample/none.txt"}, r"none\.txt' can not be read"),
        ({"resize": "custom-vision"}, r"inputs of up to 256 pixels"),
        ({"inputSize": "100,100"}, r"can not be made \[1, 3, 100, 100\]"),
    ],
)
def test_what_does_not_fit_the_model_fails_at_start(opened: Open, options: dict[str, Any], words: str) -> None:
    options = {"task": "raw", **options}
    with pytest.raises(ModelError, match=words):
        opened(DETECTOR, options.pop("task"), **options)


def test_labels_beside_the_model_are_taken(opened: Open) -> None:
    names = {candidate.name for candidate in opened(LIGHT, "classification").infer(STREET)}
    assert names == set((ROOT / "sample/light-classifier.labels.txt").read_text().split())


def test_labels_that_do_not_reach_are_logged(opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "labels.txt").write_text("day\ndusk\nnight\n")
    opened(LIGHT, "classification", labels=str(tmp_path / "labels.txt"), labelOffset=1)
    assert "has 3 classes, and 1 of them no label with labelOffset 1" in caplog.text


def test_an_object_without_a_label_is_logged_once(
    opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "labels.txt").write_text("car\n")
    session = opened(DETECTOR, "detection", labels=str(tmp_path / "labels.txt"))
    names = {found.name for _ in range(2) for found in session.infer(STREET)}
    assert names & {"1", "2"}
    (said,) = (record.message for record in caplog.records if "labelOffset" in record.message)
    assert re.fullmatch(
        r"model '.*' finds class (\d), which has none of the 1 labels with labelOffset 0: it is called '\1'", said
    )


def test_a_cache_that_can_not_be_written_is_named(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match=r"model cache '.*file' can not be used: .*; declare 'cache'"):
        opened(LIGHT, cache=str(tmp_path / "file"))


@pytest.mark.parametrize(
    ("options", "streams", "requests"),
    [({"hint": "Latency"}, 1, 3), ({"streams": "1"}, 1, 3), ({"streams": 1, "requests": "5"}, 1, 5)],
)
def test_hint_streams_and_requests_are_those_of_the_compiled_model(
    opened: Open, options: dict[str, Any], streams: int, requests: int
) -> None:
    status = opened(LIGHT, device="CPU", **options).status()
    assert (status["streams"], status["requests"]) == (streams, requests)


# --- shapes and preparation --------------------------------------------------------------------------------------


def test_open_height_and_width_are_declared(opened: Open, tmp_path: Path) -> None:
    model = passing(tmp_path / "open.xml", [-1, 3, -1, -1])
    with pytest.raises(
        ModelError, match=r"image \[\?,3,\?,\?\] f32 leaves its height or width open; declare 'inputSize'"
    ):
        opened(model)
    assert opened(model, inputSize="8x16").infer(STREET)["same"].shape == (1, 3, 8, 16)


@pytest.mark.parametrize(("shape", "layout"), [([1, 3, 4, 3], None), ([1, 5, 4, 6], None)])
def test_an_unclear_layout_is_declared(opened: Open, tmp_path: Path, shape: list[int], layout: Any) -> None:
    model = passing(tmp_path / "unclear.xml", shape)
    with pytest.raises(ModelError, match=r"layout of input image .* is not clear; declare 'layout'"):
        opened(model, inputName="image")


def test_preparation_is_folded_into_the_model(opened: Open, tmp_path: Path) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[:] = (10, 20, 30)
    model = passing(tmp_path / "nchw.xml", [1, 3, 4, 4])
    bgr = opened(model, mean="1,2,3", scale=2).infer(image)["same"]
    rgb = opened(model, colorOrder="RGB", mean=[1, 2, 3], scale="2").infer(image)["same"]
    assert bgr[0, :, 0, 0].tolist() == [4.5, 9.0, 13.5]
    assert rgb[0, :, 0, 0].tolist() == [14.5, 9.0, 3.5]
    nhwc = opened(passing(tmp_path / "nhwc.xml", [1, 4, 4, 3])).infer(image)["same"]
    assert nhwc[0, 0, 0].tolist() == [10.0, 20.0, 30.0]


def two_boxes(path: Path, boxes: list[list[float]]) -> Path:
    """A detector that finds these boxes in every picture, with scores 0.9 and 0.8."""
    image = parameter([1, 3, 8, 8], "image")
    nothing = ops.multiply(ops.reduce_sum(image, np.array([1, 2, 3]), keep_dims=False), np.float32(0))
    found = ops.add(ops.constant(np.array([boxes], np.float32)), nothing)
    scores = ops.add(ops.constant(np.array([[[0.0, 0.9], [0.0, 0.8]]], np.float32)), nothing)
    return saved(path, [named(found, "boxes"), named(scores, "scores")], [image])


@pytest.mark.parametrize(("options", "count"), [({}, 1), ({"iouThreshold": 0.9}, 2), ({"iouThreshold": "0.3"}, 1)])
def test_how_far_boxes_may_overlap_is_declared(
    opened: Open, tmp_path: Path, options: dict[str, Any], count: int
) -> None:
    model = two_boxes(tmp_path / "overlap.xml", [[0.1, 0.1, 0.5, 0.5], [0.1, 0.1, 0.5, 0.45]])
    assert len(opened(model, "detection", **options).infer(STREET)) == count


def test_boxes_are_in_pixels_where_that_is_declared(opened: Open, tmp_path: Path) -> None:
    model = two_boxes(tmp_path / "pixels.xml", [[2, 4, 6, 8], [0, 0, 1, 1]])
    best, _ = opened(model, "detection", boxFormat="Pixels").infer(STREET)
    assert best.box == edgefn.Box(0.25, 0.5, 0.75, 1.0)


def test_a_letterbox_keeps_the_shape_of_the_picture(opened: Open, tmp_path: Path) -> None:
    white = np.full((8, 16, 3), 255, np.uint8)
    found = opened(passing(tmp_path / "box.xml", [1, 3, 16, 16]), resize="letterbox").infer(white)["same"]
    assert [set(found[0, :, row].ravel()) == {255.0} for row in (0, 4, 11, 15)] == [False, True, True, False]


def test_a_model_for_several_pictures_is_opened_for_one(opened: Open, tmp_path: Path) -> None:
    assert opened(passing(tmp_path / "batch.xml", [4, 3, 8, 8])).infer(STREET)["same"].shape == (1, 3, 8, 8)


def test_a_grey_model_gets_the_grey_of_the_picture(opened: Open, tmp_path: Path) -> None:
    grey = opened(passing(tmp_path / "grey.xml", [1, 1, 4, 4])).infer(np.full((4, 4, 3), 77, np.uint8))
    assert grey["same"] == pytest.approx(np.full((1, 1, 4, 4), 77.0), abs=1)


# --- results -----------------------------------------------------------------------------------------------------


def test_a_frame_and_its_picture_give_the_same_objects(opened: Open) -> None:
    session = opened(DETECTOR, "detection", threshold="0.05")
    found = session.infer(STREET)
    assert found == session.infer(SimpleNamespace(image=STREET))
    assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)


def test_raw_outputs_belong_to_the_caller(opened: Open) -> None:
    session = opened(DETECTOR)
    first = session.infer(STREET)
    before = {name: array.copy() for name, array in first.items()}
    for _ in range(5):
        session.infer(np.zeros_like(STREET))
    assert {name: array.shape for name, array in first.items()} == {"boxes": (1, 960, 4), "scores": (1, 960, 3)}
    assert all((first[name] == before[name]).all() for name in before)


def test_a_raw_session_gives_only_the_named_outputs(opened: Open) -> None:
    assert list(opened(DETECTOR, outputNames=["scores"]).infer(STREET)) == ["scores"]


def test_a_raw_session_takes_arrays_by_name(opened: Open) -> None:
    session = opened(DETECTOR)
    resized = np.zeros((1, 192, 320, 3), np.uint8)
    by_name = session.infer({"image": resized})
    assert (by_name["scores"] == session.infer(resized[0])["scores"]).all()
    assert session.infer({"image": STREET})["scores"].shape == (1, 960, 3)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"picture": STREET}, r"got inputs picture; right would be a mapping of image \[1,192,320,3\] u8"),
        ({}, r"got inputs none"),
        ({"image": np.zeros((1, 9, 9, 3), np.uint8)}, r"got \[1,9,9,3\] uint8 for input 'image'; right would be"),
        ({"image": np.zeros((1, 192, 320, 3), np.float32)}, r"got \[1,192,320,3\] float32 for input 'image'"),
    ],
)
def test_wrong_arrays_are_refused_with_the_right_names_and_shapes(opened: Open, data: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        opened(DETECTOR).infer(data)


def test_an_unprepared_session_takes_what_the_model_declares(opened: Open, tmp_path: Path) -> None:
    model = passing(tmp_path / "plain.xml", [1, 3, 4, 4])
    session = opened(model, prepare="false", precision="f32")
    array = np.random.default_rng(2).random((1, 3, 4, 4), np.float32)
    assert (session.infer({"image": array})["same"] == array).all()
    with pytest.raises(ValueError, match=r"takes no picture; right would be a mapping of image \[1,3,4,4\] f32"):
        session.infer(STREET)


def test_inputs_and_outputs_of_open_shape_take_any(opened: Open, tmp_path: Path) -> None:
    left, right = parameter([-1, 2], "left"), parameter([-1, 2], "right")
    model = saved(tmp_path / "sum.xml", [named(ops.add(left, right), "sum")], [left, right])
    session = opened(model, precision="f32")
    for rows in (1, 5, 3):
        array = np.ones((rows, 2), np.float32)
        assert (session.infer({"left": array, "right": array})["sum"] == array * 2).all()
    with pytest.raises(ModelError, match="task 'detection' needs an input for pictures"):
        opened(model, "detection")


def test_a_wrong_picture_leaves_the_session_usable(opened: Open) -> None:
    session = opened(LIGHT, "classification", requests=1)
    for wrong in (None, "x", np.zeros((3, 3), np.uint8)):
        with pytest.raises((TypeError, ValueError), match="infer got"):
            session.infer(wrong)
    assert len(session.infer(STREET)) == 3


# --- sharing and ending ------------------------------------------------------------------------------------------


def test_a_model_is_compiled_once_however_many_open_it_at_once(kind: OpenVinoKind, declared: Any) -> None:
    options = {"model": DETECTOR, "requests": 2, "mean": 1}
    barrier = threading.Barrier(10)

    def open_one(number: int) -> Any:
        binding = declared(kind, **options, threshold=number / 10)
        barrier.wait()
        return kind.open(binding, Task.DETECTION)

    with ThreadPoolExecutor(10) as threads:
        sessions = list(threads.map(open_one, range(10)))
    for session in sessions:
        session.infer(STREET)
    assert {session.status()["inferences"] for session in sessions} == {10}
    assert kind.open(declared(kind, **options | {"mean": 2}), Task.RAW).status()["inferences"] == 0


def test_an_exchanged_file_is_another_model(opened: Open, tmp_path: Path) -> None:
    path = passing(tmp_path / "model.xml", [1, 3, 4, 4])
    before = opened(path)
    passing(path, [1, 3, 8, 8])
    after = opened(path)
    assert before.infer(STREET)["same"].shape == (1, 3, 4, 4)
    assert after.infer(STREET)["same"].shape == (1, 3, 8, 8)


async def test_a_forgotten_session_ends_its_threads(opened: Open) -> None:
    session = opened(DETECTOR, requests=2, mean=7)
    started = set(threading.enumerate())
    await session.infer_async(STREET)
    own = set(threading.enumerate()) - started
    assert len(own) == 2
    del session
    for thread in own:
        thread.join(10)
        assert not thread.is_alive()


async def test_a_closed_kind_ends_its_threads_and_says_so(tmp_path: Path, declared: Any) -> None:
    kind = OpenVinoKind(ROOT, tmp_path)
    session = kind.open(declared(kind, model=LIGHT), Task.CLASSIFICATION)
    before = set(threading.enumerate())
    await session.infer_async(STREET)
    own = set(threading.enumerate()) - before
    kind.close()
    kind.close()
    assert not any(thread.is_alive() for thread in own)
    with pytest.raises(ModelError, match="'light-classifier' is closed"):
        session.infer(STREET)
    with pytest.raises(ModelError, match="'light-classifier' is closed"):
        await session.infer_async(STREET)
    with pytest.raises(ModelError, match="the host is stopping"):
        kind.open(declared(kind, model=LIGHT), Task.RAW)


def test_first_inferences_from_many_threads_do_not_hang(tmp_path: Path) -> None:
    program = f"""
import threading, numpy
from pathlib import Path
from edgefn.contracts import Task
from edgefn.function import Binding, Direction
from edgefn.sessions.openvino import OpenVinoKind
kind = OpenVinoKind(Path({str(ROOT)!r}), Path({str(tmp_path)!r}))
barrier = threading.Barrier(8)
def run(number):
    options = kind.options(model=["{DETECTOR}", "{LIGHT}"][number % 2], mean=number // 2, cache=False)
    barrier.wait()
    session = kind.open(Binding("f", "s", "inferenceSession", Direction.IN, {{}}, options), Task.RAW)
    session.infer(numpy.zeros((9, 9, 3), "u1"))
threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(8)]
[thread.start() for thread in threads]
[thread.join(60) for thread in threads]
assert not any(thread.is_alive() for thread in threads)
kind.close()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=90)


def test_importing_the_plugin_imports_no_engine() -> None:
    program = (
        "import sys, edgefn.sessions.openvino, edgefn.sessions.stub, edgefn.bindings.inference_session;"
        "assert not {'openvino', 'cv2', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
