"""The gate of an output: which of the values that a function sets become messages, and what their properties say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pytest
from pydantic import ValidationError

from edgefn.bindings.edge_hub import EdgeHubOutputOptions, Gate, MessageOutput
from edgefn.bindings.result_gate import ResultGate, declared_gate
from edgefn.contracts import Box, Candidate, Detection, EdgeMessage, Event, Outgoing, PixelBox, VideoFrame
from edgefn.function import Binding, Direction
from tests.conftest import AppIn

IMAGE = np.zeros((1, 1, 3), np.uint8)


class Kept:
    """An outbox that keeps what is put, unless it is ``full``."""

    def __init__(self) -> None:
        self.messages: list[EdgeMessage] = []
        self.full = False

    async def put(self, messages: Sequence[Outgoing]) -> None:
        if self.full:
            raise OSError("no room")
        self.messages += [outgoing.message for outgoing in messages]


def output(**options: Any) -> tuple[MessageOutput, Kept]:
    declared, outbox = EdgeHubOutputOptions.model_validate({"outputName": "out", **options}), Kept()
    gate = Gate(declared, clock=lambda: float(len(outbox.messages)))  # each message takes a second
    return MessageOutput(declared, outbox, gate, declared_gate(declared)), outbox  # type: ignore[arg-type]


def frame(at: float) -> VideoFrame:
    return VideoFrame(IMAGE, int(at * 10), datetime.now(UTC), at, "clip", 10.0)


def cars(*scores: float) -> list[Detection]:
    return [Detection(1, "car", score, Box(0, 0, 1, 1), PixelBox(0, 0, 9, 9)) for score in scores]


async def run(out: MessageOutput, *values: Any) -> None:
    """Sets a value for each frame, one second after the other."""
    for second, value in enumerate(values):
        await out.send(out.encode(value), Event(frame(second)))


def bodies(outbox: Kept) -> list[Any]:
    return [orjson.loads(message.body) for message in outbox.messages]


# --- what leaves -------------------------------------------------------------------------------------------------


async def test_a_message_for_each_change_of_label() -> None:
    out, outbox = output(gate="label", threshold=0.9, background="Hand", timeout=10, properties={"appid": "scanner"})
    seen = [("banana", 0.95), ("banana", 0.99), ("apple", 0.5), ("Hand", 0.95), ("banana", 0.95), ("apple", 1.0)]
    await run(out, *({"label": label, "confidence": score} for label, score in seen))
    assert [body["label"] for body in bodies(outbox)] == ["banana", "banana", "apple"]
    assert [message.properties for message in outbox.messages] == [{"appid": "scanner"}] * 3
    assert out.status() == {"output": "out", "published": 3, "held_back": {"label": 3}}


async def test_a_message_for_each_enter_and_leave_whose_properties_say_which() -> None:
    out, outbox = output(gate="presence", gateField="objects", classes="car", hold=2, properties={"site": "7"})
    found: list[list[Detection]] = [[], cars(0.9), cars(0.8, 0.7), [], [], [], []]
    await run(out, *({"frame_id": n, "objects": objects} for n, objects in enumerate(found)))
    assert [body["frame_id"] for body in bodies(outbox)] == [1, 5]
    assert [message.properties for message in outbox.messages] == [
        {"site": "7", "event": "enter", "name": "car", "position": "1.000"},
        {"site": "7", "event": "leave", "name": "car", "position": "2.000"},
    ]


async def test_two_who_enter_at_once_are_two_messages_with_ids_of_their_own() -> None:
    out, outbox = output(gate="presence")
    value = orjson.dumps([{"name": "car", "score": 0.9}, {"name": "truck", "score": 0.9}])
    await run(out, EdgeMessage(value, message_id="mine"))
    assert [message.properties["name"] for message in outbox.messages] == ["car", "truck"]
    assert [message.message_id for message in outbox.messages] == ["mine", "mine.1"]
    assert [message.body for message in outbox.messages] == [value, value]


async def test_a_message_for_each_value_that_is_sure_enough() -> None:
    out, outbox = output(gate="threshold", threshold=0.6, gateField="objects")
    await run(out, {"objects": cars(0.59)}, {"objects": cars(0.6, 0.2)}, {"objects": []})
    assert [len(body["objects"]) for body in bodies(outbox)] == [2]


async def test_with_a_gate_a_list_is_one_message() -> None:
    out, outbox = output(gate="threshold")
    await run(out, cars(0.9, 0.8))
    assert [[each["name"] for each in body] for body in bodies(outbox)] == [["car", "car"]]


@dataclass(slots=True)
class Found:
    objects: list[Candidate]


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ([Candidate(1, "car", 0.9)], ""),
        (Candidate(1, "car", 0.9), ""),
        ({"objects": [Candidate(1, "car", 0.9)]}, "objects"),
        (Found([Candidate(1, "car", 0.9)]), "objects"),
        ('{"objects": [{"name": "car", "score": 0.9}]}', "objects"),
        (b'[{"Tag": "car", "Probability": 0.9}]', ""),
        (EdgeMessage(b'{"predictions": [{"tagName": "car", "probability": 0.9}]}'), "predictions"),
    ],
)
async def test_results_are_found_in_whatever_is_set(value: Any, field: str) -> None:
    out, outbox = output(gate="label", threshold=0.5, gateField=field)
    await run(out, value, value)
    assert len(outbox.messages) == 1


@pytest.mark.parametrize(
    ("value", "field", "fault"),
    [
        ({"frame_id": 1, "found": []}, "objects", "field 'objects', and finds a dict with frame_id, found; name the"),
        (Found([]), "candidates", "field 'candidates', and finds a Found; name the"),
        ({"frame_id": 1}, "", "finds a dict with frame_id; right would be"),
        ("banana", "", "looks for results in JSON, and finds a text"),
        ([1, 2], "", "finds a int; right would be"),
    ],
)
def test_a_value_without_results_is_an_error_of_the_function(value: Any, field: str, fault: str) -> None:
    out, _ = output(gate="label", gateField=field)
    with pytest.raises(TypeError, match=fault):
        out.encode(value)


async def test_what_the_function_changes_after_it_was_set_does_not_show() -> None:
    out, outbox = output(gate="threshold")
    found = cars(0.9)
    encoded = out.encode(found)
    found.clear()
    await out.send(encoded, Event(frame(0)))
    assert len(outbox.messages) == 1


async def test_of_a_list_of_frames_the_last_one_tells_the_time() -> None:
    out, outbox = output(gate="presence", hold=1)
    for frames, value in (([0, 1], cars(0.9)), ([2, 3], [])):
        await out.send(out.encode(value), Event([frame(at) for at in frames]))
    assert [message.properties["position"] for message in outbox.messages] == ["1.000", "1.000"]


async def test_events_without_media_time_have_the_time_of_the_clock() -> None:
    out, outbox = output(gate="presence", hold=0)
    for value in (cars(0.9), []):
        await out.send(out.encode(value), Event("a message"))
    assert [message.properties["event"] for message in outbox.messages] == ["enter", "leave"]


# --- what does not leave -----------------------------------------------------------------------------------------


async def test_a_label_that_came_too_soon_leaves_when_there_is_room() -> None:
    out, outbox = output(gate="label", rate="1/minute", threshold=0.5)
    await run(out, ("apple", 1), ("banana", 1))
    assert [body[0] for body in bodies(outbox)] == ["apple"]
    outbox.messages += [EdgeMessage(b"0")] * 60
    await run(out, ("banana", 1), ("banana", 1))
    assert [body[0] for body in bodies(outbox)[61:]] == ["banana"]
    assert out.status()["held_back"] == {"rate": 1, "label": 1}


async def test_an_enter_that_could_not_be_stored_is_told_with_the_next_value() -> None:
    out, outbox = output(gate="presence")
    outbox.full = True
    with pytest.raises(OSError, match="no room"):
        await run(out, cars(0.9))
    outbox.full = False
    await run(out, cars(0.9), cars(0.9))
    assert [message.properties["event"] for message in outbox.messages] == ["enter"]


# --- options -----------------------------------------------------------------------------------------------------


def options(**declared: Any) -> EdgeHubOutputOptions:
    return EdgeHubOutputOptions.model_validate(declared)


def test_options_may_be_texts_as_settings_are() -> None:
    found = options(gate="Presence", classes="car, truck", threshold="0.6", hold="00:00:03")
    assert found.of_gate() == {"classes": ("car", "truck"), "threshold": 0.6, "hold": 3.0}
    assert options(gate="label", background=["Hand"], timeout="1.5").of_gate() == {
        "background": ("Hand",),
        "timeout": 1.5,
    }


@pytest.mark.parametrize("spelled", ["", "none", "None"])
def test_a_setting_may_say_that_there_is_no_gate(spelled: str) -> None:
    assert options(gate=spelled, classes="car", hold=3).gate is None


@pytest.mark.parametrize(
    ("declared", "fault"),
    [
        ({"gate": "colour"}, "'label', 'presence' or 'threshold'"),
        ({"threshold": 0.5}, "threshold is for gate label, presence, threshold; declare one, or leave it out"),
        ({"gateField": "objects"}, "gateField is for gate label, presence, threshold"),
        ({"gate": "label", "hold": 0}, "hold is for gate presence"),
        ({"gate": "presence", "background": "Hand"}, "background is for gate label"),
        ({"gate": "label", "threshold": "nan"}, "finite number"),
        ({"gate": "label", "threshold": "96"}, "less than or equal to 1"),
        ({"gate": "label", "timeout": 0}, "greater than 0"),
        ({"gate": "presence", "interval": 5}, "would hold back who enters or leaves"),
        ({"gate": "presence", "onChange": True}, "would hold back who enters or leaves"),
        ({"gate": "presence", "rate": "6/minute"}, "would hold back who enters or leaves"),
    ],
)
def test_wrong_options_are_refused(declared: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        options(**declared)


IN_PYTHON = """
    import edgefn
    app = edgefn.FunctionApp()
    @app.video_frame_trigger("frame", "synthetic:", motion="%MOTION%")
    @app.edge_hub_output("$return", "out", gate="presence", gate_field="objects", classes="%CLASSES%", hold="%HOLD%")
    def f(frame): ...
    """
IN_JSON = """
    {"bindings": [
      {"type": "videoFrameTrigger", "direction": "in", "name": "frame", "source": "synthetic:", "motion": "%MOTION%"},
      {"type": "edgeHub", "direction": "out", "name": "$return", "outputName": "out", "gate": "presence",
       "gateField": "objects", "classes": "%CLASSES%", "hold": "%HOLD%"}]}
    """
FORMS = {
    "decorators": {"functions/f.py": IN_PYTHON},
    "function_json": {"f/function.json": IN_JSON, "f/__init__.py": "def main(frame): ..."},
}


@pytest.mark.parametrize("form", FORMS)
def test_decorators_and_function_json_declare_the_same(app_of: AppIn, form: str) -> None:
    (function,) = app_of(FORMS[form], MOTION="0.02", CLASSES="car,truck", HOLD="3").functions
    assert function.errors == []
    assert function.trigger is not None
    assert function.trigger.options.model_dump()["motion"] == 0.02
    assert function.outputs[0].options == options(
        outputName="out", gate="presence", gateField="objects", classes=["car", "truck"], hold=3
    )


def test_a_setting_that_is_wrong_is_named_with_its_line(app_of: AppIn) -> None:
    python = """
        import edgefn
        app = edgefn.FunctionApp()
        @app.video_frame_trigger("frame", "synthetic:")
        @app.edge_hub_output("$return", "out", gate="label",
                             threshold="%Threshold%")
        def f(frame): ...
        """
    (function,) = app_of({"functions/f.py": python}, Threshold="high").functions
    (error,) = function.errors
    assert error.startswith("functions/f.py:6: option 'threshold' of edgeHub: ")
    assert error.endswith("found 'high' (from %Threshold%)")


# --- options that change while the host runs ---------------------------------------------------------------------


def test_options_that_change_leave_the_state_as_it_is() -> None:
    gate = ResultGate(options(gate="presence", threshold=0.5, hold=2))
    assert len(gate.feed(gate.results(cars(0.9)), Event(frame(0)))) == 1
    gate.change(options(gate="presence", threshold=0.95, hold=5, gateField="objects"))
    assert gate.feed(gate.results({"objects": cars(0.9)}), Event(frame(4))) == []
    (left,) = gate.feed(gate.results({"objects": cars(0.9)}), Event(frame(6)))
    assert left["event"] == "leave"


def adopt(out: MessageOutput, **declared: Any) -> None:
    binding = Binding("f", "out", "edgeHub", Direction.OUT, declared, options(**declared))
    change = out.adopt(binding)
    assert change is not None
    change()


async def test_an_output_takes_another_gate_or_none_with_the_next_value() -> None:
    out, outbox = output(gate="label", threshold=0.5)
    waiting = out.encode(cars(0.9))
    await run(out, cars(0.9), cars(0.9))
    adopt(out, gate="label", threshold=0.4)
    await run(out, cars(0.4))
    adopt(out, gate="presence")
    await run(out, cars(0.9))
    adopt(out, gate="none")
    await run(out, cars(0.3, 0.2))
    assert [message.properties.get("event", "") for message in outbox.messages] == ["", "enter", "", ""]
    listed = out.encode(cars(0.9, 0.8))
    adopt(out, gate="threshold")
    for encoded in (waiting, listed):  # set by invocations that were in flight
        await out.send(encoded, Event(frame(9)))
    assert len(outbox.messages) == 4 + 1 + 2
