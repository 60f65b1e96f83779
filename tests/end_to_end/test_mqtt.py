"""A host as a process between a broker's topics, killed in the middle of its work."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.cli.command import app_in, started
from tests.mqtt.mosquitto import broker_in, peer_of, until

FORWARD = """
import pathlib, time
import edgefn
app = edgefn.FunctionApp()

@app.mqtt_trigger("m", "in/#")
@app.mqtt_output("$return", "out/{topic}")
def forward(m: str):
    if m == "slow" and not pathlib.Path("slow").exists():
        pathlib.Path("slow").touch()
        time.sleep(60)
    return m
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a process is killed")
def test_a_host_that_is_killed_with_a_slow_function_forwards_each_message_once_for_its_id(tmp_path: Path) -> None:
    app = app_in(tmp_path / "app", forward=FORWARD)
    names = [f"{number}" for number in range(30)]
    sent = [*names[:10], "slow", *names[10:]]
    with broker_in(tmp_path / "broker") as broker, peer_of(broker, "out/#") as peer:
        there = ("--set", f"MQTT_BROKER={broker.address}")
        with started("start", *there, cwd=app, ready="Connected to mqtt://") as host:
            peer.publish("in/x", *sent)
            until((app / "slow").exists)
            until(lambda: len(peer.bodies) == 10)
            host.process.kill()
        with started("start", *there, cwd=app):
            until(lambda: set(peer.bodies) == set(sent))
        assert peer.once() == sent
        assert {message.topic for message in peer.messages} == {"out/in/x"}
