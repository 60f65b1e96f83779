"""Rows of SEEDS.md that the accelerated-models sample is about: no network, readiness, errors, retries, pictures."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

import edgefn.testing as edgefn_testing
from edgefn.cli.new import New, run_new
from edgefn.host import Host
from edgefn.web.options import Asked, server_options
from edgefn.web.server import WebServer
from tests.cli.command import app_in, command, environment, sent, started
from tests.end_to_end.apps import MOBILENET, SQUEEZENET, SQUEEZENET_LABELS
from tests.end_to_end.conftest import HEAD, Load, Play
from tests.steered import QUICK, steered, until
from tests.templates import empty_app

TOP_10 = "squeezenet1.1 top-10 [index, name, score]"
"""What GOLDEN has of a picture."""


def test_s1_1_two_models_whose_indexes_differ_by_one_agree_on_the_animals_and_the_bus(play: Play) -> None:
    """The pictures of the seed's client; the label offset of the model with a background class is declared."""
    source = "%DATA%/images/seed-001"
    code = HEAD + "".join(
        f"""
@app.video_frame_trigger("frame", "{source}")
@app.inference_session("classifier", "{model}", labels="{SQUEEZENET_LABELS}", precision="f32"{more})
@app.edge_hub_output("$return", "{name}")
async def {name}(frame: edgefn.VideoFrame, classifier: edgefn.ClassificationSession) -> dict:
    best = (await classifier.infer_async(frame))[0]
    return {{"image": frame.item, "label": best.name, "confidence": best.score}}
"""
        for name, model, more in (
            ("squeezenet", SQUEEZENET, ""),
            ("mobilenet", MOBILENET, ', color_order="rgb", label_offset=-1'),
        )
    )
    played = play({"functions/scores.py": code})
    labels = [{body["image"]: body["label"] for body in played.bodies(name)} for name in ("squeezenet", "mobilenet")]
    agreed = {image for image in labels[0] if labels[0][image] == labels[1][image]}
    assert agreed >= {"dog.jpg", "schoolbus.jpg", "snowleopardgaze.jpg", "tiger.jpg"}


def test_s1_1_a_timer_function_over_the_folder_publishes_each_figure_as_a_field_of_its_own(
    tmp_path: Path, test_data: Path, golden: dict[str, Any]
) -> None:
    app = empty_app(tmp_path / "app")
    assert run_new(New("score-folder", "score", root=app)) == 0
    told = {}
    for model, offset, order in ((SQUEEZENET, "0", "bgr"), (MOBILENET, "-1", "rgb")):
        settings = {"LABEL_OFFSET": offset, "COLOR_ORDER": order, "IMAGE_DIR": str(test_data / "images/seed-001")}
        settings["CLASSIFIER_XML_PATH"] = model.replace("%DATA%", str(test_data))
        settings["CLASSIFIER_LABELS"] = SQUEEZENET_LABELS.replace("%DATA%", str(test_data))
        with edgefn_testing.load(app, settings=settings) as kit:
            told[model] = {body["image"]: body for body in kit.call("score").outputs["$return"]}
    assert len(told[SQUEEZENET]) == len(told[MOBILENET]) == 6
    for image, body in told[SQUEEZENET].items():
        (_, label, confidence), *_ = golden["images"][f"images/seed-001/{image}"][TOP_10]
        assert list(body) == ["image", "label", "confidence", "inference_ms", "total_ms"]
        assert (body["label"], body["confidence"]) == (label, pytest.approx(confidence, abs=0.05))
        assert 0 < body["inference_ms"] < body["total_ms"]
    same = [image for image in told[SQUEEZENET] if told[SQUEEZENET][image]["label"] == told[MOBILENET][image]["label"]]
    assert set(same) >= {"dog.jpg", "schoolbus.jpg", "snowleopardgaze.jpg", "tiger.jpg"}


