"""S2 as two modules on a hub, by the manifest that their code gives: the detector is killed under load."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgefn.cli.new import New, run_new
from tests import forks
from tests.faults.box import HostProcess
from tests.standin.hubs import HubProcess, wait_until
from tests.templates import empty_app

SETTINGS = {"SCORING_KIND": "custom-vision", "IMAGE_PROCESSING_ENDPOINT": "http://detector:8080/image"}
SETTINGS |= {
    "MAX_FPS": "15",
    "SEND_ABOVE": "0",
    "THRESHOLD": "0",
    "VIDEO_PATH": "synthetic:?width=160&height=90&fps=15",
}
PORTS = {"camera": 8081, "detector": 8080}


def made(folder: Path) -> dict[str, Any]:
    """Two apps of templates, and the deployment manifest of them."""
    camera, detector = empty_app(folder / "camera"), empty_app(folder / "detector")
    assert run_new(New("capture", "capture", root=camera)) == 0
    assert run_new(New("custom-vision-http", "image", root=detector)) == 0
    assert run_new(New("highest-tag", "act", ("--from-module", "camera"), detector)) == 0
    host = json.loads((detector / "host.json").read_text())
    host["extensions"]["http"] = {"routePrefix": ""}
    (detector / "host.json").write_text(json.dumps(host))
    given = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "edgefn", "manifest", "make", *PORTS, *given, "--image", "site/{module}:1.0"]
    ended = forks.run(command, cwd=folder, check=True)
    (folder / "deployment.json").write_text(ended.stdout)
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


@contextmanager
def site(folder: Path) -> Iterator[tuple[HubProcess, HostProcess, HostProcess]]:
    """The hub with that manifest, and its two modules with the environment that it gives them."""
    modules = made(folder)["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]
    hub = HubProcess(folder / "hub", "-d", str(folder / "deployment.json"))
    hosts = []
    try:
        hub.start()
        for name, port in PORTS.items():
            files = {"host.json": (folder / name / "host.json").read_text()}
            host = HostProcess(folder / name, hub, files, name, port)
            host.variables |= {variable: each["value"] for variable, each in modules[name]["env"].items()}
            host.variables["IMAGE_PROCESSING_ENDPOINT"] = f"http://{hub.address}:{PORTS['detector']}/image"
            hosts.append(host)
        camera, detector = hosts
        detector.start()
        camera.start()
        yield hub, camera, detector
    finally:
        for host in hosts:
            host.close()
        hub.close()


def frames_of(hub: HubProcess, module: str) -> list[int]:
    """The frames that the messages of a module are about, as they first came to the cloud."""
    bodies = {each.id: each.json() for each in hub.control.upstream() if each.module == module}
    return [body["frame_id"] for body in bodies.values()]


def test_the_detector_is_killed_under_load_and_nothing_that_was_accepted_is_lost(tmp_path: Path) -> None:
    with site(tmp_path) as (hub, camera, detector):
        wait_until(lambda: len(frames_of(hub, "detector")) > 10)
        detector.kill()
        read, tried = camera.metric("edgefn_video_frames_total"), camera.metric("edgefn_invocations_total")
        wait_until(lambda: camera.metric("edgefn_video_frames_total") > read + 15)
        assert camera.metric("edgefn_invocations_total") > tried
        sent = len(frames_of(hub, "camera"))
        detector.start()
        wait_until(lambda: len(frames_of(hub, "camera")) > sent + 10)
        assert camera.stop()[0] == 0
        accepted = frames_of(hub, "camera")
        wait_until(lambda: len(frames_of(hub, "detector")) == len(accepted))
        assert frames_of(hub, "detector") == accepted == sorted(set(accepted))
        assert detector.dead_letters() == []
