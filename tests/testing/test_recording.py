"""Recordings: what is kept of a running host, the file, and today's code on it."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import time
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import azure.functions as func
import numpy as np
import pytest

from edgefn import testing
from edgefn.cli.record import _over
from edgefn.contracts import EdgeMessage, Event, Outcome, Status, VideoFrame
from edgefn.errors import EdgefnError
from edgefn.host import Host
from edgefn.loader import load_app
from edgefn.testing.event_forms import NotRecordable, event_of, form_of
from edgefn.testing.recorder import Recorder, attach
from edgefn.testing.recording import Recording, read
from edgefn.testing.replay import Replay, clock_of, replay
from tests.cli.command import edgefn, started

Folder = Callable[[Mapping[str, str]], Path]

ROOT = Path(__file__).parents[2]
SOURCE = "synthetic:?width=64&height=48&fps=10&frames=12"
HEAD = "import edgefn\nimport azure.functions as func\napp = edgefn.FunctionApp()\n"
CODE = (
    HEAD
    + f"""
@app.video_frame_trigger("frame", "{SOURCE}")
@app.setting("least", "LEAST", default=0)
@app.edge_hub_output("out", "out", interval=60, properties={{"kind": "mean"}})
async def mean(frame: edgefn.VideoFrame, least: int, out: edgefn.Out[dict]):
    value = float(frame.image.mean())
    if frame.id == 3:
        raise ValueError("three")
    out.set({{"id": frame.id, "at": frame.timestamp, "mean": value, "bright": value > least}})
"""
)


def recorded(root: Path, function: str = "mean", seconds: float | None = None, **settings: str) -> Recording:
    """What a host keeps of a function until its sources have ended."""
    app = load_app(root, environment={}, given=settings)
    recorder = attach(app, function, seconds)

    async def run() -> None:
        host = Host(app)
        await host.start()
        await host.wait_for_end()
        await host.stop()

    asyncio.run(run())
    return recorder.finish()


def replayed(root: Path, recording: Recording, settings: Mapping[str, str] | None = None, **options: Any) -> Replay:
    with testing.load(root, clock=clock_of(recording), settings=settings) as kit:
        return replay(Path("f.edgefn"), recording, kit, **options)


@pytest.fixture
def app(folder: Folder) -> Path:
    return folder({"functions/mean.py": CODE})


def test_every_event_is_kept_with_its_pictures_and_results(app: Path) -> None:
    kept = recorded(app)
    assert [each.event["frame"]["id"] for each in kept.invocations] == list(range(12))
    assert [each.status for each in kept.invocations].count("failed") == 1
    assert kept.invocations[3].error == "ValueError: three"
    assert kept.invocations[4].outputs["out"][0]["id"] == 4  # although the interval has held it back
    assert kept.invocations[4].properties == {"out": [{"kind": "mean"}]}
    assert (kept.is_whole, kept.left_out, kept.trigger) == (True, {}, "videoFrameTrigger")


def test_a_file_holds_all_of_it_and_the_same_code_gives_the_same(app: Path, tmp_path: Path) -> None:
    kept = recorded(app)
    kept.write(tmp_path / "m.edgefn")
    again = read(tmp_path / "m.edgefn")
    assert again == kept
    done = replayed(app, again)
    assert (done.is_same, done.invocations, done.notes) == (True, 12, [])
    assert not (tmp_path / "m.edgefn.part").exists()


def test_code_that_gives_other_results_is_shown_place_by_place(app: Path, folder: Folder) -> None:
    kept = recorded(app)
    changed = CODE.replace('"id": frame.id,', '"id": frame.id + 1,').replace("if frame.id == 3", "if frame.id == 5")
    folder({"functions/mean.py": changed})
    done = replayed(app, kept)
    assert len(done.changed) == 12
    assert [str(each) for each in done.changed[0].differences] == ["out[0].id: 0 -> 1"]
    assert [each.path for each in done.changed[3].differences] == ["status", "error", "out[0]", "out.properties[0]"]
    assert "frame 5 at 0.50 s" in done.text()
    assert "0 of 12 events give the same results" in done.text()
    json.dumps(done.json())
    assert replayed(app, kept, ignore=["out.id", "status", "error", "out", "out.properties"]).is_same


def test_settings_that_are_not_the_same_are_noted(app: Path) -> None:
    kept = recorded(app, LEAST="3")
    done = replayed(app, kept, {"LEAST": "300"})
    assert done.notes == ["setting LEAST was '3' and is '300'"]
    assert [d.path for d in done.changed[0].differences] == ["out[0].bright"]


def test_secrets_are_in_no_part_of_a_file(folder: Folder, tmp_path: Path) -> None:
    code = (
        HEAD
        + f"""
