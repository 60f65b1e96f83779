"""Messages that leave by the iotedge hub: acknowledged, in order, measured, and never said to be there when not."""

from __future__ import annotations

import asyncio
import time
from collections import deque

import pytest

from edgefn.errors import AckTimeout, ConnectionLost, HubError, NotConnected, TooLarge
from edgefn.hubs.iot_edge import keeper, topics
from tests.hubs.edges import Edge, edge_on, message
from tests.hubs.sinks import until
from tests.standin.hubs import HubProcess


async def test_a_message_arrives_whole_and_is_then_acknowledged(edge: Edge) -> None:
    sent = message(
        '{"n":1}',
        properties={"kind": "a&b=c/d é"},
        message_id="m-1",
        correlation_id="c-1",
        content_type="application/json",
    )
    await edge.hub.publish(sent)
    [came] = [m for m in edge.control.upstream() if m.module == edge.module]
    assert (came.text, came.output, came.id, dict(came.properties)) == ('{"n":1}', "out", "m-1", {"kind": "a&b=c/d é"})
    assert (came.content_type, came.system["contentEncoding"], came.system["cid"]) == (
        "application/json",
        "utf-8",
        "c-1",
    )


async def test_messages_arrive_in_the_order_of_the_calls(edge: Edge) -> None:
    sent = [str(number) for number in range(300)]
    on_their_way: deque[asyncio.Future[None]] = deque()
    for body in sent:
        if len(on_their_way) == edge.hub.window:
            await on_their_way.popleft()
        on_their_way.append(asyncio.ensure_future(edge.hub.publish(message(body))))
    await asyncio.gather(*on_their_way)
    assert await edge.arrived() == sent


async def test_more_than_the_window_is_refused_and_not_held(edge: Edge) -> None:
    await edge.fault("lose-pubacks")
    first = [asyncio.ensure_future(edge.hub.publish(message(str(n)))) for n in range(edge.hub.window)]
    with pytest.raises(HubError, match="20 messages are on their way"):
        await edge.hub.publish(message("one more"))
    await edge.hub.stop()
    assert [type(e) for e in await asyncio.gather(*first, return_exceptions=True)] == [ConnectionLost] * 20
    assert "one more" not in await edge.arrived()


async def test_without_connection_a_message_is_refused_at_once(edge: Edge) -> None:
    await edge.hub.stop()
    began = time.monotonic()
    with pytest.raises(NotConnected):
        await edge.hub.publish(message())
    assert time.monotonic() - began < 0.1


async def test_a_message_of_the_largest_size_arrives_and_one_byte_more_is_refused_here(edge: Edge) -> None:
    identity = edge.hub._identity
    empty = message("", properties={"kind": "largest"}, message_id="id", content_type="text/plain")
    fixed = max(topics.size_at_hub(identity, empty), 4 + len(topics.outgoing(identity, empty)))
    body = "x" * (topics.LARGEST - fixed)
    larger = message(f"{body}x", properties=empty.properties, message_id="id", content_type="text/plain")
    with pytest.raises(TooLarge, match="262,145 bytes"):
        edge.hub.check(larger)
    with pytest.raises(TooLarge, match="for output 'out'"):
        await edge.hub.publish(larger)
    await edge.hub.publish(message(body, properties=empty.properties, message_id="id", content_type="text/plain"))
    assert await edge.arrived() == [body]
    assert edge.generation == 1


async def test_a_topic_that_is_too_long_is_refused_here(edge: Edge) -> None:
    with pytest.raises(TooLarge, match="topic of"):
        edge.hub.check(message("", properties={f"name-{n}": "é" * 500 for n in range(30)}))


async def test_lost_acknowledgements_end_the_connection_in_time_and_nothing_is_said_to_have_arrived(
    shared_hub: HubProcess,
) -> None:
    async with edge_on(shared_hub, ack_timeout=1.0) as edge:
        await edge.fault("lose-pubacks", count=1)
        began = time.monotonic()
        with pytest.raises(AckTimeout, match="within 1 s"):
            await edge.hub.publish(message("lost"))
        assert time.monotonic() - began < 3
        await edge.online(generation=2)
        await edge.hub.publish(message("next"))
        assert edge.lost_by == {"unacknowledged": 1}


