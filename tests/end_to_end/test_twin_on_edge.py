"""A whole host as a module of the stand-in edgeHub: twin and direct methods over MQTT, also while things go wrong."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edgefn.host import Host
from edgefn.loader import load_app
from tests.standin.hubs import HubProcess, running_hub
from tests.steered import HEAD, until

HOST = json.dumps(
    {
        "version": "2.0",
        "extensions": {"twin": {"reportInterval": 0.05}, "edgeHub": {"twinTimeout": 1, "connectTimeout": 5}},
    }
)
CODE = """
@app.direct_method_trigger("payload", "read")
@app.setting("limit", "LIMIT", default=0.5)
async def read(payload, limit: float):
    await asyncio.sleep(payload or 0)
    return limit

@app.edge_hub_trigger("message", "in")
@app.edge_hub_output("out", "telemetry", interval=1)
async def send(message, out):
    out.set(message)
"""
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def edge_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with running_hub(tmp_path_factory.mktemp("edge")) as process:
        yield process


class Module:
    """A host, and its module in the cloud."""

    def __init__(self, host: Host, process: HubProcess, name: str) -> None:
        self.host = host
        self.process = process
        self.name = name

    async def desire(self, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Changes desired properties; what is reported of them."""
        twin = await asyncio.to_thread(self.process.control.set_twin, self.name, patch)
        return await self.answer(int(twin["desired"]["$version"]))

    async def answer(self, version: int) -> dict[str, Any]:
        return await self.reports(lambda told: told.get("desired", {}).get("version") == version and told["desired"])

    async def reports(self, holds: Callable[[dict[str, Any]], Any]) -> Any:
        """What is made of the reported properties, as soon as it is something."""
        async with asyncio.timeout(20):
            while True:
                twin = await asyncio.to_thread(self.process.control.twin, self.name)
                if found := holds(twin["reported"]):
                    return found
                await asyncio.sleep(0.01)

    async def call(self, name: str, payload: Any = None) -> tuple[int, Any]:
        reply = await asyncio.to_thread(self.process.control.invoke, self.name, name, payload)
        return reply.status, reply.payload

    async def fault(self, name: str, **options: Any) -> None:
        await asyncio.to_thread(self.process.control.fault, name, module=self.name, **options)

    @property
    def generation(self) -> int:
        return int(self.host.app.services.hub.status()["generation"])


@asynccontextmanager
async def module_on(process: HubProcess, folder: Path) -> AsyncIterator[Module]:
    """A host that is connected as a module of its own."""
    name = f"twin{next(NUMBERS)}"
    (folder / "functions").mkdir(exist_ok=True)
    (folder / "host.json").write_text(HOST)
    (folder / "functions" / "f.py").write_text(HEAD + CODE)
    environment = await asyncio.to_thread(process.env, name)
    host = Host(load_app(folder, environment=environment))
    await host.start()
    try:
        await until(lambda: host.app.services.hub.status()["state"] == "online", 20)
        yield Module(host, process, name)
    finally:
        await host.stop()


async def test_desired_properties_act_and_are_answered(edge_hub: HubProcess, tmp_path: Path) -> None:
    async with module_on(edge_hub, tmp_path) as module:
        assert await module.call("read") == (200, 0.5)
        answer = await module.desire({"settings": {"LIMIT": 0.75}, "functions": {"send": {"out": {"interval": 5}}}})
        assert answer["status"] == "applied"
        assert answer["inForce"]["functions"] == {"send": {"out": {"interval": 5}}}
        assert await module.call("read") == (200, 0.75)
        refused = await module.desire({"settings": {"LIMIT": "much"}})
        assert (refused["status"], refused["inForce"]) == ("refused", answer["inForce"])
        assert await module.call("read") == (200, 0.75)


async def test_direct_methods_of_functions_and_of_the_host_are_answered(edge_hub: HubProcess, tmp_path: Path) -> None:
    async with module_on(edge_hub, tmp_path) as module:
        assert (await module.call("ping"))[1]["status"] == "alive"
        done = {"Response": "Executed direct method SetTelemetryInterval"}
        assert await module.call("SetTelemetryInterval", 5) == (200, done)
        assert await module.call("SetTelemetryInterval", "abc") == (400, {"Response": "Invalid parameter"})
        assert await module.call("nothing") == (404, {"Response": "Direct method not defined: nothing"})
        slow = asyncio.create_task(module.call("read", 1))
        assert await module.call("read") == (200, 0.5)
        assert not slow.done()
        assert await slow == (200, 0.5)


async def test_a_request_that_comes_twice_is_run_once(edge_hub: HubProcess, tmp_path: Path) -> None:
    async with module_on(edge_hub, tmp_path) as module:
        await module.fault("double-methods", count=1)
        assert await module.call("read", 0.2) == (200, 0.5)
        assert module.host.status()["functions"]["read"]["invocations"] == 1


async def test_lost_answers_of_the_twin_are_asked_for_again(edge_hub: HubProcess, tmp_path: Path) -> None:
    async with module_on(edge_hub, tmp_path) as module:
        await module.answer(1)
        generation = module.generation
        await module.fault("lose-twin-answers", seconds=2)
        await module.fault("kill-connections")
        await until(lambda: module.generation > generation, 20)
        assert await module.call("read") == (200, 0.5)
        assert (await module.desire({"settings": {"LIMIT": 0.25}}))["status"] == "applied"
        assert await module.call("read") == (200, 0.25)


async def test_what_was_desired_while_the_connection_was_gone_is_read_from_the_twin(
    edge_hub: HubProcess, tmp_path: Path
) -> None:
    async with module_on(edge_hub, tmp_path) as module:
        await module.answer(1)
        await module.fault("refuse-connect", code=3, seconds=2)
        await module.fault("kill-connections")
        await until(lambda: module.host.app.services.hub.status()["state"] != "online", 20)
        for limit in (0.1, 0.2, 0.3):
            await asyncio.to_thread(edge_hub.control.set_twin, module.name, {"settings": {"LIMIT": limit}})
        assert (await module.answer(4))["inForce"] == {"settings": {"LIMIT": 0.3}}
        assert await module.call("read") == (200, 0.3)


async def test_secrets_that_the_twin_brings_are_told_to_nobody(
    edge_hub: HubProcess, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    planted = "Pl4nted-in-the-twin"
    async with module_on(edge_hub, tmp_path) as module:
        bad = {"settings": {"CAMERA_PASSWORD": planted, "LIMIT": planted}}
        answer = await module.desire(bad)
        assert "found '***'" in answer["reason"]
        logs = (await module.call("getLogs"))[1]
        status = (await module.call("status"))[1]
        for told in (answer, logs, status, module.host.status()):
            assert planted not in json.dumps(told, default=str)
        assert "are refused" in json.dumps(logs)