import os
@app.video_frame_trigger("frame", "{SOURCE}")
@app.setting("key", "CAMERA_PASSWORD")
@app.edge_hub_output("$return", "out")
def leaky(frame: edgefn.VideoFrame, key: str) -> dict:
    return {{"told": "the password is " + key}}
"""
    )
    root = folder({"functions/leaky.py": code})
    kept = recorded(root, "leaky", CAMERA_PASSWORD="hunter2-of-camera")
    assert kept.settings == {"CAMERA_PASSWORD": "***"}
    kept.write(tmp_path / "l.edgefn")
    with zipfile.ZipFile(tmp_path / "l.edgefn") as file:
        assert b"hunter2" not in file.read("recording.json")
    assert replayed(root, kept, {"CAMERA_PASSWORD": "another-secret-1"}).is_same


# --- the ring ----------------------------------------------------------------------------------------------------


def moments(app: Path, **limits: Any) -> tuple[Recorder, Callable[[int], None]]:
    """A recorder, and what tells it of the invocation for a frame of that second."""
    loaded = load_app(app, environment={})
    recorder = Recorder(loaded.functions[0], **limits)
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def tell(second: int) -> None:
        image = np.random.default_rng(second).integers(0, 255, (48, 64, 3), np.uint8)
        frame = VideoFrame(image, second, start + timedelta(seconds=second), float(second), "s", 1.0)
        recorder.edgefn_invocation_ended(loaded.functions[0], Event(frame), Outcome(Status.OK))
        while not recorder._queue.empty():
            time.sleep(0.001)

    return recorder, tell


def test_only_the_last_seconds_are_kept(app: Path) -> None:
    recorder, tell = moments(app, seconds=3)
    for second in range(10):
        tell(second)
    kept = recorder.finish()
    assert [each.event["frame"]["id"] for each in kept.invocations] == [6, 7, 8, 9]
    assert len(kept.pictures) == 4
    assert not kept.is_whole


def test_only_so_many_bytes_are_kept_and_that_is_said(app: Path) -> None:
    recorder, tell = moments(app, seconds=None, most_bytes=50_000)
    for second in range(10):
        tell(second)
    kept = recorder.finish()
    assert 0 < sum(map(len, kept.pictures.values())) <= 50_000
    assert kept.left_out == {"more than 50000 bytes": 10 - len(kept.invocations)}


def test_a_recorder_that_is_too_slow_leaves_events_out_and_never_waits(
    app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    gate = threading.Event()
    monkeypatch.setattr(Recorder, "_keep", lambda self, seen: gate.wait(10))
    loaded = load_app(app, environment={})
    recorder = Recorder(loaded.functions[0], None)
    began = time.perf_counter()
    frame = VideoFrame(np.zeros((720, 1280, 3), np.uint8), 0, datetime.now(UTC), 0.0, "s", 1.0)
    for _ in range(100):
        recorder.edgefn_invocation_ended(loaded.functions[0], Event(frame), Outcome(Status.OK))
    assert time.perf_counter() - began < 1.0
    gate.set()
    assert 70 <= recorder.finish().left_out["recording was too slow"] <= 84


def test_many_small_events_may_wait_for_a_recorder_that_is_too_slow(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    gate = threading.Event()
    monkeypatch.setattr(Recorder, "_keep", lambda self, seen: gate.wait(10))
    loaded = load_app(app, environment={})
    recorder = Recorder(loaded.functions[0], None)
    for number in range(500):
        recorder.edgefn_invocation_ended(loaded.functions[0], Event(number), Outcome(Status.OK))
    gate.set()
    assert recorder.finish().left_out == {}


async def test_the_seconds_of_a_recording_begin_with_its_first_event() -> None:
    began, loop = asyncio.Event(), asyncio.get_running_loop()
    began.set()
    since = loop.time()
    await _over(began, 0.05)
    assert loop.time() - since >= 0.045
    async with asyncio.timeout(10):
        await _over(asyncio.Event(), 0.01)


# --- forms -------------------------------------------------------------------------------------------------------


def there_and_back(value: Any) -> Any:
    pictures: dict[str, bytes] = {}

    def keep(data: bytes) -> str:
        pictures[str(len(pictures))] = data
        return str(len(pictures) - 1)

    form = json.loads(json.dumps(form_of(Event(value), keep)))
    return event_of(form, pictures, "f").value


def test_frames_come_back_as_they_were_to_the_last_bit() -> None:
    image = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    frame = VideoFrame(image, 7, datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), 0.25, "cam", 25.0, "a.png")
    back = there_and_back([frame])[0]
    assert np.array_equal(back.image, image)
    assert [getattr(back, n) for n in ("id", "timestamp", "position", "source", "fps", "item")] == [
        *(7, frame.timestamp, 0.25, "cam", 25.0, "a.png")
    ]


@pytest.mark.parametrize("body", [b'{"a": 1}', b"\xff\x00", "ä".encode()])
def test_messages_come_back_as_they_were(body: bytes) -> None:
    sent = EdgeMessage(
        body, {"p": "q"}, "id", "c", "text/plain", created=datetime(2026, 1, 1, tzinfo=UTC), input_name="i"
    )
    assert there_and_back(sent) == sent
    assert there_and_back([sent, sent]) == [sent, sent]


def test_requests_come_back_without_their_keys() -> None:
    headers = {"Authorization": "Bearer abcdefghijklmnopqrst", "x-functions-key": "k", "Accept": "*/*"}
    sent = func.HttpRequest("POST", "http://h/api/x?code=abcdef123", headers=headers, params={"code": "k"}, body=b"b")
    back = there_and_back(sent)
    assert (back.method, back.url, back.get_body()) == ("POST", "http://h/api/x?code=***", b"b")
    assert dict(back.headers) == {"authorization": "***", "x-functions-key": "***", "accept": "*/*"}
    assert dict(back.params) == {"code": "***"}


def test_json_comes_back_and_what_is_none_is_left_out() -> None:
    assert there_and_back({"a": [1, None]}) == {"a": [1, None]}
    with pytest.raises(NotRecordable, match="a set is no JSON value"):
        there_and_back({1})


OTHERS = (
    HEAD
    + """
