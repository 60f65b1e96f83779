"""Tokens of the iotedge hub: renewed before their end, also where the workload API is away at that time."""

from __future__ import annotations

import asyncio
import time

import pytest

from edgefn.errors import HubError
from edgefn.hubs.iot_edge import credentials
from edgefn.hubs.iot_edge.identity import Identity, SharedKey
from tests.hubs.edges import Edge, edge_on, message
from tests.hubs.sinks import in_thread, until
from tests.standin.hubs import HubProcess


class Sender:
    """Publishes some hundred messages a second, and notes what arrived and the longest time in which nothing did."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self.arrived: list[str] = []
        self.longest = 0.0
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        number, last = 0, time.monotonic()
        while True:
            await asyncio.sleep(0.002)
            try:
                await self._edge.hub.publish(message(str(number)))
            except HubError:
                continue
            self.arrived.append(str(number))
            self.longest = max(self.longest, time.monotonic() - last)
            number, last = number + 1, time.monotonic()

    def stop(self) -> None:
        self._task.cancel()


async def test_tokens_are_renewed_under_load_without_loss_and_without_a_gap(shared_hub: HubProcess) -> None:
    async with edge_on(shared_hub, token_lifetime=4.0) as edge:
        sender = Sender(edge)
        await edge.online(generation=4)
        sender.stop()
        came = await edge.arrived()
        assert came[: len(sender.arrived)] == sender.arrived
        assert len(came) == len(set(came))
        assert sender.longest < 2
        assert edge.lost_by.keys() == {"renewal"}
        assert edge.lost == ""


@pytest.mark.parametrize("fault", ["workload-503", "workload-hang"])
async def test_a_workload_api_that_is_away_at_a_renewal_is_asked_again_and_the_connection_goes_on(
    own_hub: HubProcess, fault: str
) -> None:
    async with edge_on(own_hub, token_lifetime=6.0) as edge:
        await in_thread(own_hub.control.fault, fault)
        sender = Sender(edge)
        if fault == "workload-503":
            await until(lambda: "503" in edge.lost)
        await until(lambda: edge.hub.state != "online")
        await until(lambda: edge.lost_by == {"expired": 1})
        await in_thread(own_hub.control.clear)
        await edge.online(generation=2, within=15)
        await until(lambda: edge.stored() > 0)
        sender.stop()
        assert set(sender.arrived) <= set(await edge.arrived())


async def test_the_work_at_hand_ends_before_a_planned_end(shared_hub: HubProcess) -> None:
    async with edge_on(shared_hub, token_lifetime=4.0) as edge:
        await edge.send(*(str(n) for n in range(400)))

        async def take(_: object) -> None:
            await asyncio.sleep(0.01)

        edge.sink.take = take
        await until(lambda: len(edge.sink.inputs) >= 400)
        assert edge.sink.texts == [str(n) for n in range(400)]
        assert edge.lost_by.keys() == {"renewal"}


def test_a_clock_that_is_set_does_not_move_the_end_of_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    identity = Identity("hub", "edge", "cam", "gateway", SharedKey(b"key", "CONNECTIONSTRING"))
    now = time.time()
    for set_to in (now - 3600, now, now + 3600):
        monkeypatch.setattr(time, "time", lambda set_to=set_to: set_to)
        made = credentials.fetch_credentials(identity, 3600.0)
        assert 3598 <= made.ends - time.monotonic() <= 3600
        assert f"se={int(set_to + 3600)}" in made.token


def test_a_token_does_not_show_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    identity = Identity("hub", "edge", "cam", "gateway", SharedKey(b"key", "CONNECTIONSTRING"))
    made = credentials.fetch_credentials(identity, 3600.0)
    assert made.token not in repr(made)
    assert "key" not in repr(identity.key).replace("SharedKey", "")
