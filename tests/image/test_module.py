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
from typer.testing import CliRunner

from edgefn.cli.commands import commands
from tests.image.containers import ROOT, Container, Image, running
from tests.standin.hubs import HubProcess, running_hub, wait_until

MODULE = "edgefn"
"""The name that the manifest gives the module of this app."""
STOPS_WITHIN = 8.0
"""Engines wait ten seconds before they kill."""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The deployment that is made of this app."""
    file = tmp_path_factory.mktemp("manifest") / "deployment.json"
    ended = CliRunner().invoke(commands, ["manifest", "make", str(ROOT), "-o", str(file)])
    assert ended.exit_code == 0, ended.output
    return file


def module_in(manifest: Path) -> dict[str, Any]:
    agent = json.loads(manifest.read_text())["modulesContent"]["$edgeAgent"]["properties.desired"]
    return dict(agent["modules"][MODULE])


@pytest.fixture
def hub(tmp_path: Path, manifest: Path) -> Iterator[HubProcess]:
    with running_hub(tmp_path, "-d", str(manifest)) as found:
        yield found


class Module(Container):
    """The image as the manifest starts it, with what the runtime of IoT Edge adds."""

    def __init__(self, built: Image, hub: HubProcess, manifest: Path, state: Path) -> None:
        declared = {name: entry["value"] for name, entry in module_in(manifest)["env"].items()}
        added = hub.env(MODULE)
        self.hub = hub
        self.url = f"http://{hub.address}:8080"
        workload = Path(added["IOTEDGE_WORKLOADURI"].removeprefix("unix://"))
        super().__init__(built, state, {**declared, **added, "ASPNETCORE_URLS": self.url}, [workload.parent])

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
                assert not self.has_ended(), self.log
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
    built: Image, hub: HubProcess, manifest: Path, tmp_path: Path
) -> None:
    with running(Module(built, hub, manifest, tmp_path / "state")) as module:
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


def test_a_container_that_is_told_to_stop_while_it_begins_stops(
    built: Image, hub: HubProcess, manifest: Path, tmp_path: Path
) -> None:
    with running(Module(built, hub, manifest, tmp_path / "state")) as module:
        wait_until(module.terminate)  # as long as the shell that enters the container is there, it hears nothing
        assert module.wait() == 0
    assert "Worker process started" not in module.log


def test_the_manifest_asks_for_the_root_and_the_volume_that_the_image_is_made_for(built: Image, manifest: Path) -> None:
    options = json.loads(module_in(manifest)["settings"]["createOptions"])["HostConfig"]
    assert options["ReadonlyRootfs"] is True
    assert [bind.split(":")[1] for bind in options["Binds"]] == list(built.document["Volumes"])  # type: ignore[call-overload]
