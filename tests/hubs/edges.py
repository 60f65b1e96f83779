"""A host on an edge device, as tests see it: its hub adapter, its sink, and the stand-in edgeHub that it talks to."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from edgefn.contracts import EdgeMessage, HubState
from edgefn.hubs.iot_edge.hub import IotEdgeHub
from edgefn.hubs.iot_edge.identity import find_identity
from edgefn.hubs.options import EdgeHubOptions
from edgefn.metrics import Metrics
from edgefn.settings import Settings
from tests.hubs.sinks import RecordingSink, in_thread, until
from tests.standin.hubs import HubProcess

_NUMBERS = itertools.count(1)


class Edge:
    """A host on an edge device: its hub adapter, its sink, and the edgeHub that it talks to."""

    def __init__(self, process: HubProcess, environment: dict[str, str], **options: Any) -> None:
        identity = find_identity(Settings(environment))
        assert identity is not None
        self.process = process
        self.control = process.control
        self.module = identity.module or identity.device
        self.metrics = Metrics()
        self.hub = IotEdgeHub(identity, EdgeHubOptions(**options), self.metrics)
        self.sink = RecordingSink()

    async def start(self) -> None:
        await self.hub.start(self.sink)

    async def online(self, *, generation: int = 1, within: float = 15.0) -> None:
        """Returns when the hub is connected for at least so many times."""
        await until(lambda: self.is_online(generation), within=within)

    def is_online(self, generation: int = 1) -> bool:
        return self.hub.state is HubState.ONLINE and self.generation >= generation

    @property
    def generation(self) -> int:
        return int(self.hub.status()["generation"])

    @property
    def lost(self) -> str:
        return str(self.hub.status()["lost"])

    @property
    def lost_by(self) -> dict[str, int]:
        return dict(self.hub.status()["reconnects"])

    async def fault(self, name: str, **options: Any) -> None:
        """A fault of the hub that hits this module only."""
        await in_thread(self.control.fault, name, module=self.module, **options)

    async def send(self, *bodies: str, to: str = "in") -> None:
        await in_thread(self.control.send, self.module, to, *bodies)

    async def arrived(self) -> list[str]:
        """The bodies that the hub has stored of this module, in order."""
        found = await in_thread(self.control.upstream)
        return [message.text for message in found if message.module == self.module]

    def stored(self) -> int:
        """How many messages of this module the hub has stored."""
        [[count]] = self.process.sql("SELECT count(*) FROM upstream WHERE module = ?", self.module)
        return int(count)

    def waiting(self) -> int:
        """How many messages for this module the hub still has."""
        [[count]] = self.process.sql("SELECT count(*) FROM queued WHERE module = ?", self.module)
        return int(count)

    async def invoke(self, method: str, payload: Any = None, **timeouts: float) -> Any:
        return await in_thread(self.control.invoke, self.module, method, payload, **timeouts)

    async def set_twin(self, desired: dict[str, Any]) -> None:
        await in_thread(self.control.set_twin, self.module, desired)


def message(body: str = "{}", **more: Any) -> EdgeMessage:
    return EdgeMessage(body.encode(), **{"output_name": "out", **more})


@asynccontextmanager
async def edge_on(process: HubProcess, *, online: bool = True, module: str = "", **options: Any) -> AsyncIterator[Edge]:
    """A module of its own, with quick options, connected, and stopped in the end."""
    environment = await in_thread(process.env, module or f"m{next(_NUMBERS)}")
    edge = Edge(process, environment, **{"keep_alive": 20, "connect_timeout": 5, **options})
    await edge.start()
    try:
        if online:
            await edge.online()
        yield edge
    finally:
        await edge.hub.stop()
