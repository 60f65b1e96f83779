"""S0, hardware-accelerated functions on IoT Edge: rows of docs/seeds.md, on the models and clips that they name."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edgefn.contracts import EdgeMessage
from edgefn.host import Host
from edgefn.loader import load_app
from edgefn.source_addresses import recognise
from tests.cli.command import edgefn, sent
from tests.end_to_end.apps import (
    CARS,
    LYING,
    PEOPLE,
    PERSONS,
    PICTURES,
    SQUEEZENET,
    SQUEEZENET_LABELS,
    VEHICLES,
    counting,
)
from tests.end_to_end.conftest import Load, Play, play_app, upstream
from tests.steered import Steered, steered, until

# --- S0.1 --------------------------------------------------------------------------------------------------------

CLASSES = """
    took = time.perf_counter() - began
    return {"candidates": found, "frame_id": frame.id, "timestamp": frame.timestamp, "inference_fps": 1 / took,
            "model": classifier.status()["model"], "source": frame.source}
"""
SYNCHRONOUS = f"""
@app.video_frame_trigger("frame", "{PICTURES}")
@app.inference_session("classifier", "{SQUEEZENET}", precision="f32", labels="{SQUEEZENET_LABELS}")
@app.edge_hub_output("$return", "classes")
def classify(frame: edgefn.VideoFrame, classifier: edgefn.ClassificationSession) -> dict:
    began, found = time.perf_counter(), classifier.infer(frame)
{CLASSES}"""
ASYNC = SYNCHRONOUS.replace("def classify", "async def classify").replace(
    "classifier.infer(frame)", "await classifier.infer_async(frame)"
)
GENERIC = f"""
@app.generic_trigger("frame", type="videoFrameTrigger", source="{PICTURES}")
@app.generic_input_binding("classifier", type="inferenceSession", task="classification", precision="f32",
                           model="{SQUEEZENET}", labels="{SQUEEZENET_LABELS}")
@app.generic_output_binding("$return", type="edgeHub", outputName="classes")
async def classify(frame, classifier):
    began, found = time.perf_counter(), await classifier.infer_async(frame)
{CLASSES}"""
FUNCTION_JSON = {
    "bindings": [
        {"type": "videoFrameTrigger", "direction": "in", "name": "frame", "source": PICTURES},
        {"type": "inferenceSession", "direction": "in", "name": "classifier", "task": "classification"}
        | {"precision": "f32", "model": SQUEEZENET, "labels": SQUEEZENET_LABELS},
        {"type": "edgeHub", "direction": "out", "name": "$return", "outputName": "classes"},
    ]
}
V1 = f"""import time
def main(frame, classifier):
    began, found = time.perf_counter(), classifier.infer(frame)
{CLASSES}"""
FORMS = {
    "synchronous": {"functions/classify.py": SYNCHRONOUS},
    "async": {"functions/classify.py": ASYNC},
    "generic": {"functions/classify.py": GENERIC},
    "function_json": {"classify/function.json": json.dumps(FUNCTION_JSON), "classify/__init__.py": V1},
}


@pytest.mark.parametrize("form", FORMS)
def test_s0_1_classification_over_ten_pictures(play: Play, golden: dict[str, Any], test_data: Path, form: str) -> None:
    played = play(FORMS[form])
    messages = played.bodies("classes")
    pictures = sorted((test_data / "images/imagenet").glob("*.jpeg"))
    assert [message["frame_id"] for message in messages] == list(range(10))
    for picture, message in zip(pictures, messages, strict=True):
        right = golden["images"][f"images/imagenet/{picture.name}"]["squeezenet1.1 top-10 [index, name, score]"]
        found = message["candidates"]
        assert [(c["index"], c["name"]) for c in found] == [(index, name) for index, name, _ in right]
        assert [c["score"] for c in found] == pytest.approx([score for _, _, score in right], abs=1e-4)
        assert same_words(picture.stem, found[0]["name"])
        assert datetime.fromisoformat(message["timestamp"]).utcoffset() == timedelta(0)
        assert message["inference_fps"] > 0
        assert (message["model"], message["source"]) == ("squeezenet1.1.xml", f"{test_data}/images/imagenet")


def same_words(stem: str, name: str) -> bool:
    """Whether a picture named ``arctic-fox`` shows a ``Arctic fox, white fox``."""
    return name.lower().split(",")[0].replace(" ", "_") == stem.lower().replace("-", "_")


# --- S0.3 --------------------------------------------------------------------------------------------------------


def interval(name: str, seconds: str) -> str:
    return f"""
