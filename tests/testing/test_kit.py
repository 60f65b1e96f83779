"""The kit that authors of functions use: one call for each kind of trigger, and what comes of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgefn
from edgefn import testing
from edgefn.contracts import Event, VideoFrame
from edgefn.errors import EdgefnError, ModelError, TooLarge
from edgefn.images import encoded
from edgefn.testing import Kit, Request, Tick, message
from tests.ticks import PLUGIN

Folder = Callable[[Mapping[str, str]], Path]
Loaded = Callable[..., Kit]

HEAD = """
import logging
import azure.functions as func
import edgefn
app = edgefn.FunctionApp()
"""
PICTURE = np.zeros((48, 64, 3), np.uint8)
CAR = {"index": 0, "name": "car", "score": 0.9, "box": [0.0, 0.0, 0.5, 0.5]}


@pytest.fixture
def loaded(folder: Folder) -> Iterator[Loaded]:
    """Loads an app of one module, with arguments of ``load``, and closes it."""
    kits: list[Kit] = []

    def load(code: str, **arguments: Any) -> Kit:
        kits.append(testing.load(folder({"functions/f.py": HEAD + code}), **arguments))
        return kits[-1]

    yield load
    for kit in kits:
        kit.close()


VIDEO = """
@app.video_frame_trigger("frame", "synthetic:?width=64&height=48&fps=10&frames=30", max_fps=5)
@app.inference_session("detector", model="no-such-model.xml")
@app.edge_hub_output("out", "seen", interval=1)
{0}def f(frame: edgefn.VideoFrame, detector: edgefn.DetectionSession, out: edgefn.Out[dict]):
    found = {1}
    out.set({{"id": frame.id, "objects": found}})
"""


@pytest.mark.parametrize(
    ("word", "infer"), [("", "detector.infer(frame)"), ("async ", "await detector.infer_async(frame)")]
)
def test_a_picture_goes_through_sync_and_async_functions(loaded: Loaded, word: str, infer: str) -> None:
    kit = loaded(VIDEO.format(word, infer), sessions={"detector": [[CAR], []]})
    first, second = kit.call("f", PICTURE), kit.call("f", PICTURE)
    assert first.outcome.ok
    assert first.outputs["out"][0]["id"] == 0
    assert first.outputs["out"][0]["objects"][0]["pixels"] == {"x_min": 0, "y_min": 0, "x_max": 32, "y_max": 24}
    assert second.given["out"] == [{"id": 1, "objects": []}]


async def test_async_tests_call_in_the_same_way(loaded: Loaded) -> None:
    kit = loaded(VIDEO.format("async ", "await detector.infer_async(frame)"), sessions={"detector": [[]]})
    assert kit.call("f", PICTURE).outputs["out"] == [{"id": 0, "objects": []}]
    results = await asyncio.gather(*(asyncio.to_thread(kit.call, "f", PICTURE) for _ in range(8)))
    assert sorted(result.given["out"][0]["id"] for result in results) == list(range(1, 9))


def test_an_interval_holds_back_until_the_clock_has_passed_it(loaded: Loaded) -> None:
    kit = loaded(VIDEO.format("", "[]"), sessions={"detector": [[]]})
    left = []
    for seconds in (0, 0.5, 0.6, 0.1):
        kit.clock.pass_by(seconds)
        left.append(len(kit.call("f", PICTURE).outputs["out"]))
    assert left == [1, 0, 1, 0]


def test_a_clip_is_one_result_for_each_wanted_frame_in_the_time_of_the_clip(loaded: Loaded) -> None:
    kit = loaded(VIDEO.format("", "[]"), sessions={"detector": [[]]})
    results = kit.play("f")
    assert [result.given["out"][0]["id"] for result in results] == list(range(0, 30, 2))
    assert [n for n, result in enumerate(results) if result.outputs["out"]] == [0, 5, 10]
    assert kit.clock.monotonic() == pytest.approx(3.0)


def test_a_path_of_a_picture_and_a_frame_of_the_tests_own_are_pictures_too(loaded: Loaded, tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "one.png"), PICTURE + 7)
    kit = loaded(
        "@app.video_frame_trigger('frame', 'synthetic:')\ndef f(frame): return [frame.id, int(frame.image[0, 0, 0])]"
    )
    assert kit.call("f", "one.png").value == [0, 7]
    assert kit.call("f", tmp_path / "one.png").value == [1, 7]
    assert kit.call("f", testing.frame(PICTURE, id=41)).value == [41, 0]
    assert kit.call("f").outcome.ok


@pytest.mark.parametrize("wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), 3.5])
def test_what_is_no_picture_is_refused_with_what_would_be(loaded: Loaded, wrong: Any) -> None:
    kit = loaded("@app.video_frame_trigger('frame', 'synthetic:')\ndef f(frame): ...")
    with pytest.raises(EdgefnError, match=r"uint8, H x W x 3 in BGR, would be right"):
        kit.call("f", wrong)


def test_batches_of_frames_are_lists(loaded: Loaded) -> None:
    kit = loaded(
        "@app.video_frame_trigger('frames', 'synthetic:?frames=5&width=64', cardinality='many', max_batch_size=2)"
        "\ndef f(frames): return len(frames)"
    )
    assert kit.call("f", [PICTURE, PICTURE, PICTURE]).value == 3
    assert [result.value for result in kit.play("f")] == [2, 2, 1]


def test_messages_come_as_bodies_or_with_properties(loaded: Loaded) -> None:
    kit = loaded("""