def test_s1_4_the_host_starts_and_scores_with_no_network_at_all(tmp_path: Path, test_data: Path) -> None:
    alone = ["unshare", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("no network namespace can be made here: run as root, with util-linux")
    code = f"""
import edgefn
app = edgefn.FunctionApp()
@app.video_frame_trigger("frame", "{test_data}/images/imagenet")
@app.inference_session("classifier", "{SQUEEZENET.replace("%DATA%", str(test_data))}")
@app.edge_hub_output("$return", "classes")
def classify(frame, classifier: edgefn.ClassificationSession) -> dict:
    return {{"name": classifier.infer(frame)[0].name}}
"""
    app = app_in(tmp_path / "app", classify=code)
    ended = subprocess.run(
        [*alone, *command("start", "--until-end")], cwd=app, env=environment({}), capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(sent(app / ".edgefn", "classes")) == 10


SLOW_PLUGIN = """
import threading
import edgefn
from edgefn.function import Options

GATE = threading.Event()

class Slow(Options):
    model: str
    kind: str = "slow"

class SlowKind:
    name, options = "slow", Slow
    def open(self, binding, task):
        GATE.wait(60)
        return self
    def infer(self, data): return {}
    async def infer_async(self, data): return {}
    def status(self): return {}
    def close(self): ...

@edgefn.hookimpl
def edgefn_session_kinds(root, state):
    return [SlowKind()]
"""


async def test_s1_5_while_a_model_compiles_requests_get_503_and_nothing_of_it_is_telemetry(load: Load) -> None:
    code = f"""{HEAD}
@app.route("score", auth_level="anonymous")
@app.inference_session("session", "any", kind="slow")
def score(req, session: edgefn.Session) -> str:
    return "ready"
"""
    app = load({"functions/slow.py": SLOW_PLUGIN, "functions/score.py": code})
    host = Host(app)
    web = WebServer(host, server_options(app.root, app.services.settings, Asked(port=0)))
    await web.start()
    starting = asyncio.create_task(host.start())
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{web.port}") as client:
        ready, called = await client.get("/health/ready"), await client.get("/api/score")
        assert (ready.status_code, ready.json()) == (503, {"status": "starting"})
        assert (called.status_code, "retry-after" in called.headers) == (503, True)
        app.manager.get_plugin("functions.slow").GATE.set()
        await starting
        assert ((await client.get("/health/ready")).status_code, (await client.get("/api/score")).text) == (
            200,
            "ready",
        )
    await host.stop()
    await web.stop()
    assert host.status()["hub"]["messages"] == {}


def test_s1_8_a_function_that_raises_sends_no_stack_trace_and_sigterm_still_stops_the_host(tmp_path: Path) -> None:
    code = """
import edgefn
app = edgefn.FunctionApp()
@app.video_frame_trigger("frame", "synthetic:?width=64&height=48", max_fps=20, real_time=True)
@app.edge_hub_output("$return", "out")
def f(frame):
    if frame.id % 2:
        raise ValueError("SECRET-STACK")
    return frame.id
"""
    app = app_in(tmp_path / "app", f=code)
    with started("start", cwd=app) as running:
        running.wait_for("SECRET-STACK")
        running.send(signal.SIGTERM)
        assert running.end() == 0
    assert sent(app / ".edgefn", "out")
    assert "SECRET" not in (app / ".edgefn" / "upstream.jsonl").read_text()


def test_s1_9_transient_faults_are_retried_as_declared_and_others_once(play: Play) -> None:
    code = f"""{HEAD}
CALLS = {{"retried": 0, "once": 0}}
SOURCE = "synthetic:?width=64&height=48&frames=1"

@app.video_frame_trigger("frame", SOURCE)
@app.retry(strategy="exponential_backoff", max_retry_count="3", minimum_interval="0", maximum_interval="1")
@app.edge_hub_output("$return", "retried")
def retried(frame, context):
    CALLS["retried"] += 1
    if context.retry_context.retry_count < 2:
        raise ConnectionError("not yet")
    return CALLS["retried"]

@app.video_frame_trigger("frame", SOURCE)
@app.edge_hub_output("$return", "once")
def once(frame):
    CALLS["once"] += 1
    raise ConnectionError("never")
"""
    played = play({"functions/f.py": code})
    assert played.bodies("retried") == [3]
    assert played.app.manager.get_plugin("functions.f").CALLS == {"retried": 3, "once": 1}


# --- S1.7 --------------------------------------------------------------------------------------------------------

TELLS = """
@app.video_frame_trigger("frame", "%DATA%/images/imagenet")
@app.edge_hub_output("some", "some", rate="6/minute")
@app.edge_hub_output("none", "none", suppress="%SUPPRESS_MESSAGES%")
def tell(frame, some: edgefn.Out[dict], none: edgefn.Out[dict]):
    some.set({"id": frame.id})
    none.set({"id": frame.id})
"""


def test_s1_7_of_ten_results_in_a_minute_six_leave_and_four_are_counted_and_a_switch_holds_all_back(play: Play) -> None:
    played = play({"functions/f.py": TELLS}, SUPPRESS_MESSAGES="True")
    outputs = played.functions["tell"]["outputs"]
    assert [body["id"] for body in played.bodies("some")] == list(range(6))
    assert (outputs["some"]["published"], outputs["some"]["held_back"]) == (6, {"rate": 4})
    assert played.bodies("none") == []
    assert (outputs["none"]["published"], outputs["none"]["held_back"]) == (0, {"suppressed": 10})


async def test_s1_7_the_twin_switches_messages_off_and_on(load: Load) -> None:
    code = TELLS.replace("%DATA%/images/imagenet", "synthetic:?width=64&height=48")
    async with steered(load({"functions/f.py": code, "host.json": QUICK}, SUPPRESS_MESSAGES="no")) as site:
        published = lambda: site.function("tell")["outputs"]["none"]["published"]  # noqa: E731
        held = lambda: site.function("tell")["outputs"]["none"]["held_back"].get("suppressed", 0)  # noqa: E731
        await until(lambda: published() > 0)
        await site.desire({"functions": {"tell": {"none": {"suppress": True}}}})
        await until(lambda: held() > 0)
        last, seen = published(), held()
        await until(lambda: held() > seen + 3)
        assert published() == last
        await site.desire({"functions": {"tell": {"none": {"suppress": None}}}})
        await until(lambda: published() > last)
