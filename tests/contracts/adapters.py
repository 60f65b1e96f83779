"""The hubs that the contract is run on. An adapter for another transport joins with one more entry.

An entry opens its hub with the other side of it, and says which parts of the contract it has nothing for yet: a test
that needs such a part is skipped with that reason, and a part that no test needs is an error of the entry.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import orjson

from edgefn.contracts import Hub, HubState
from edgefn.loader import load_app
from tests.hubs.edges import Edge, edge_on
from tests.hubs.sinks import RecordingSink, in_thread, until
from tests.mqtt.cable import Cable
from tests.mqtt.mosquitto import Peer, broker_in, peer_of
from tests.standin.hubs import HubProcess


class Far(Protocol):
    """The other side of a hub, as tests ask it."""

    async def arrived(self) -> list[str]:
        """The bodies of the messages that the hub has taken, in order."""

    async def send(self, *bodies: str, to: str) -> None:
        """Messages for an input of the host."""

    async def away(self) -> None:
        """The hub can not be reached from now on."""

    async def back(self) -> None: ...

    async def keep_silent(self) -> None:
        """The hub takes messages, and acknowledges none, until it was away."""

    async def set_twin(self, desired: Mapping[str, Any]) -> None: ...

    async def invoke(self, method: str, payload: Any) -> tuple[int, Any]:
        """Status and payload that a direct method gave."""


@dataclasses.dataclass(frozen=True)
class Opened:
    """A hub that is started, and online."""

    hub: Hub
    sink: RecordingSink
    far: Any


@dataclasses.dataclass(frozen=True)
class Adapter:
    name: str
    open: Callable[[Path, HubProcess], AbstractAsyncContextManager[Opened]]
    missing: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Parts of the contract that it does not have, each with the reason."""


class LocalFar:
    """The local hub has no other side but its file, a route from an output to an input, and its cable."""

    def __init__(self, hub: Any, state: Path) -> None:
        self._hub = hub
        self._file = state / "upstream.jsonl"

    async def away(self) -> None:
        self._hub.pull()

    async def back(self) -> None:
        self._hub.plug()

    async def set_twin(self, desired: Mapping[str, Any]) -> None:
        await self._hub.set_desired(desired)

    async def invoke(self, method: str, payload: Any) -> tuple[int, Any]:
        reply = await self._hub.invoke(method, payload)
        return reply.status, reply.payload

    async def arrived(self) -> list[str]:
        lines = self._file.read_bytes().splitlines() if self._file.exists() else []
        return [json.dumps(orjson.loads(line)["body"]) for line in lines]

    async def send(self, *bodies: str, to: str) -> None:
        from edgefn.contracts import EdgeMessage

        for body in bodies:
            await self._hub.publish(EdgeMessage(body.encode(), output_name=f"to-{to}"))


@asynccontextmanager
async def open_local(folder: Path, _: HubProcess) -> AsyncIterator[Opened]:
    routes = {
        "up": "FROM /messages/modules/edgefn/outputs/out INTO $upstream",
        "in": 'FROM /messages/modules/edgefn/outputs/to-in INTO BrokeredEndpoint("/modules/edgefn/inputs/in")',
    }
    (folder / "host.json").write_text(json.dumps({"version": "2.0", "extensions": {"edgeHub": {"routes": routes}}}))
    services = load_app(folder, environment={}).services
    sink = RecordingSink()
    await services.hub.start(sink)
    try:
        yield Opened(services.hub, sink, LocalFar(services.hub, services.state))
    finally:
        await services.hub.stop()


class EdgeFar:
    """The stand-in edgeHub, for one module."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self.arrived = edge.arrived
        self.send = edge.send
        self.set_twin = edge.set_twin

    async def away(self) -> None:
        # the process serves other tests too: it is away for this module only, for as long as nobody calls ``back``
        await self._edge.fault("refuse-connect", code=3, seconds=1)
        await self._edge.fault("kill-connections")

    async def back(self) -> None:
        """It is, after a second."""

    async def keep_silent(self) -> None:
        await self._edge.fault("lose-pubacks", seconds=1)

    async def invoke(self, method: str, payload: Any) -> tuple[int, Any]:
        answer = await self._edge.invoke(method, payload)
        return answer.status, answer.payload


@asynccontextmanager
async def open_edge(_: Path, process: HubProcess) -> AsyncIterator[Opened]:
    async with edge_on(process, ack_timeout=3) as edge:
        yield Opened(edge.hub, edge.sink, EdgeFar(edge))


class BrokerFar:
    """Somebody else at the broker, and the cable between that and the host."""

    def __init__(self, peer: Peer, cable: Cable) -> None:
        self._peer = peer
        self._cable = cable
        self.away = cable.pull
        self.back = cable.plug

    async def arrived(self) -> list[str]:
        # a broker acknowledges before it has told all who listen, but tells them in order
        await in_thread(self._peer.publish, "box/outputs/mark", "mark")
        await until(lambda: "mark" in self._peer.bodies)
        self._peer.messages[:] = [message for message in self._peer.messages if message.payload != b"mark"]
        return self._peer.bodies

    async def send(self, *bodies: str, to: str) -> None:
        await in_thread(self._peer.publish, f"box/inputs/{to}", *bodies)

    async def keep_silent(self) -> None:
        self._cable.hush()


@asynccontextmanager
async def open_broker(folder: Path, _: HubProcess) -> AsyncIterator[Opened]:
    with broker_in(folder / "broker", "max_packet_size 262144") as broker, peer_of(broker, "box/outputs/#") as peer:
        cable = Cable(broker.port)
        await cable.plug()
        edge_hub = {"broker": f"mqtt://127.0.0.1:{cable.port}", "topicPrefix": "box"}
        extensions = {"edgeHub": edge_hub, "mqtt": {"ackTimeout": 3}}
        (folder / "host.json").write_text(json.dumps({"version": "2.0", "extensions": extensions}))
        hub = load_app(folder, environment={}).services.hub
        sink = RecordingSink()
        await hub.start(sink)
        try:
            await until(lambda: hub.state is HubState.ONLINE)
            yield Opened(hub, sink, BrokerFar(peer, cable))
        finally:
            await hub.stop()
            await cable.pull()


ADAPTERS = [
    Adapter(
        "local",
        open_local,
        {
            "silence": "it is a part of the process, and always answers",
            "redelivery": "its sender is the function that publishes, and that gets the error",
        },
    ),
    Adapter("iotedge", open_edge),
    Adapter(
        "mqtt",
        open_broker,
        {
            "desired": "a plain broker has no twin",
            "methods": "a plain broker has no direct methods",
        },
    ),
]

LONGEST_STOP = 5.0


async def settled(*waiting: Any) -> list[Any]:
    """What each gave, or its error."""
    return await asyncio.gather(*waiting, return_exceptions=True)
