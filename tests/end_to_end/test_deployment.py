"""From the code of two apps to messages between their modules: by the manifest alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgefn.cli.manifest import Make, run_manifest
from tests.deploy.apps import agent, app_in
from tests.deploy.test_manifest import GOLDEN
from tests.faults.box import HostProcess
from tests.standin.hubs import HubProcess, wait_until

CAMERA = """
@app.video_frame_trigger("frame", "%INPUT%", real_time=True, policy="every")
@app.edge_hub_output("$return", "frames")
def see(frame):
    return {"n": frame.id}
"""
COUNTER = """
@app.edge_hub_trigger("m", "frames")
@app.edge_hub_output("$return", "odd")
def count(m: dict):
    return {"n": m["n"]} if m["n"] % 2 else None
"""
CLIP = "synthetic:?width=64&height=48&fps=100&frames=100"


def test_two_apps_become_two_modules_whose_messages_flow_by_the_routes_of_their_manifest(tmp_path: Path) -> None:
    camera = app_in(tmp_path / "camera", CAMERA, {"INPUT": CLIP})
    counter = app_in(tmp_path / "counter", COUNTER)
    file = tmp_path / "deployment.json"
    assert run_manifest(Make((str(camera), f"sums={counter}"), output=file)) == 0
    modules = agent(json.loads(file.read_text()))
    assert {name: module["startupOrder"] for name, module in modules.items()} == {"sums": 1, "camera": 2}
    hub = HubProcess(tmp_path / "hub", "-d", str(file))
    hosts = []
    try:
        hub.start()
        for number, (name, folder) in enumerate({"sums": counter, "camera": camera}.items()):
            (folder / "local.settings.json").unlink()  # it stays on the laptop
            host = HostProcess(folder, hub, {}, name, port=8080 + number)
            host.variables |= {key: each["value"] for key, each in modules[name].get("env", {}).items()}
            hosts.append(host)
            host.start()
        came = hub.control.wait_for_upstream(150, within=60)
        waiting = wait_until(lambda: hub.control.twin("sums")["reported"].get("desired"))
    finally:
        for host in hosts:
            host.close()
        hub.close()
    numbers = {name: [m.json()["n"] for m in came if m.module == name] for name in modules}
    assert numbers == {"camera": list(range(100)), "sums": list(range(1, 100, 2))}
    assert waiting["status"] == "applied"


@pytest.mark.parametrize("name", ["sample", "site"])
def test_a_hub_starts_with_the_manifest_of_an_app_and_its_twin_has_the_desired_properties(
    tmp_path: Path, name: str
) -> None:
    file = GOLDEN / f"{name}-whole.json"
    hub = HubProcess(tmp_path / "hub", "-d", str(file))
    try:
        hub.start()
        desired = hub.control.twin("edgefn")["desired"]
        log = hub.log
    finally:
        hub.close()
    content = json.loads(file.read_text())["modulesContent"]
    assert desired.items() >= content["edgefn"]["properties.desired"].items()
    assert "warning" not in log.lower()
