"""The twin and direct methods over the iotedge hub: each request ends in time, each method runs once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest

from edgefn.contracts import MethodReply, MethodRequest
from edgefn.errors import AckTimeout, ConnectionLost, HubError, NotConnected
from edgefn.hubs.iot_edge import methods
from tests.hubs.edges import Edge, edge_on
from tests.hubs.sinks import in_thread, until
from tests.standin.hubs import HubProcess


async def test_the_twin_is_read_and_reported_properties_are_changed(edge: Edge) -> None:
    await edge.set_twin({"zoom": 2})
    await edge.hub.report({"state": "up", "old": 1})
    await edge.hub.report({"old": None})
    twin = await edge.hub.twin()
    assert (twin.desired["zoom"], twin.version) == (2, twin.desired["$version"])
    assert (twin.reported["state"], "old" in twin.reported) == ("up", False)


async def test_what_the_hub_refuses_of_a_twin_is_an_error_with_its_reason(edge: Edge) -> None:
    with pytest.raises(HubError, match=r"answered PATCH of the twin with 400: .*levels"):
        await edge.hub.report({"not.allowed": 1})
    await edge.hub.report({"allowed": 1})


async def test_changes_come_in_order_and_a_slow_one_holds_up_nothing_else(edge: Edge) -> None:
    slow = asyncio.Event()
    edge.sink.change = lambda patch: slow.wait()  # type: ignore[assignment,return-value]
    for number in range(5):
        await edge.set_twin({"n": number})
    await edge.send("1")
    await until(lambda: edge.sink.texts == ["1"])
    assert (await edge.invoke("look")).status == 200
    slow.set()
    await until(lambda: [patch["n"] for patch in edge.sink.patches] == [0, 1, 2, 3, 4])
    versions = [patch["$version"] for patch in edge.sink.patches]
    assert versions == sorted(set(versions))


async def test_a_change_that_fails_in_the_sink_does_not_end_the_next(edge: Edge) -> None:
    async def change(patch: Mapping[str, Any]) -> None:
        if patch["n"] == 0:
            raise RuntimeError("a fault of the sink")

    edge.sink.change = change
    await edge.set_twin({"n": 0})
    await edge.set_twin({"n": 1})
    await until(lambda: [patch["n"] for patch in edge.sink.patches] == [1])


async def test_after_it_is_told_to_be_online_no_change_is_missed(edge: Edge) -> None:
    """The twin that is read then, and the patches that came, are together all that was set."""
    await edge.hub.stop()
    await edge.start()
    setting = asyncio.ensure_future(in_thread(_set_many, edge, 20))
    await edge.online(generation=2)
    versions = {(await edge.hub.twin()).version}
    await setting
    last = edge.control.twin(edge.module)["desired"]["$version"]
    await until(lambda: max(versions | {patch["$version"] for patch in edge.sink.patches}) == last)
    came = sorted(versions | {patch["$version"] for patch in edge.sink.patches})
    assert came[came.index(min(versions)) :] == list(range(min(versions), last + 1))


def _set_many(edge: Edge, count: int) -> None:
    for number in range(count):
        edge.control.set_twin(edge.module, {"n": number})


async def test_an_answer_that_does_not_come_is_an_error_in_time_and_the_next_request_is_answered(
    shared_hub: HubProcess,
) -> None:
    async with edge_on(shared_hub, twin_timeout=1.0) as edge:
        await edge.fault("lose-twin-answers", count=2)
        for request in (edge.hub.twin, lambda: edge.hub.report({"a": 1})):
            began = time.monotonic()
            with pytest.raises(AckTimeout, match="of the twin within 1 s"):
                await request()
            assert time.monotonic() - began < 2
        await edge.hub.report({"a": 2})
        assert (await edge.hub.twin()).reported["a"] == 2
        assert edge.generation == 1


async def test_a_request_ends_with_its_connection(edge: Edge) -> None:
    await edge.fault("lose-twin-answers", count=1)
    asked = asyncio.ensure_future(edge.hub.twin())
    await asyncio.sleep(0)
    await edge.fault("kill-connections")
    with pytest.raises(ConnectionLost):
        await asyncio.wait_for(asked, 2)
    await edge.hub.stop()
    with pytest.raises(NotConnected):
        await edge.hub.twin()
    with pytest.raises(NotConnected):
        await edge.hub.report({})


# --- direct methods ------------------------------------------------------------------------------------------------


async def test_a_method_is_called_with_its_payload_and_answered(edge: Edge) -> None:
    answer = await edge.invoke("set zoom", {"to": [1, 2]})
    assert (answer.status, answer.payload) == (200, {"name": "set zoom", "payload": {"to": [1, 2]}})
    [asked] = edge.sink.methods
    assert (asked.name, asked.payload, bool(asked.id)) == ("set zoom", {"to": [1, 2]}, True)


async def test_a_request_that_comes_twice_runs_once(edge: Edge) -> None:
    await edge.fault("double-methods", count=2)
    ended = asyncio.Event()

    async def answer(request: MethodRequest) -> MethodReply:
        if request.name == "slow":
            await ended.wait()
        return MethodReply(200, len(edge.sink.methods))

    edge.sink.answer = answer
    asked = asyncio.ensure_future(edge.invoke("slow"))
    await until(lambda: edge.sink.methods)
    await edge.hub.twin()
    ended.set()
    assert (await asked).payload == 1
    assert (await edge.invoke("quick")).payload == 2
    assert (await edge.invoke("last")).payload == 3
    assert [request.name for request in edge.sink.methods] == ["slow", "quick", "last"]


async def test_methods_run_side_by_side(edge: Edge) -> None:
    together = asyncio.Barrier(3)

    async def answer(request: MethodRequest) -> MethodReply:
        await together.wait()
        return MethodReply(200, request.payload)

    edge.sink.answer = answer
    answers = await asyncio.gather(*(edge.invoke("meet", n) for n in range(3)))
    assert [answer.payload for answer in answers] == [0, 1, 2]


async def test_a_method_without_an_answer_in_time_is_the_hubs_504_and_stops_nothing(edge: Edge) -> None:
    edge.sink.answer = lambda request: asyncio.Event().wait()  # type: ignore[assignment,return-value]
    assert (await edge.invoke("never", response_timeout=0.3)).status == 504
    edge.sink.answer = _fine
    assert (await edge.invoke("now")).status == 200


async def _fine(request: MethodRequest) -> MethodReply:
    return MethodReply(200)


async def test_a_fault_of_the_sink_is_a_500_without_its_words(edge: Edge) -> None:
    async def answer(request: MethodRequest) -> MethodReply:
        raise RuntimeError("a secret")

    edge.sink.answer = answer
    answer_ = await edge.invoke("broken")
    assert (answer_.status, answer_.payload) == (500, "the method 'broken' failed")


async def test_too_many_methods_at_once_are_told_so(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "MOST_RUNNING", 2)
    ended = asyncio.Event()

    async def answer(request: MethodRequest) -> MethodReply:
        await ended.wait()
        return MethodReply(200)

    edge.sink.answer = answer
    asked = [asyncio.ensure_future(edge.invoke("slow", n)) for n in range(2)]
    await until(lambda: len(edge.sink.methods) == 2)
    assert (await edge.invoke("one more")).status == 503
    ended.set()
    assert [a.status for a in await asyncio.gather(*asked)] == [200, 200]


async def test_an_answer_that_is_no_json_is_null_and_is_said(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    async def answer(request: MethodRequest) -> MethodReply:
        return MethodReply(200, object())

    edge.sink.answer = answer
    assert (await edge.invoke("odd")).payload is None
    assert "is no JSON" in caplog.text