@app.video_frame_trigger("frame", "{CARS}", real_time=True, policy="every")
@app.inference_session("detector", "{VEHICLES}")
@app.edge_hub_output("objects", "{name}", interval="{seconds}")
async def {name}(frame: edgefn.VideoFrame, detector: edgefn.DetectionSession, objects: edgefn.Out[dict]):
    INFER
    objects.set({{"frame_id": frame.id}})
"""


@pytest.mark.long
def test_s0_3_the_publish_interval_is_kept_at_the_pace_of_the_clip(play: Play) -> None:
    functions = interval("second", "00:00:01") + interval("five", "5") + interval("each", "0")
    functions = functions.replace("INFER", "await detector.infer_async(frame)", 1).replace("INFER", "")
    played = play({"functions/f.py": functions})
    assert len(played.bodies("second")) == pytest.approx(30, abs=1)
    assert len(played.bodies("five")) == pytest.approx(6, abs=1)
    assert [message["frame_id"] for message in played.bodies("each")] == list(range(377))
    held = {name: played.functions[name]["outputs"]["objects"] for name in ("second", "five", "each")}
    assert all(figures["published"] + figures["held_back"].get("interval", 0) == 377 for figures in held.values())
    assert played.functions["each"]["trigger"]["fps"] == pytest.approx(12.5, rel=0.1)


# --- S0.4 --------------------------------------------------------------------------------------------------------


EVERY = f"""
@app.video_frame_trigger("frame", "{CARS}", real_time=True, on_end="loop")
@app.edge_hub_output("objects", "telemetry", interval="00:00:01")
async def every(frame: edgefn.VideoFrame, objects: edgefn.Out[dict]):
    objects.set({{"frame_id": frame.id}})
"""
QUICK = json.dumps({"version": "2.0", "extensions": {"twin": {"reportInterval": 0.05}}})


@pytest.mark.long
async def test_s0_4_the_interval_is_set_by_a_direct_method_and_by_a_desired_property(load: Load) -> None:
    async with steered(load({"host.json": QUICK, "functions/f.py": EVERY})) as site:
        await telemetry(site, 3)
        for wrong in ("abc", 0, -1):
            assert await site.call("SetTelemetryInterval", wrong) == (400, {"Response": "Invalid parameter"})
        assert await site.call("SetTelemetryIntervall", 5) == (
            404,
            {"Response": "Direct method not defined: SetTelemetryIntervall"},
        )
        before = await telemetry(site, 4)
        assert all(0.8 < gap < 4.8 for gap in gaps(before))  # never sooner; a busy machine takes longer
        done = {"Response": "Executed direct method SetTelemetryInterval"}
        assert await site.call("SetTelemetryInterval", 5) == (200, done)
        assert all(gap > 4.8 for gap in gaps(await telemetry(site, 6))[3:])
        answer = await site.desire({"functions": {"every": {"objects": {"interval": 2}}}})
        assert answer == {
            "version": 1,
            "status": "applied",
            "inForce": {"functions": {"every": {"objects": {"interval": 2}}}},
        }
        assert all(1.8 < gap < 4.8 for gap in gaps(await telemetry(site, 8))[5:])
        refused = await site.desire({"functions": {"every": {"objects": {"interval": "abc"}}}})
        assert (refused["status"], refused["inForce"]) == ("refused", answer["inForce"])
        assert all(1.8 < gap < 4.8 for gap in gaps(await telemetry(site, 9))[7:])


async def telemetry(site: Steered, count: int) -> list[datetime]:
    """When the first messages left, as soon as there are so many."""
    state = site.host.app.services.state
    await until(lambda: len(upstream(state)) >= count, 20)
    return [datetime.fromisoformat(line["created"]) for line in upstream(state)[:count]]


def gaps(times: list[datetime]) -> list[float]:
    return [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)]


# --- S0.5 --------------------------------------------------------------------------------------------------------


OTHER = """
@app.video_frame_trigger("frame", "%DATA%/images/imagenet")
@app.edge_hub_output("$return", "others")
def other(frame):
    return frame.id