@app.edge_hub_trigger("m", "in")
@app.edge_hub_output("out", "out", properties={"kind": "alert"})
def f(m: edgefn.EdgeMessage, out: edgefn.Out[list]):
    out.set([{"body": m.text, "properties": dict(m.properties), "input": m.input_name}, 2])
""")
    result = kit.call("f", message({"a": 1}, properties={"p": "q"}))
    assert result.outputs["out"] == [{"body": '{"a":1}', "properties": {"p": "q"}, "input": "in"}, 2]
    assert [m.properties for m in result.messages] == [{"kind": "alert"}] * 2
    assert [kit.call("f", body).outputs["out"][0]["body"] for body in ("text", b"bytes", [1])] == [
        "text",
        "bytes",
        "[1]",
    ]


def test_messages_of_a_broker_come_with_its_topic_and_nothing_is_connected_to(loaded: Loaded) -> None:
    kit = loaded("""
@app.mqtt_trigger("m", "plant/+", broker="mqtt://no.such.host")
@app.mqtt_output("$return", "alarms/{topic}", broker="mqtt://no.such.host", retain=True)
def f(m: edgefn.EdgeMessage):
    return {"topic": m.topic, "body": m.text}
""")
    result = kit.call("f", edgefn.EdgeMessage(b"hot", topic="plant/7"))
    assert result.value == {"topic": "plant/7", "body": "hot"}
    (sent,) = result.messages
    assert (sent.topic, sent.retain, sent.text) == ("alarms/plant/7", True, '{"topic":"plant/7","body":"hot"}')
    assert kit.call("f", "by hand").value["topic"] == "plant/+"


def test_what_does_not_fit_the_annotation_fails_as_in_the_host(loaded: Loaded) -> None:
    kit = loaded("@app.edge_hub_trigger('m', 'in')\ndef f(m: dict): return m")
    result = kit.call("f", "no JSON")
    assert not result.outcome.ok
    with pytest.raises(EdgefnError, match="the event does not fit parameter 'm'"):
        _ = result.value


def test_what_the_hub_would_never_take_fails(loaded: Loaded) -> None:
    kit = loaded(
        "@app.edge_hub_trigger('m', 'in')\n@app.edge_hub_output('$return', 'o')\ndef f(m: int): return 'x' * m"
    )
    assert kit.call("f", 10).outputs["$return"] == ["x" * 10]
    with pytest.raises(TooLarge):
        _ = kit.call("f", 300_000).outputs


TIMER = """
import datetime
@app.timer_trigger(arg_name="t", schedule="0 */15 * * * *")
@app.edge_hub_output("$return", "ticks", on_change=True)
def f(t: func.TimerRequest) -> dict:
    return {"past_due": t.past_due}
"""


def test_a_timer_ticks_when_a_test_says_so_and_by_the_clock(loaded: Loaded) -> None:
    kit = loaded(TIMER, settings={"TZ": "UTC"})
    assert kit.call("f").value == {"past_due": False}
    assert kit.call("f", Tick(past_due=True)).value == {"past_due": True}
    results = kit.pass_by(3600)
    assert [result.outputs["$return"] for result in results] == [[{"past_due": False}], [], [], []]
    assert kit.clock.now() == datetime(2026, 1, 1, 13, tzinfo=UTC)


FILE = """
@app.file_trigger("file", "in")
@app.file_output("$return", "out", "{{name}}.json")
def f(file{0}):
    return {1}
