"""Messages between a hub and the sink, without a hub: what a fault beside them may not cost."""

from __future__ import annotations

import asyncio
import logging

import pytest

from edgefn.contracts import EdgeMessage
from edgefn.hubs.inputs import Inputs
from edgefn.mqtt.deliveries import Delivery, Receipts
from edgefn.mqtt.faults import Fault
from edgefn.supervision import for_ever
from tests.hubs.sinks import RecordingSink, until


class Wire:
    """A connection that does not end."""

    number = 1

    def __init__(self) -> None:
        self.lost: asyncio.Future[Fault] = asyncio.get_running_loop().create_future()
        self.left: list[Fault] = []

    def ask_to_leave(self, fault: Fault) -> None:
        self.left.append(fault)


async def test_a_message_is_offered_again_where_what_the_sink_waits_for_is_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink, wire, acknowledged, offers = RecordingSink(), Wire(), list[int](), list[str]()
    receipts = Receipts(acknowledged.append)

    async def take(message: EdgeMessage) -> None:
        offers.append(message.text)
        if len(offers) < 3:
            gone = asyncio.get_running_loop().create_future()
            gone.cancel()
            await gone

    sink.take = take
    inputs = Inputs("hub", sink)
    running = asyncio.create_task(for_ever(inputs.run, logging.getLogger("edgefn.hub"), "The hub"))
    for number in (1, 2):
        delivery = Delivery("topic", b"", number, False, receipts)
        receipts.owe(delivery)
        inputs.put(wire, delivery, EdgeMessage(str(number).encode(), input_name="in"))
    await until(lambda: acknowledged == [1, 2])
    assert (offers, sink.texts, wire.left) == (["1", "1", "1", "2"], ["1", "2"], [])
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert "please report it" not in caplog.text
