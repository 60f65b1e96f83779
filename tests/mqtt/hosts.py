"""Hosts whose functions are at a broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from edgefn.contracts import HubState
from edgefn.host import Host
from edgefn.loader import load_app
from tests.hubs.sinks import until
from tests.mqtt.mosquitto import Mosquitto
from tests.ticks import HEAD

FORWARD = """
@app.mqtt_trigger("m", "in/#")
@app.mqtt_output("$return", "out/{function}")
def f(m: str):
    return m
"""
KEEP = """
seen = []
@app.mqtt_trigger("m", "in/#")
def f(m: edgefn.EdgeMessage):
    seen.append(m)
"""
QUICK = '{"version": "2.0", "extensions": {"mqtt": {"ackTimeout": 1, "keepAlive": 2, "connectTimeout": 2}}}'
"""A host that notices soon that a broker is silent."""


@asynccontextmanager
async def host_at(
    folder: Path, broker: Mosquitto, code: str, *, config: str = QUICK, waits: bool = True, **settings: str
) -> AsyncIterator[Host]:
    """A host with an app of one module; connected, unless nobody ``waits`` for that."""
    (folder / "functions").mkdir(parents=True, exist_ok=True)
    (folder / "functions" / "f.py").write_text(HEAD + code)
    (folder / "host.json").write_text(config)
    host = Host(load_app(folder, environment={}, given={"MQTT_BROKER": broker.address, **settings}))
    assert [running.function.errors for running in host.running] == [[] for _ in host.running]
    assert host.app.errors == []
    await host.start()
    try:
        if waits:
            await until(lambda: is_online(host))
        yield host
    finally:
        await host.stop()


def standing(host: Host) -> dict[str, Any]:
    """How the one broker of a host stands."""
    (found,) = host.app.services.brokers.status().values()
    return dict(found)


def is_online(host: Host) -> bool:
    return bool(standing(host)["state"] == HubState.ONLINE)


def seen(host: Host) -> list[Any]:
    """What the first function has kept in its list."""
    call: Any = host.running[0].function.call
    found: list[Any] = call.__globals__["seen"]
    return found