@app.timer_trigger(arg_name="t", schedule="*/1 * * * * *")
@app.edge_hub_output("$return", "ticks")
def tick(t: func.TimerRequest) -> dict:
    return {"late": t.past_due}

@app.edge_hub_trigger("m", "ticks")
def take(m: dict):
    return None

@app.twin_trigger("desired")
def twin(desired: dict): ...
"""
)
ROUTES = '{"version": "2.0", "extensions": {"edgeHub": {"routes": {"r": "FROM /messages/* INTO %s"}}}}'
TO_INPUT = 'BrokeredEndpoint(\\"/modules/edgefn/inputs/ticks\\")'


@pytest.mark.parametrize("function", ["tick", "take", "twin"])
def test_timers_messages_and_twins_are_recorded_and_replayed(folder: Folder, function: str) -> None:
    root = folder({"functions/f.py": OTHERS, "host.json": ROUTES % TO_INPUT})
    app = load_app(root, environment={})
    recorder = attach(app, function, None)

    async def run() -> None:
        host = Host(app)
        await host.start()
        await asyncio.sleep(1.5)
        await host.stop()

    asyncio.run(run())
    kept = recorder.finish()
    assert kept.invocations
    assert replayed(root, kept).is_same


# --- files that are wrong ----------------------------------------------------------------------------------------


def test_broken_files_say_what_they_are(app: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.edgefn"
    recorded(app).write(whole)
    (tmp_path / "cut.edgefn").write_bytes(whole.read_bytes()[:5000])
    (tmp_path / "text.edgefn").write_text("hello")
    for name in ("cut", "text"):
        with pytest.raises(
            EdgefnError, match=rf"{name}.edgefn: is no recording: .*; `edgefn record FUNCTION` makes one"
        ):
            read(tmp_path / f"{name}.edgefn")
    with pytest.raises(EdgefnError, match="is not there"):
        read(tmp_path / "nothing.edgefn")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 9, "edgefn": "7.0"}, r"has format 9 \(of edgefn 7.0\).* reads format 1"),
        ({"trigger": 3}, "trigger: "),
    ],
)
def test_another_version_or_form_is_said(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    Recording("f", "timerTrigger").write(tmp_path / "r.edgefn")
    with zipfile.ZipFile(tmp_path / "r.edgefn") as file:
        document = {**json.loads(file.read("recording.json")), **change}
    with zipfile.ZipFile(tmp_path / "r.edgefn", "w") as file:
        file.writestr("recording.json", json.dumps(document))
    with pytest.raises(EdgefnError, match=said):
        read(tmp_path / "r.edgefn")


def test_a_function_that_is_gone_or_has_another_trigger_is_said(app: Path) -> None:
    kept = recorded(app)
    with pytest.raises(EdgefnError, match=r"records function 'main', which .* does not have; did you mean 'mean'\?"):
        replayed(app, Recording("main", kept.trigger))
    with pytest.raises(EdgefnError, match="with timerTrigger, and it has videoFrameTrigger now"):
        replayed(app, Recording("mean", "timerTrigger"))
    kept.pictures.clear()
    with pytest.raises(EdgefnError, match=r"invocation 0: frames/0000\d+.png: is no picture"):
        replayed(app, kept)


# --- a case for pytest -------------------------------------------------------------------------------------------


def test_a_file_is_a_case_for_pytest(app: Path, folder: Folder) -> None:
    recorded(app).write(app / "m.edgefn")
    test = testing.replay_case(app / "m.edgefn", root=app)
    test()
    folder({"functions/mean.py": CODE.replace('"mean": value', '"mean": value + 1')})
    with pytest.raises(AssertionError, match=r"out\[0\].mean: "):
        test()
    testing.replay_case(app / "m.edgefn", root=app, ignore=["out.mean"])()


# --- the commands on the sample ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sample app with a recording of it, ``street.edgefn``."""
    root = tmp_path_factory.mktemp("sample")
    for name in ("functions", "sample"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("host.json", "local.settings.json"):
        shutil.copy(ROOT / name, root / name)
    ended = edgefn("record", "detect", "--seconds", "3", "--out", "street.edgefn", cwd=root)
    assert ended.returncode == 0, ended.stderr
    assert "events of 'detect'" in ended.stderr
    return root


def test_the_sample_gives_the_same_results_again(sample: Path) -> None:
    ended = edgefn("replay", "street.edgefn", cwd=sample)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    kept = read(sample / "street.edgefn")
    count = len(kept.invocations)
    assert 1 <= count <= 31  # a busy machine gives the function fewer frames of a source that runs by the clock
    assert (kept.is_whole, kept.left_out) == (True, {})
    assert f"detect: {count} of {count} events give the same results" in ended.stdout


def test_another_threshold_is_seen_and_may_become_what_is_expected(sample: Path, tmp_path: Path) -> None:
    root = tmp_path / "app"
    shutil.copytree(sample, root)
    code = root / "functions" / "detect.py"
    code.write_text(code.read_text().replace('device="%DEVICE%")', 'device="%DEVICE%", threshold=0.98)'))
    ended = edgefn("replay", "street.edgefn", "--json", cwd=root)
    report = json.loads(ended.stdout)
    assert ended.returncode == 1
    assert not report["same"]
    assert all(d["path"].startswith("detections[0].objects") for c in report["changed"] for d in c["differences"])
    assert edgefn("replay", "street.edgefn", "--update", cwd=root).returncode == 0
    assert edgefn("replay", "street.edgefn", cwd=root).returncode == 0


def test_commands_say_what_they_can_not_do(sample: Path) -> None:
    again = edgefn("record", "detect", "--out", "street.edgefn", cwd=sample)
    assert (again.returncode, "street.edgefn: is there already" in again.stderr) == (1, True)
    unknown = edgefn("record", "detekt", cwd=sample)
    assert (unknown.returncode, "did you mean 'detect'?" in unknown.stderr) == (1, True)
    missing = edgefn("replay", "nothing.edgefn", cwd=sample)
    assert (missing.returncode, "is not there" in missing.stderr) == (2, True)


WEB = (
    HEAD
    + """
@app.route("add", auth_level="anonymous")
def add(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(str(sum(req.get_json())), status_code=201)
"""
)


def test_requests_are_recorded_by_the_host_that_they_come_to(folder: Folder) -> None:
    root = folder({"functions/add.py": WEB})
    refused = edgefn("record", "add", cwd=root)
    assert (refused.returncode, "run `edgefn start --record add`" in refused.stderr) == (1, True)
    port = free_port()
    with started("start", "--record", "add", "--port", str(port), cwd=root) as running:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/api/add", b"[1, 2]", {"X-Api-Key": "k3y"})
        with urllib.request.urlopen(request, timeout=20) as reply:
            assert reply.read() == b"3"
        running.send(signal.SIGTERM)
        assert running.end() == 0
    kept = read(root / "add.edgefn").invocations[0]
    assert kept.outputs == {"$return": [{"status": 201, "body": 3}]}
    assert kept.event["request"]["headers"]["x-api-key"] == "***"
    assert edgefn("replay", "add.edgefn", cwd=root).returncode == 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_running_host_writes_its_last_seconds_when_it_stops(sample: Path, tmp_path: Path) -> None:
    out, state = tmp_path / "last.edgefn", tmp_path / "state"
    asked = ("--record", "detect", "--record-seconds", "1", "--record-out", str(out), "--state", str(state))
    with started("start", "--verbose", *asked, cwd=sample) as running:
        for _ in range(20):
            running.wait_for("Executed 'Functions.detect' (Succeeded")
        running.send(signal.SIGTERM)
        assert running.end() == 0
    kept = read(out)
    assert 1 <= len(kept.invocations) <= 12
    assert not kept.is_whole
    assert edgefn("replay", str(out), cwd=sample).returncode == 0
