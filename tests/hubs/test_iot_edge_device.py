"""A device application: it has a connection string of a device, no module and no inputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hubs.edges import Edge, message
from tests.hubs.sinks import in_thread
from tests.standin.hubs import HubProcess


async def test_a_device_publishes_reports_and_answers_methods(
    shared_hub: HubProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = await in_thread(shared_hub.device_env, "thermometer")
    assert Path(settings["SSL_CERT_FILE"]).exists()
    monkeypatch.setenv("SSL_CERT_FILE", settings["SSL_CERT_FILE"])
    edge = Edge(shared_hub, settings)
    await edge.start()
    try:
        await edge.online()
        await edge.hub.publish(message("21", properties={"unit": "C"}))
        await edge.hub.report({"state": "up"})
        assert (await edge.hub.twin()).reported["state"] == "up"
        assert (await edge.invoke("look")).status == 200
        [came] = [m for m in await in_thread(edge.control.upstream) if m.device == "thermometer"]
        assert (came.text, came.module, dict(came.properties)) == ("21", "", {"unit": "C"})
    finally:
        await edge.hub.stop()