"""


def on_device(device: str, *, cache: bool, more: str = "") -> dict[str, str]:
    """Classification on a device, beside a function that needs none."""
    function = f"""
@app.video_frame_trigger("frame", "{PICTURES}", every_nth=2)
@app.inference_session("classifier", "{SQUEEZENET}", "{device}", cache={cache}{more})
@app.edge_hub_output("$return", "classes")
async def classify(frame, classifier: edgefn.ClassificationSession):
    return (await classifier.infer_async(frame))[0].index
"""
    return {"functions/classify.py": function, "functions/other.py": OTHER}


@pytest.mark.parametrize("cache", [True, False], ids=["cached", "uncached"])
@pytest.mark.parametrize("device", ["CPU", "AUTO", "AUTO:GPU,CPU", "HETERO:CPU", "MULTI:CPU"])
def test_s0_5_a_device_that_this_machine_has_runs_and_is_told(play: Play, device: str, cache: bool) -> None:
    played = play(on_device(device, cache=cache))
    session = played.functions["classify"]["inputs"]["classifier"]
    assert played.functions["classify"]["state"] == "ended"
    assert len(played.bodies("classes")) == 5
    assert (session["device"], session["asked"]) == ("CPU", device)
    infos = next(m for m in played.app.services.metrics.registry.collect() if m.name == "edgefn_session_info").samples
    assert {sample.labels["device"] for sample in infos if sample.labels["function"] == "classify"} == {"CPU"}
    assert bool(list(played.app.services.state.rglob("*.blob"))) is cache


async def test_s0_5_the_device_really_used_is_in_the_reported_properties_and_a_change_is_too(load: Load) -> None:
    files = on_device("AUTO:GPU,CPU", cache=False) | {"host.json": QUICK}
    async with steered(load(files)) as site:
        asked = {"model": "squeezenet1.1.xml", "device": "CPU", "asked": "AUTO:GPU,CPU"}
        await until(lambda: reported_session(site).items() >= asked.items(), 20)
        await site.desire({"functions": {"classify": {"classifier": {"device": "CPU", "precision": "f32"}}}})
        await until(lambda: reported_session(site).get("precision") == "f32", 20)
        assert reported_session(site)["asked"] == "CPU"
        infos = site.host.app.services.metrics.registry.collect()
        sessions = next(metric for metric in infos if metric.name == "edgefn_session_info").samples
        assert [sample.labels["precision"] for sample in sessions] == ["f32"]
        refused = await site.desire({"functions": {"classify": {"classifier": {"device": "GPU"}}}})
        assert "this machine has CPU" in refused["reason"]
        assert reported_session(site)["device"] == "CPU"


def reported_session(site: Steered) -> dict[str, str]:
    """What is reported of the session of a function."""
    told = site.reported.get("functions", {}).get("classify", {}).get("inputs", {}).get("classifier", {})
    return dict(told)


@pytest.mark.parametrize("device", ["GPU", "NPU", "HETERO:GPU,CPU", "HETERO:FPGA,CPU", "MYRIAD"])
def test_s0_5_a_device_that_is_not_there_is_one_line_that_names_what_there_is(play: Play, device: str) -> None:
    played = play(on_device(device, cache=True))
    (error,) = played.functions["classify"]["errors"]
    assert played.functions["classify"]["state"] == "error"
    assert error.startswith("functions/classify.py:")
    assert f"device '{device}'" in error
    assert "this machine has CPU" in error
    assert "\n" not in error
    assert len(played.bodies("others")) == 10


@pytest.mark.parametrize("device", ["GPU", "HETERO:FPGA,CPU", "MYRIAD"])
def test_s0_5_a_declared_fallback_is_taken_and_told(play: Play, device: str) -> None:
    played = play(on_device(device, cache=True, more=', fallback="CPU"'))
    session = played.functions["classify"]["inputs"]["classifier"]
    assert len(played.bodies("classes")) == 5
    assert (session["device"], session["asked"], session["fallbacks"]) == ("CPU", device, 1)
    assert f"device '{device}'" in session["note"]
    assert "fell back to CPU" in session["note"]


# --- S0.6 --------------------------------------------------------------------------------------------------------

SAMPLE = Path(__file__).parents[2]


def seed(test_data: Path, **changed: str) -> dict[str, str]:
    """The environment as the seed's container has it, without a connection to IoT Hub."""
    return {
        "MODEL_XML_PATH": PERSONS.replace("%DATA%", str(test_data)),
        "DEVICE": "CPU",
        "INPUT": PEOPLE.replace("%DATA%", str(test_data)),
        "OUTPUT_DIR": "/output",
        "CONNECTIONSTRING": "none",
    } | changed


