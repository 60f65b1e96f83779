"""Messages that come by the iotedge hub: acknowledged when they are taken, in turn, and never lost."""

from __future__ import annotations

import asyncio
import time

import pytest

from edgefn.contracts import EdgeMessage, MethodReply, MethodRequest
from edgefn.errors import SpoolError
from edgefn.hubs import inputs
from edgefn.mqtt.deliveries import Delivery, Receipts
from tests.hubs.edges import Edge, edge_on, message
from tests.hubs.sinks import in_thread, until
from tests.standin.hubs import HubProcess


def test_acknowledgements_leave_in_the_order_in_which_the_packets_came() -> None:
    sent: list[int] = []
    receipts = Receipts(sent.append)
    first, second, third = (Delivery("", b"", number, False, receipts) for number in (1, 2, 3))
    for delivery in (first, second, third):
        receipts.owe(delivery)
    third.settle()
    second.settle()
    assert sent == []
    first.settle()
    assert sent == [1, 2, 3]
    assert len(receipts) == 0


async def test_a_message_comes_with_what_belongs_to_it(edge: Edge) -> None:
    from edgefn.standin.control import Outgoing

    sent = Outgoing('{"n": 1}', {"kind": "a&b=c é"}, id="m-1", content_type="application/json", sender="sensor")
    await in_thread(edge.control.send, edge.module, "Commands", sent)
    [came] = await until(lambda: edge.sink.inputs)
    assert (came.text, came.input_name, came.message_id) == ('{"n": 1}', "Commands", "m-1")
    assert (dict(came.properties), came.content_type) == ({"kind": "a&b=c é"}, "application/json")
    assert (came.connection_device_id, came.connection_module_id) == ("edge", "sensor")


async def test_a_message_is_acknowledged_only_when_it_has_been_taken(edge: Edge) -> None:
    taken = asyncio.Event()
    offered: list[str] = []

    async def take(message: EdgeMessage) -> None:
        offered.append(message.text)
        await taken.wait()

    edge.sink.take = take
    await edge.send("1", "2")
    await until(lambda: offered == ["1"])
    await edge.hub.publish(message("meanwhile"))
    assert edge.waiting() == 2
    taken.set()
    await until(lambda: edge.sink.texts == ["1", "2"])
    await until(lambda: edge.waiting() == 0)


async def test_a_message_that_can_not_be_taken_is_offered_again_and_then_the_next(edge: Edge) -> None:
    refusals = 3

    async def take(message: EdgeMessage) -> None:
        nonlocal refusals
        if message.text == "1" and refusals:
            refusals -= 1
            raise SpoolError("the spool is full; make room")

    edge.sink.take = take
    await edge.send("1", "2")
    await until(lambda: edge.sink.texts == ["1", "2"])
    assert edge.generation == 1


async def test_what_leaves_goes_on_while_an_input_can_not_be_taken(edge: Edge) -> None:
    async def take(message: EdgeMessage) -> None:
        if edge.stored() < 3:
            raise SpoolError("full until three messages have left")

    edge.sink.take = take
    await edge.send("1")
    for number in range(3):
        await edge.hub.publish(message(str(number)))
    await until(lambda: edge.sink.texts == ["1"])
    assert edge.generation == 1


async def test_a_message_that_can_not_be_taken_for_long_comes_again_on_a_new_connection(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "PATIENCE", 0.5)

    async def take(message: EdgeMessage) -> None:
        if not edge.lost:
            raise SpoolError("full")

    edge.sink.take = take
    await edge.send("1", "2", "3")
    await until(lambda: edge.sink.texts == ["1", "2", "3"])
    assert edge.lost_by == {"inputs": 1}
    assert "could not be taken within" in edge.lost
    await until(lambda: edge.waiting() == 0)


async def test_a_sink_that_hangs_does_not_hold_a_message_for_ever(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "PATIENCE", 0.5)

    offers: list[str] = []

    async def take(message: EdgeMessage) -> None:
        offers.append(message.text)
        if len(offers) == 1:
            await asyncio.Event().wait()

    edge.sink.take = take
    await edge.send("1")
    await until(lambda: edge.sink.texts == ["1"])
    assert offers == ["1", "1"]
    assert "the sink did not return" in edge.lost