"""


@pytest.mark.parametrize(
    ("annotation", "value", "given", "returned"),
    [
        ("", "file.name", Path("in/a.txt"), "a.txt"),
        ("", "file.name", "a.txt", "a.txt"),
        (": str", "file", "a.txt", "a.txt"),
        (": str", "file", Path("in/a.txt"), '{"n": 1}'),
        (": dict", "file", {"n": 2}, {"n": 2}),
        (": dict", "file", Path("a.txt"), {"n": 1}),
        (": bytes", "len(file)", b"\xff\x00", 2),
        (": edgefn.VideoFrame", "file.image.shape[1]", PICTURE, 64),
        (": edgefn.VideoFrame", "file.item", Path("a.png"), "a.png"),
    ],
)
def test_a_file_is_a_path_or_what_is_read_of_it(
    loaded: Loaded, tmp_path: Path, annotation: str, value: str, given: Any, returned: Any
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text('{"n": 1}')
    (tmp_path / "in" / "a.png").write_bytes(encoded(PICTURE, ".png", 90))
    kit = loaded(FILE.format(annotation, value))
    assert kit.call("f", given).outcome.value == returned


def test_an_http_function_answers_a_request(loaded: Loaded) -> None:
    kit = loaded("""
@app.route("items/{id:int}", methods=["GET", "POST"])
async def f(req: func.HttpRequest) -> func.HttpResponse:
    if req.method == "POST":
        return func.HttpResponse(req.get_body(), status_code=201, headers={"X-Kind": req.headers["Content-Type"]})
    return func.HttpResponse(f"{req.route_params['id']} {req.params.get('color')}")
""")
    assert kit.call("f", Request(url="/api/items/3?color=red")).response.text == "3 red"
    made = kit.call("f", Request("POST", "/api/items/3", json={"a": 1})).response
    assert (made.status, made.json(), made.headers["x-kind"]) == (201, {"a": 1}, "application/json")
    with pytest.raises(EdgefnError, match=r"DELETE /api/items/3: no function gets it; this one has /api/items"):
        kit.call("f", Request("DELETE", "/api/items/3"))


def test_an_http_function_that_fails_answers_500_and_says_why(loaded: Loaded) -> None:
    kit = loaded("@app.route('boom')\ndef f(req: func.HttpRequest) -> str:\n    raise ValueError('boom')")
    result = kit.call("f")
    assert result.response.status == 500
    with pytest.raises(ValueError, match="boom"):
        _ = result.value


def test_a_direct_method_has_a_reply_and_a_twin_a_value(loaded: Loaded) -> None:
    kit = loaded(
        """
@app.direct_method_trigger("payload", "zoom")
def zoom(payload: dict): return 202, {"level": payload["level"] + 1}

@app.twin_trigger("desired", property="camera")
@app.setting("unit", "UNIT", default="mm")
def twin(desired: dict, unit: str): return [desired["zoom"], unit]
""",
        settings={"UNIT": "px"},
    )
    assert (kit.call("zoom", {"level": 2}).reply.status, kit.call("zoom", {"level": 2}).reply.payload) == (
        202,
        {"level": 3},
    )
    assert kit.call("zoom", {}).reply.status == 500
    assert kit.call("twin", {"zoom": 4}).value == [4, "px"]


def test_event_hub_and_warm_up_functions_are_called_too(loaded: Loaded) -> None:
    kit = loaded("""
@app.event_hub_message_trigger(arg_name="e", event_hub_name="hub", connection="C")
@app.edge_hub_output("$return", "o")
def cloud(e: func.EventHubEvent): return e.get_body().decode() + e.metadata["Properties"]["a"]

@app.warm_up_trigger("w")
@app.edge_hub_output("$return", "o")
def warm(w): return "warm"
""")
    assert kit.call("cloud", message("x", properties={"a": "b"})).value == "xb"
    assert kit.call("warm").value == "warm"


def test_triggers_and_outputs_of_plugins_get_values_and_keep_what_they_were_given(folder: Folder) -> None:
    code = HEAD + "@app.generic_trigger('n', type='ticksTrigger')\n@app.generic_output_binding('o', type='keep')\n"
    code += "def f(n, o: edgefn.Out[object]):\n    o.set(n)"
    with testing.load(folder({"functions/ticks.py": PLUGIN, "functions/f.py": code})) as kit:
        assert kit.call("f", 7).outputs["o"] == [7]
        assert kit.call("f", Event(8)).outputs["o"] == [8]
        with pytest.raises(TypeError, match="a set can not be kept"):
            _ = kit.call("f", {1}).outputs


def test_the_log_lines_of_the_function_are_with_the_result(loaded: Loaded) -> None:
    kit = loaded("""
import threading
@app.edge_hub_trigger("m", "in")
def f(m: str):
    logging.info("got %s", m)
    logging.getLogger("mine").warning("careful")