def start_sample(state: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The sample with these variables, until its clip has ended."""
    arguments = ("--script-root", str(SAMPLE), "--state", str(state), "--functions", "detect", "--until-end")
    return edgefn("start", *arguments, cwd=state.parent, **variables)


def test_s0_6_the_environment_of_the_seed_starts_the_sample_unchanged(tmp_path: Path, test_data: Path) -> None:
    ended = start_sample(tmp_path / "state", seed(test_data))
    messages = sent(tmp_path / "state", "detections")
    assert ended.returncode == 0
    assert "ERROR" not in ended.stdout
    assert "opened 'person-detection-retail-0013.xml' on CPU" in ended.stdout
    assert {message["source"] for message in messages} == {seed(test_data)["INPUT"]}
    assert any(message["objects"] for message in messages)


@pytest.mark.parametrize("value", [None, "", "none", "None"])
@pytest.mark.parametrize("name", ["MODEL_XML_PATH", "DEVICE", "INPUT"])
def test_s0_6_a_variable_that_is_not_set_or_none_is_named_before_a_model_is_loaded(
    tmp_path: Path, test_data: Path, caplog: pytest.LogCaptureFixture, name: str, value: str | None
) -> None:
    shutil.copytree(SAMPLE / "functions", tmp_path / "functions")
    shutil.copy(SAMPLE / "host.json", tmp_path)
    variables = seed(test_data, **{name: value or ""})
    if value is None:
        del variables[name]
    app = load_app(tmp_path, environment=variables, only=("detect",))
    detect = asyncio.run(status_after_start(Host(app)))["detect"]
    (error,) = detect["errors"]
    assert error.startswith("functions/detect.py:")
    assert f"%{name}%" in error
    assert "\n" not in error
    assert (detect["state"], detect["inputs"]) == ("error", {})
    assert "opened" not in caplog.text


async def status_after_start(host: Host) -> dict[str, Any]:
    await host.start()
    functions: dict[str, Any] = host.status()["functions"]
    await host.stop()
    return functions


@pytest.mark.parametrize("name", ["MODEL_XML_PATH", "DEVICE", "INPUT"])
def test_s0_6_the_command_says_it_in_one_line(tmp_path: Path, test_data: Path, name: str) -> None:
    ended = start_sample(tmp_path / "state", seed(test_data, **{name: "none"}))
    (line,) = [line for line in ended.stdout.splitlines() if f"%{name}%" in line and "ERROR" in line]
    assert "The 'detect' function is in error: functions/detect.py:" in line
    assert "names nothing: empty and none count as not set; give a" in line
    assert (ended.returncode, "opened" in ended.stdout, "Traceback" in ended.stdout) == (1, False, False)


def test_s0_6_cam_is_the_first_camera(tmp_path: Path, test_data: Path) -> None:
    app = load_app(SAMPLE, environment=seed(test_data, INPUT="cam"), only=("detect",), state=tmp_path)
    assert app.functions[0].errors == []
    assert recognise("cam", SAMPLE) == recognise("0", SAMPLE)


# --- S0.8 --------------------------------------------------------------------------------------------------------

ROUNDS = [(PEOPLE, 107), (LYING, 65), (PICTURES, 10)]
LISTEN = '@app.edge_hub_trigger("message", "in")\ndef listen(message): ...\n'


@pytest.mark.parametrize(("clip", "frames"), ROUNDS, ids=["people", "lying", "folder"])
def test_s0_8_at_the_end_of_a_source_its_function_ends_and_the_host_stays_up(
    load: Load, caplog: pytest.LogCaptureFixture, clip: str, frames: int
) -> None:
    app = load({"functions/count.py": counting("count", clip, frames), "functions/listen.py": LISTEN})
    caplog.set_level("INFO")
    functions = asyncio.run(ended_but_answering(Host(app)))
    module = app.manager.get_plugin("functions.count")
    assert list(range(frames)) == module.IDS
    assert (functions["count"]["state"], functions["count"]["trigger"]["state"]) == ("ended", "ended")
    assert (functions["listen"]["state"], functions["listen"]["invocations"]) == ("running", 1)
    assert f"ended after {frames} frames" in caplog.text
    assert "Function 'count' has ended: its trigger gives no further event" in caplog.text


async def ended_but_answering(host: Host) -> dict[str, Any]:
    """The status of the functions after the sources have ended and a message was taken then."""
    await host.start()
    async with asyncio.timeout(20):
        await host.wait_for_end()
        await host.app.services.spool.inbox.on_input(EdgeMessage(b"1", input_name="in"))
        await host.app.services.spool.inbox.idle()
    functions = host.status()["functions"]
    await host.stop()
    return functions


@pytest.mark.parametrize("more", ["on_end='loop'", "on_end='restart', restart_after=0.1"], ids=["loop", "restart"])
@pytest.mark.parametrize(("clip", "frames"), ROUNDS, ids=["people", "lying", "folder"])
def test_s0_8_frame_ids_go_on_over_three_rounds_of_a_clip(load: Load, clip: str, frames: int, more: str) -> None:
    app = load({"functions/count.py": counting("count", clip, 3 * frames, f", {more}")})
    module = app.manager.get_plugin("functions.count")
    played = asyncio.run(play_app(app, lambda host: module.ENOUGH.wait()))
    assert module.IDS[: 3 * frames] == list(range(3 * frames))
    assert module.POSITIONS[frames : 2 * frames] == module.POSITIONS[:frames]
    assert played.functions["count"]["failed"] == 0
    assert played.functions["count"]["trigger"]["dropped"] == {}


# --- S0.7 --------------------------------------------------------------------------------------------------------


PICTURES_OUT = """
@app.video_frame_trigger("frame", "synthetic:?width=96&height=72&fps=25&frames=1500")
@app.edge_hub_output("count", "count")
@app.file_output("picture", "%OUTPUT_DIR%", "{function}-{timestamp}-{frame_id:06}.jpg", max_files=20, quality=80MORE)
async def see(frame: edgefn.VideoFrame, count: edgefn.Out[int], picture: edgefn.Out[edgefn.VideoFrame]):
    picture.set(frame)
    count.set(frame.id)
"""


@pytest.mark.parametrize("when_full", ["drop_oldest", "block"])
def test_s0_7_sixty_seconds_of_video_leave_the_twenty_newest_pictures(
    play: Play, tmp_path: Path, when_full: str
) -> None:
    code = PICTURES_OUT.replace("MORE", f', when_full="{when_full}"')
    folder = tmp_path / "out"
    played = play({"functions/see.py": code}, OUTPUT_DIR=str(folder))
    names = sorted(path.name for path in folder.iterdir())
    numbers = [int(name.removesuffix(".jpg").rpartition("-")[2]) for name in names]
    status = played.functions["see"]["outputs"]["picture"]
    assert played.bodies("count")[-1] == 1499
    assert len(names) == status["files"] == 20
    assert numbers == sorted(numbers)
    assert all(re.fullmatch(r"see-\d{8}T\d{6}\.\d{6}Z-\d{6}\.jpg", name) for name in names)
    assert all((folder / name).read_bytes()[:2] == b"\xff\xd8" for name in names)
    in_hand = 1500 - status["written"] - sum(status["dropped"].values()) - status["waiting"]
    assert in_hand in (0, 1)
    assert numbers[-1] == 1499
    assert when_full != "block" or numbers == list(range(1480, 1500))


@pytest.mark.parametrize("folder", ["", "none"])
def test_s0_7_without_a_folder_there_are_no_pictures_and_all_else_goes_on(play: Play, folder: str) -> None:
    code = PICTURES_OUT.replace("MORE", "").replace("frames=1500", "frames=10")
    played = play({"functions/see.py": code}, OUTPUT_DIR=folder)
    assert played.bodies("count") == list(range(10))
    assert played.functions["see"]["outputs"]["picture"] == {"state": "off"}
