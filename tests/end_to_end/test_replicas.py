"""Replicas as Kubernetes would run them: processes with the environment of the manifest, their states apart."""

from __future__ import annotations

import json
import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from edgefn.deploy.kubernetes import Scale, kubernetes, workload_of
from edgefn.deploy.pod import Room
from edgefn.loader import load_app
from tests.cli.command import app_in, started
from tests.mqtt.mosquitto import broker_in, peer_of, until

SHARED = """
import os, pathlib, time
import edgefn
app = edgefn.FunctionApp()

@app.mqtt_trigger("m", "in/#", share="line")
@app.mqtt_output("$return", "out")
def forward(m: str):
    state = pathlib.Path(os.environ["EDGEFN_STATE"])
    if m == "slow" and not (state / "slow").exists():
        (state / "slow").touch()
        time.sleep(60)
    return {"message": m, "by": state.name, "unit": os.environ["UNIT"]}
"""


def environment_of(app: Path, secrets: dict[str, str]) -> dict[str, str]:
    """The variables of a pod of the manifest, with what the cluster's Secret has."""
    workload = workload_of(load_app(app, environment={}, given=secrets), "line", "line:1")
    items = kubernetes([workload], Scale(), Room()).document["items"]
    spec = next(item["spec"] for item in items if item["kind"] == "StatefulSet")
    assert spec["replicas"] == 2
    (container,) = spec["template"]["spec"]["containers"]
    return {each["name"]: _value(each, secrets) for each in container["env"]}


def _value(variable: dict[str, Any], secrets: dict[str, str]) -> str:
    if "value" in variable:
        return str(variable["value"])
    return secrets[variable["valueFrom"]["secretKeyRef"]["key"]]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a process is killed")
def test_replicas_share_the_messages_and_one_that_is_killed_and_comes_back_has_lost_none(tmp_path: Path) -> None:
    app = app_in(tmp_path / "app", forward=SHARED)
    (app / "local.settings.json").write_text('{"IsEncrypted": false, "Values": {"UNIT": "celsius"}}')
    numbers = [*map(str, range(20)), "slow", *map(str, range(20, 40))]
    later = [*map(str, range(40, 44))]
    sent = [*numbers, *later]
    with broker_in(tmp_path / "broker") as broker, peer_of(broker, "out") as peer, ExitStack() as running:
        variables = environment_of(app, {"MQTT_BROKER": broker.address.replace("//", "//me:0123456789@")})

        (app / "local.settings.json").unlink()  # the image has none

        def replica(number: int) -> Any:
            known = {**variables, "EDGEFN_STATE": str(tmp_path / f"line-{number}")}
            ready = "Connected to mqtt://"
            return running.enter_context(started("start", cwd=app, ready=ready, **known))

        def found() -> list[dict[str, str]]:
            return [json.loads(body) for body in peer.bodies]

        def both_take_part() -> bool:
            peer.publish("in/x", "first")
            sent.append("first")
            return len({each["by"] for each in found()}) == 2

        replicas = [replica(0), replica(1)]
        until(both_take_part)
        peer.publish("in/x", *numbers)
        until(lambda: any((tmp_path / f"line-{number}" / "slow").exists() for number in (0, 1)))
        killed = next(number for number in (0, 1) if (tmp_path / f"line-{number}" / "slow").exists())
        until(lambda: sum(each["by"] == f"line-{1 - killed}" for each in found()) >= 20)
        replicas[killed].process.kill()
        until(lambda: replicas[killed].process.poll() is not None)
        peer.publish("in/x", *later)  # some of it waits at the broker for the one that is away
        replica(killed)
        until(lambda: len(set(peer.ids)) == len(sent))
    once = {each: json.loads(body) for each, body in zip(peer.ids, peer.bodies, strict=True)}.values()
    assert sorted(each["message"] for each in once) == sorted(sent)
    assert {each["unit"] for each in once} == {"celsius"}
    shares = Counter(each["by"] for each in once)
    assert min(shares["line-0"], shares["line-1"]) >= 20