async def test_acknowledgements_that_came_while_the_loop_was_held_are_not_late(shared_hub: HubProcess) -> None:
    async with edge_on(shared_hub, ack_timeout=1.0) as edge:
        waiting = [asyncio.ensure_future(edge.hub.publish(message(str(n)))) for n in range(10)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # written
        time.sleep(1.2)  # noqa: ASYNC251 - a function that holds the loop
        await asyncio.wait_for(asyncio.gather(*waiting), 1)
        assert edge.generation == 1


async def test_late_and_doubled_acknowledgements_are_no_fault(edge: Edge) -> None:
    await edge.fault("double-pubacks", count=20)
    await asyncio.gather(*(edge.hub.publish(message(str(n))) for n in range(20)))
    await edge.fault("delay-pubacks", by=0.5, count=5)
    await asyncio.gather(*(edge.hub.publish(message(str(n))) for n in range(20, 25)))
    await edge.hub.publish(message("25"))
    assert await edge.arrived() == [str(n) for n in range(26)]
    assert edge.generation == 1


async def test_what_is_said_to_have_arrived_has_whatever_happens_to_the_connection(
    shared_hub: HubProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "HEALTHY", 0.0)
    async with edge_on(shared_hub, ack_timeout=1.0) as edge:
        await edge.fault("lose-pubacks", share=0.002)
        await edge.fault("double-pubacks", share=0.1)
        arrived, refused = set(), 0
        for number in range(150):
            if number % 60 == 30:
                await edge.fault("kill-connections")
            batch = [f"{number}.{part}" for part in range(5)]
            ends = await asyncio.gather(*(edge.hub.publish(message(b)) for b in batch), return_exceptions=True)
            arrived |= {body for body, end in zip(batch, ends, strict=True) if end is None}
            refused += sum(isinstance(end, HubError) for end in ends)
            if edge.hub.state != "online":
                await edge.online(generation=edge.generation)
        assert arrived <= set(await edge.arrived())
        assert edge.generation >= 3
        assert len(arrived) + refused == 750


async def test_an_id_that_was_used_before_says_nothing_about_the_next_message(edge: Edge) -> None:
    """The SDK's worst: a stale acknowledgement is taken for that of another message, 65,535 messages later."""
    await edge.fault("lose-pubacks", seconds=1.0)
    ghosts = [asyncio.ensure_future(edge.hub.publish(message(f"ghost {n}"))) for n in range(3)]
    await until(lambda: edge.stored() == 3)
    await edge.fault("kill-connections")
    assert {type(e) for e in await asyncio.gather(*ghosts, return_exceptions=True)} == {ConnectionLost}
    await edge.online(generation=2)
    await edge.fault("lose-pubacks", count=4)
    again = [asyncio.ensure_future(edge.hub.publish(message(f"again {n}"))) for n in range(4)]
    await until(lambda: edge.stored() == 7)
    assert not any(future.done() for future in again)
    await edge.hub.stop()
    await asyncio.gather(*again, return_exceptions=True)


async def test_an_end_in_the_middle_of_a_packet_fails_the_message_and_the_next_connection_is_there_at_once(
    edge: Edge,
) -> None:
    await edge.fault("abort-packet", bytes=10_000, count=1)
    with pytest.raises(ConnectionLost):
        await edge.hub.publish(message("x" * 200_000))
    await edge.online(generation=2, within=5)
    await edge.hub.publish(message("y" * 200_000))


async def test_a_message_on_which_the_hub_hangs_up_fails_alone(edge: Edge) -> None:
    await edge.fault("poison", text="poison")
    for attempt in range(3):
        with pytest.raises(ConnectionLost):
            await edge.hub.publish(message("poison"))
        await edge.online(generation=attempt + 2)
        await edge.hub.publish(message(f"after {attempt}"))
    assert await edge.arrived() == ["after 0", "after 1", "after 2"]


async def test_wild_cards_in_the_name_of_a_module_are_an_error_of_the_message(shared_hub: HubProcess) -> None:
    from edgefn.hubs.iot_edge.connection import Connection

    async with edge_on(shared_hub) as edge:
        connection = edge.hub._connection
        assert isinstance(connection, Connection)
        with pytest.raises(HubError, match="can not be sent"):
            await connection.publish("devices/edge/modules/c+m/messages/events/", b"")