""")
    logs = kit.call("f", "it").logs
    assert [(record.levelname, record.getMessage()) for record in logs] == [("INFO", "got it"), ("WARNING", "careful")]


def test_sessions_of_the_tests_own_and_of_files_are_used(loaded: Loaded, tmp_path: Path) -> None:
    class Blind:
        def infer(self, data: VideoFrame) -> list[Any]:
            return [data.id]

    code = VIDEO.format("", "detector.infer(frame)")
    assert loaded(code, sessions={"f.detector": Blind()}).call("f", PICTURE).outputs["out"][0]["objects"] == [0]
    (tmp_path / "answers.json").write_text('[[], {"error": "covered"}]')
    kit = loaded(code, sessions={"detector": "answers.json"})
    assert kit.call("f", PICTURE).outcome.ok
    with pytest.raises(ModelError, match="covered"):
        _ = kit.call("f", PICTURE).value


def test_detections_themselves_are_answers(loaded: Loaded) -> None:
    box, pixels = edgefn.Box(0, 0, 1, 1), edgefn.PixelBox(0, 0, 1, 1)
    answers = [[edgefn.Detection(0, "car", 0.5, box, pixels)]]
    kit = loaded(VIDEO.format("", "detector.infer(frame)"), sessions={"detector": answers})
    assert kit.call("f", PICTURE).outputs["out"][0]["objects"][0]["pixels"]["x_max"] == 64


def test_wrong_sessions_are_said_when_they_are_given(loaded: Loaded) -> None:
    code = VIDEO.format("", "[]")
    with pytest.raises(EdgefnError, match=r"no inferenceSession 'detektor'; did you mean 'detector'\?"):
        loaded(code, sessions={"detektor": [[]]})
    with pytest.raises(ModelError, match="answer 0 is none for task 'detection'"):
        loaded(code, sessions={"detector": [[{"name": "car"}]]}).call("f", PICTURE)


def test_what_is_wrong_with_a_function_is_said_when_it_is_called(loaded: Loaded) -> None:
    kit = loaded("""
@app.video_frame_trigger("frame", "synthetic:", max_fsp=3)
def broken(frame): ...

@app.timer_trigger(arg_name="t", schedule="0 0 0 * * *")
def good(t): ...
""")
    with pytest.raises(EdgefnError, match="unknown option 'max_fsp'"):
        kit.call("broken", PICTURE)
    with pytest.raises(EdgefnError, match="no function 'god'; did you mean 'good'"):
        kit.call("god")
    with pytest.raises(EdgefnError, match="has no videoFrameTrigger"):
        kit.play("good")
    with pytest.raises(EdgefnError, match="has no reply: its trigger is no directMethodTrigger"):
        _ = kit.call("good").reply


def test_a_model_that_is_not_there_is_said_when_it_is_needed(loaded: Loaded) -> None:
    with pytest.raises(ModelError, match="no-such-model"):
        loaded(VIDEO.format("", "[]")).call("f", PICTURE)


def test_a_missing_setting_is_an_error_and_the_environment_is_not_looked_at(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIP", "synthetic:")
    code = "@app.video_frame_trigger('frame', '%CLIP%')\ndef f(frame): return 1"
    with pytest.raises(EdgefnError, match="'%CLIP%' does not resolve"):
        loaded(code).call("f", PICTURE)
    assert loaded(code, environment={"CLIP": "synthetic:"}).call("f", PICTURE).value == 1


def test_a_policy_of_retries_is_not_waited_for(loaded: Loaded) -> None:
    kit = loaded("""
@app.edge_hub_trigger("m", "in")
@app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:01:00")
def f(m: str):
    raise ValueError("once")
""")
    assert kit.call("f", "").outcome.duration < 5


def test_closing_ends_the_threads_and_removes_the_state_folder(folder: Folder) -> None:
    before = set(threading.enumerate())
    kit = testing.load(folder({"functions/f.py": HEAD + "@app.edge_hub_trigger('m', 'in')\ndef f(m: str): return m"}))
    state = kit.app.services.state
    assert kit.call("f", "x").value == "x"
    assert state.exists()
    kit.close()
    kit.close()
    assert not state.exists()
    assert not [t for t in set(threading.enumerate()) - before if t.name == "edgefn-test"]
    with pytest.raises(EdgefnError, match="was closed"):
        kit.call("f", "x")


def test_a_clock_goes_forwards_only() -> None:
    clock = testing.Clock(datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="forwards only"):
        clock.pass_by(-1)
    clock.reach(clock.now() - timedelta(hours=1))
    assert clock.monotonic() == 0


def test_a_function_is_called_plainly_too() -> None:
    out = testing.Out()

    def detect(frame: VideoFrame, out: edgefn.Out[dict[str, int]]) -> None:
        out.set({"id": frame.id})

    detect(testing.frame(PICTURE, id=3), out)
    assert out.value == {"id": 3}


def test_a_folder_that_is_no_app_is_said() -> None:
    with pytest.raises(EdgefnError, match=r"is no folder; name the one with host\.json"):
        testing.load("/no/such/folder")
    with pytest.raises(AttributeError, match="it has Clock, Kit"):
        _ = testing.nothing
