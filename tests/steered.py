"""A host beside the hub inside its process, steered as IoT Hub would: twin, direct methods, the cable."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from edgefn.contracts import MethodReply
from edgefn.host import Host
from edgefn.hubs.local import LocalHub
from edgefn.loader import App

HEAD = "import asyncio, enum, time\nfrom typing import Literal\nimport edgefn\napp = edgefn.FunctionApp()\n"
QUICK = json.dumps({"version": "2.0", "extensions": {"twin": {"reportInterval": 0.01}}})
"""A host.json with which tests need not wait for reports."""


@dataclass(slots=True)
class Steered:
    """A host that runs, and the far side of its hub."""

    host: Host
    hub: LocalHub

    async def desire(self, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Changes desired properties; what the host answers in the reported ones."""
        version = await self.hub.set_desired(patch)
        return await self.answer(version)

    async def answer(self, version: int) -> dict[str, Any]:
        """What is reported of the desired properties, as soon as that is about a version."""
        await until(lambda: self.reported.get("desired", {}).get("version") == version)
        answer: dict[str, Any] = self.reported["desired"]
        return answer

    async def call(self, name: str, payload: Any = None) -> tuple[int, Any]:
        """Calls a direct method; status and payload of the answer."""
        reply: MethodReply = await self.hub.invoke(name, payload)
        return reply.status, reply.payload

    @property
    def reported(self) -> Mapping[str, Any]:
        return self.hub.properties.reported

    def module(self, name: str = "f") -> ModuleType:
        """The module of the app ``functions/<name>.py``."""
        module: ModuleType = self.host.app.manager.get_plugin(f"functions.{name}")
        return module

    def function(self, name: str) -> dict[str, Any]:
        """What the status says of a function."""
        status: dict[str, Any] = self.host.status()["functions"][name]
        return status


@asynccontextmanager
async def steered(app: App, *, cable: bool = True, grace: float = 5.0) -> AsyncIterator[Steered]:
    """Runs an app, with its cable plugged in, or not."""
    hub = app.services.hub
    assert isinstance(hub, LocalHub)
    if not cable:
        hub.pull()
    host = Host(app, grace=grace)
    await host.start()
    try:
        await until(lambda: all(running.state != "starting" for running in host.running))
        yield Steered(host, hub)
    finally:
        await host.stop()


async def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    """Returns when it holds; fails after so many seconds."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  it watches what the loop does
            await asyncio.sleep(0.005)
