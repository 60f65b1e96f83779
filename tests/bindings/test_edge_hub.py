"""What a function gives to an output, and what of it leaves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pytest
from pydantic import ValidationError

from edgefn.bindings.edge_hub import EdgeHubOutputOptions, Gate, MessageOutput
from edgefn.contracts import Box, EdgeMessage, Event, Outgoing, VideoFrame
from edgefn.errors import SpoolError
from tests.conftest import AppIn


class Kept:
    """An outbox that keeps what is put."""

    def __init__(self) -> None:
        self.messages: list[EdgeMessage] = []
        self.outgoing: list[Outgoing] = []

    async def put(self, messages: Sequence[Outgoing]) -> None:
        self.outgoing += messages
        self.messages += [outgoing.message for outgoing in messages]

    def pass_by(self, message: EdgeMessage, destination: str) -> None:
        self.messages.append(message)


def output(clock: Callable[[], float] = lambda: 0.0, **options: Any) -> tuple[MessageOutput, Kept]:
    declared, outbox = EdgeHubOutputOptions.model_validate(options), Kept()
    return MessageOutput(declared, outbox, Gate(declared, clock)), outbox  # type: ignore[arg-type]


async def sent(values: list[Any], times: list[float] | None = None, **options: Any) -> list[Any]:
    """The bodies that leave when the values are set, each at its time in seconds."""
    now = iter(times or range(len(values)))
    out, hub = output(lambda: float(next(now)), **options)
    for value in values:
        await out.send(out.encode(value), Event(None))
    return [orjson.loads(message.body) for message in hub.messages]


@pytest.mark.parametrize(
    ("value", "bodies", "kind"),
    [
        ({"a": 1}, [b'{"a":1}'], "application/json"),
        ("plain", [b"plain"], "text/plain"),
        ('{"a":1}', [b'{"a":1}'], "application/json"),
        ('[{"a":1},2]', [b'{"a":1}', b"2"], "application/json"),
        ([1, "two"], [b"1", b"two"], None),
        (b"\x00\x01", [b"\x00\x01"], "application/octet-stream"),
        (1.5, [b"1.5"], "application/json"),
        (True, [b"true"], "application/json"),
        (Box(0, 0, 1, 1), [b'{"x_min":0,"y_min":0,"x_max":1,"y_max":1}'], "application/json"),
        ({"n": np.float32(0.5), "a": np.arange(2)}, [b'{"n":0.5,"a":[0,1]}'], "application/json"),
        ({"t": datetime(2026, 1, 2, tzinfo=UTC)}, [b'{"t":"2026-01-02T00:00:00+00:00"}'], "application/json"),
    ],
)
async def test_a_value_becomes_messages(value: Any, bodies: list[bytes], kind: str | None) -> None:
    out, hub = output(outputName="out")
    await out.send(out.encode(value), Event(None))
    assert [message.body for message in hub.messages] == bodies
    assert kind is None or {message.content_type for message in hub.messages} == {kind}


IMAGE = np.zeros((64, 64, 3), np.uint8)
FRAME = VideoFrame(IMAGE, 1, datetime(2026, 1, 2, tzinfo=UTC), 0.0, "cam", 25.0)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (FRAME, "a VideoFrame can not"),
        ({"objects": [], "frame": FRAME}, "a VideoFrame under frame can not"),
        (IMAGE, "an array of uint8, 64 x 64 x 3, can not"),
        (
            {"crops": [{"image": IMAGE[:, :, 0]}, {"image": IMAGE}]},
            "an array of uint8, 64 x 64 x 3, under crops.1.image",
        ),
        ([1, FRAME], "a VideoFrame can not"),
        (Box(0, 0, 1, np.zeros(9000, np.uint8)), "an array of uint8, 9000, under y_max can not"),  # type: ignore[arg-type]
    ],
    ids=["frame", "frame inside", "array", "array inside", "one of several", "in a dataclass"],
)
def test_a_picture_is_refused_with_what_to_send_instead(value: Any, what: str) -> None:
    out, _ = output(outputName="out")
    with pytest.raises(TypeError, match=re.escape(what)) as refused:
        out.encode(value)
    assert "send the bytes of a picture's file, cv2.imencode('.jpg', image)[1].tobytes()" in str(refused.value)


async def test_long_lists_of_numbers_are_sent() -> None:
    numbers = {"embedding": np.linspace(0, 1, 9000, dtype=np.float32), "meant": IMAGE.tolist()}
    (body,) = await sent([numbers])
    assert len(body["embedding"]) == 9000


async def test_each_message_has_id_time_encoding_and_declared_properties() -> None:
    out, hub = output(outputName="out", properties={"appid": "scanner"})
    await out.send(out.encode([{"n": 1}, {"n": 2}]), Event(None))
    first, second = hub.messages
    assert first.message_id != second.message_id
    assert (first.output_name, first.content_encoding, first.properties) == ("out", "utf-8", {"appid": "scanner"})
    assert first.created is not None
    assert first.created.tzinfo is UTC


async def test_an_edge_message_keeps_its_own_id_and_properties() -> None:
    out, hub = output(outputName="out", properties={"a": "1", "b": "1"})
    await out.send(out.encode(EdgeMessage(b"x", {"b": "2"}, message_id="mine", input_name="in")), Event(None))
    message = hub.messages[0]
    assert (message.message_id, message.properties, message.input_name) == ("mine", {"a": "1", "b": "2"}, "")


def test_what_is_set_is_kept_as_it_was() -> None:
    out, _ = output()
    value = {"a": [1]}
    encoded = out.encode(value)
    value["a"].append(2)
    assert encoded.messages[0].body == b'{"a":[1]}'


@pytest.mark.parametrize("value", [object(), {"a": object()}, {1, 2}])
def test_what_json_can_not_hold_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match="can not be sent as JSON"):
        output()[0].encode(value)


async def test_an_output_says_how_long_its_messages_are_worth_keeping_and_what_goes_when_there_is_no_room() -> None:
    out, outbox = output(outputName="o", ttl="00:01:00", whenFull="dropNewest")
    await out.send(out.encode("x"), Event(None))
    assert (outbox.outgoing[0].ttl, outbox.outgoing[0].when_full) == (60.0, "drop_newest")


async def test_messages_that_may_be_lost_are_not_stored() -> None:
    out, outbox = output(outputName="o", durable=False)
    await out.send(out.encode([1, 2]), Event(None))
    assert [len(outbox.messages), len(outbox.outgoing)] == [2, 0]


@pytest.mark.parametrize("options", [{"ttl": 5}, {"whenFull": "block"}])
def test_what_is_not_kept_has_no_room_to_fill(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="are for messages that are kept"):
        EdgeHubOutputOptions.model_validate({"durable": "no", **options})


async def test_an_interval_lets_one_message_through_in_each_and_does_not_drift() -> None:
    times = [number * 0.08 for number in range(377)]  # 12.5 frames a second, 30 s
    assert len(await sent(list(range(377)), times, interval=1)) == 31
    assert len(await sent(list(range(377)), times, interval="00:00:05")) == 7
    assert len(await sent(list(range(377)), times, interval=0)) == 377


async def test_after_a_pause_longer_than_the_interval_the_grid_goes_on() -> None:
    assert await sent([0, 1, 2, 3, 4], [0.0, 7.3, 7.9, 8.0, 8.5], interval=1) == [0, 1, 3]


async def test_on_change_sends_only_what_differs_from_the_last_one_sent() -> None:
    values = [{"x": 1}, {"x": 1}, {"x": 2}, {"x": 1}]
    assert await sent(values, onChange=True) == [{"x": 1}, {"x": 2}, {"x": 1}]


@pytest.mark.parametrize("fields", ["label", ["label"], "label, other"])
async def test_on_change_can_look_at_some_fields_only(fields: Any) -> None:
    values = [{"id": n, "label": label} for n, label in enumerate("aabba")]
    assert [value["id"] for value in await sent(values, onChange=fields)] == [0, 2, 4]


async def test_a_rate_lets_so_many_through_in_any_window() -> None:
    assert await sent(list(range(10)), [n * 6.0 for n in range(10)], rate="6/minute") == [0, 1, 2, 3, 4, 5]
    assert await sent(list(range(4)), [0.0, 59.0, 60.0, 61.0], rate="1/minute") == [0, 2]


async def test_each_message_of_a_list_counts_for_the_rate() -> None:
    out, hub = output(lambda: 0.0, rate="6/minute")
    for numbers in (range(4), range(4, 10), range(2)):
        await out.send(out.encode(list(numbers)), Event(None))
    assert [message.json() for message in hub.messages] == [0, 1, 2, 3, 4, 5]
    assert out.status() == {"output": "", "published": 6, "held_back": {"rate": 6}}


async def test_what_is_held_back_is_counted_by_cause() -> None:
    times = iter([0.0, 0.5, 2.0, 2.5])
    out, _ = output(lambda: next(times), interval=1, onChange=True)
    for value in (1, 2, 1, 3):
        await out.send(out.encode(value), Event(None))
    assert out.status() == {"output": "", "published": 2, "held_back": {"interval": 1, "unchanged": 1}}


@pytest.mark.parametrize("options", [{"rate": "many"}, {"rate": "0/minute"}, {"interval": -1}, {"interval": "1:2:3:4"}])
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EdgeHubOutputOptions.model_validate(options)


def test_options_may_be_texts_as_settings_are() -> None:
    options = EdgeHubOutputOptions.model_validate({"interval": "2.5", "onChange": "Yes"})
    assert (options.interval, options.on_change) == (2.5, True)


@pytest.mark.parametrize("size", [10, 0, "500"])
async def test_the_json_of_microsofts_c_sharp_binding_is_taken_and_each_message_leaves_by_itself(size: Any) -> None:
    assert await sent([[1, 2], 3], outputName="output1", batchSize=size) == [1, 2, 3]


def test_what_of_that_json_does_nothing_is_said(app_of: AppIn, caplog: pytest.LogCaptureFixture) -> None:
    trigger = {"type": "edgeHubTrigger", "direction": "in", "name": "m", "inputName": "i"}
    output = {"type": "edgeHub", "direction": "out", "name": "$return", "outputName": "o", "batchSize": 10}
    files = {"f/function.json": json.dumps({"bindings": [trigger, output]}), "f/__init__.py": "def main(m): ..."}
    assert app_of(files).functions[0].errors == []
    assert "batchSize does nothing here: each message is sent at once; leave it out" in caplog.text


class Full(Kept):
    """An outbox that can not store anything at first."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self._refusals = refusals

    async def put(self, messages: Sequence[Outgoing]) -> None:
        if self._refusals:
            self._refusals -= 1
            raise SpoolError("the disk is full")
        await super().put(messages)


@pytest.mark.parametrize("options", [{"on_change": True}, {"interval": 60}, {"rate": "1/minute"}])
async def test_what_could_not_be_stored_does_not_count_as_sent(options: dict[str, Any]) -> None:
    declared, outbox = EdgeHubOutputOptions.model_validate(options), Full(refusals=2)
    out = MessageOutput(declared, outbox, Gate(declared, lambda: 0.0))  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(SpoolError):
            await out.send(out.encode({"door": "open"}), Event(None))
    await out.send(out.encode({"door": "open"}), Event(None))
    await out.send(out.encode({"door": "open"}), Event(None))
    assert [orjson.loads(message.body) for message in outbox.messages] == [{"door": "open"}]
    assert out.status()["published"] == 1


def test_what_is_taken_back_is_due_by_the_interval_that_counts_by_then() -> None:
    now = iter([0.0, 100.0, 105.0])
    gate = Gate(EdgeHubOutputOptions(interval=60), lambda: next(now))
    assert [gate.admits(b""), gate.admits(b"")] == [1, 1]
    gate.change(EdgeHubOutputOptions(interval=200))
    gate.undo(1)
    assert gate.admits(b"") == 0
