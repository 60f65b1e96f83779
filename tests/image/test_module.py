"""The image of a clean checkout is a module: as it is on a box, but for the engine.

``Done when`` of the image: its normal user, a read-only root but for the state folder, the environment of a module.
"""

from __future__ import annotations

import json
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.image.containers import Container, Image, running
from tests.standin.hubs import HubProcess, running_hub, wait_until

MODULE = "street"
STOPS_WITHIN = 8.0
"""Engines wait ten seconds before they kill."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    with running_hub(tmp_path) as found:
        yield found


class Module(Container):
    """The image as a module of the hub."""

    def __init__(self, built: Image, hub: HubProcess, state: Path) -> None:
        variables = hub.env(MODULE)
        self.hub = hub
        self.url = f"http://{hub.address}:8080"
        workload = Path(variables["IOTEDGE_WORKLOADURI"].removeprefix("unix://"))
        super().__init__(built, state, {**variables, "ASPNETCORE_URLS": self.url}, [workload.parent])

    def start(self) -> None:
        for path in self.binds:
            path.chmod(0o755)
            for socket in path.glob("*.sock"):
                socket.chmod(0o666)  # as those of IoT Edge are
        super().start()

    def ready(self) -> dict[str, Any]:
        """What ``/health/ready`` says once the host runs and is connected."""

        def answer() -> Any:
            try:
                with urllib.request.urlopen(f"{self.url}/health/ready", timeout=10) as reply:
                    found = json.load(reply)
                    return found if found["hub"] == "online" else None
            except (OSError, urllib.error.HTTPError):
                assert not self._has_ended(), self.log
                return None

        return dict(wait_until(answer))

    def waiting(self) -> list[tuple[str, str]]:
        """Output and capture time of what waits on disk."""
        with closing(sqlite3.connect(f"file:{self.state / 'spool.db'}?mode=ro", uri=True)) as store:
            rows = store.execute("SELECT output, body FROM outbox ORDER BY id").fetchall()
        return [(output, json.loads(body)["timestamp"]) for output, body in rows if b'"timestamp"' in bytes(body)]

    def arrived(self) -> list[tuple[str, str]]:
        """The same of what has gone upstream."""
        messages = self.hub.control.upstream()
        return [(m.output, m.json()["timestamp"]) for m in messages if '"timestamp"' in m.text]


def test_a_container_is_a_module_that_survives_a_kill_and_stops_when_told(
    built: Image, hub: HubProcess, tmp_path: Path
) -> None:
    with running(Module(built, hub, tmp_path / "state")) as module:
        assert module.ready() == {"status": "running", "hub": "online"}
        detections = [message for message in hub.control.wait_for_upstream(4) if message.output == "detections"]
        assert detections[0].json()["objects"], "the sample sees its street"
        assert module.run("edgefn", "health").stdout == "running, hub online\n"

        hub.kill()
        wait_until(lambda: len(module.waiting()) >= 3)
        module.kill()
        waiting = module.waiting()
        hub.start()
        module.start()
        module.ready()
        wait_until(lambda: set(waiting) <= set(module.arrived()))
        ids = [message.id for message in hub.control.upstream()]
        assert len(set(ids)) == len(ids)

        assert module.stop(within=STOPS_WITHIN) == 0
    assert "SIGTERM: draining" in module.log
    assert "Traceback" not in module.log
