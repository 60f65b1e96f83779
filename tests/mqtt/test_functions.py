"""mqttTrigger and mqtt outputs in a host, at a real mosquitto."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from edgefn.contracts import HubState
from edgefn.host import Host
from tests.conftest import AppIn
from tests.hubs.sinks import until
from tests.mqtt.mosquitto import Mosquitto, Peer
from tests.ticks import HEAD

FORWARD = """
@app.mqtt_trigger("m", "in/#")
@app.mqtt_output("$return", "out/{function}")
def f(m: str):
    return m
"""


@asynccontextmanager
async def running(app_of: AppIn, code: str, broker: Mosquitto | None = None, **settings: str) -> AsyncIterator[Host]:
    """A host whose functions are connected to the broker."""
    if broker is not None:
        settings.setdefault("MQTT_BROKER", broker.address)
    host = Host(app_of({"functions/f.py": HEAD + code}, **settings))
    assert [running.function.errors for running in host.running] == [[] for _ in host.running]
    await host.start()
    try:
        if broker is not None:
            await until(lambda: states(host) == {HubState.ONLINE})
        yield host
    finally:
        await host.stop()


def states(host: Host) -> set[str]:
    return {status["state"] for status in host.app.services.brokers.status().values()}


def seen(host: Host) -> list[Any]:
    """What the app's functions have kept in their list ``seen``."""
    call: Any = host.running[0].function.call
    found: list[Any] = call.__globals__["seen"]
    return found


async def test_a_message_runs_the_function_and_its_result_is_published(
    app_of: AppIn, broker: Mosquitto, peer: Peer
) -> None:
    async with running(app_of, FORWARD, broker):
        peer.publish("in/1", "hello")
        await until(lambda: peer.bodies == ["hello"])
    assert peer.messages[0].topic == "out/f"


async def test_messages_keep_their_order(app_of: AppIn, broker: Mosquitto, peer: Peer) -> None:
    sent = [str(number) for number in range(300)]
    async with running(app_of, FORWARD, broker) as host:
        await asyncio.to_thread(peer.publish, "in/x", *sent)
        await until(lambda: len(peer.bodies) == 300)
        assert peer.bodies == sent
        assert host.app.services.brokers.status()[broker.address]["generation"] == 1