async def test_methods_and_patches_are_not_held_up_by_an_input_and_the_inputs_go_on_afterwards(edge: Edge) -> None:
    """edgeHub ignores acknowledgements out of turn: a method settled before the input would end all later inputs."""
    taken = asyncio.Event()

    async def take(message: EdgeMessage) -> None:
        await taken.wait()

    edge.sink.take = take
    await edge.send("1", "2", "3")
    await until(lambda: edge.hub.status()["received"] == 1)
    answer = await edge.invoke("look", {"at": 1})
    await edge.set_twin({"zoom": 2})
    await until(lambda: edge.sink.patches)
    assert answer.status == 200
    assert edge.sink.inputs == []
    taken.set()
    await until(lambda: edge.sink.texts == ["1", "2", "3"])
    await until(lambda: edge.waiting() == 0)


async def test_inputs_go_on_while_a_method_runs(edge: Edge) -> None:
    ended = asyncio.Event()

    async def answer(request: MethodRequest) -> MethodReply:
        await ended.wait()
        return MethodReply(200)

    edge.sink.answer = answer
    asked = asyncio.ensure_future(edge.invoke("slow"))
    await until(lambda: edge.sink.methods)
    await edge.send("1", "2")
    await until(lambda: edge.sink.texts == ["1", "2"])
    ended.set()
    assert (await asked).status == 200


async def test_nothing_is_lost_or_overtaken_while_connections_end(edge: Edge) -> None:
    sent = [str(number) for number in range(600)]
    await edge.send(*sent)
    for part in (100, 250):
        await until(lambda part=part: len(edge.sink.inputs) > part)  # type: ignore[misc]
        await edge.fault("kill-connections")
    await until(lambda: edge.waiting() == 0)
    assert list(dict.fromkeys(edge.sink.texts)) == sent
    assert len(edge.sink.texts) <= len(sent) + 2


async def test_the_hub_sends_again_what_is_not_acknowledged_in_its_time(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    from tests.standin.hubs import running_hub

    with running_hub(tmp_path_factory.mktemp("edge"), "--ack-timeout", "0.3") as process:
        async with edge_on(process) as edge:
            slow = asyncio.Event()
            edge.sink.take = lambda message: slow.wait()  # type: ignore[assignment,return-value]
            await edge.send("1")
            await until(lambda: edge.process.counter("redelivered") >= 1)
            slow.set()
            await edge.send("2")
            await until(lambda: "2" in edge.sink.texts)
            await until(lambda: edge.waiting() == 0)
            assert edge.generation == 1


async def test_messages_from_the_cloud_reach_a_device(shared_hub: HubProcess) -> None:
    """The stand-in has no such messages; what comes to the topic is taken as one for the input without a name."""
    from edgefn.hubs.iot_edge import topics
    from edgefn.hubs.iot_edge.identity import Identity, SharedKey

    device = Identity("hub", "thermo", "", "", SharedKey(b"", "CONNECTIONSTRING"))
    came = topics.incoming(device, "devices/thermo/messages/devicebound/%24.mid=1&%24.to=x&a=b", b"1")
    assert (came.message_id, dict(came.properties), came.input_name) == ("1", {"a": "b"}, "")


async def test_what_waited_at_the_hub_comes_when_the_answer_to_it_can_leave(edge: Edge) -> None:
    await edge.send("0")
    await until(lambda: edge.waiting() == 0)
    await edge.hub.stop()
    await edge.send("1", "2")
    ends: list[object] = []

    async def take(came: EdgeMessage) -> None:
        ends.append(await edge.hub.publish(message(f"answer to {came.text}")))

    edge.sink.take = take
    await edge.start()
    await until(lambda: edge.sink.texts == ["0", "1", "2"])
    assert ends == [None, None]
    assert edge.sink.states[-1] == "online"


async def test_stop_is_quick_while_an_input_is_not_taken(edge: Edge) -> None:
    edge.sink.take = lambda message: asyncio.Event().wait()  # type: ignore[assignment,return-value]
    await edge.send("1")
    await until(lambda: edge.hub.status()["received"] == 1)
    began = time.monotonic()
    await edge.hub.stop()
    assert time.monotonic() - began < 1.5
    assert edge.waiting() == 1
