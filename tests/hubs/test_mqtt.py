"""A plain MQTT broker as the hub: which one, under which topics, and what it does not have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgefn.contracts import EdgeMessage
from edgefn.errors import SettingError
from edgefn.host import Host
from edgefn.hubs.inputs import MOST_WAITING, Inputs
from edgefn.hubs.mqtt import MqttHub
from edgefn.loader import load_app
from edgefn.metrics import Metrics
from edgefn.mqtt.address import Address
from edgefn.mqtt.connection import Came
from edgefn.mqtt.deliveries import Delivery, Receipts
from edgefn.mqtt.faults import Cause, Fault
from edgefn.mqtt.options import MqttOptions
from tests.hubs.sinks import until
from tests.mqtt.mosquitto import Peer, broker_in, peer_of
from tests.ticks import HEAD

CODE = """
@app.edge_hub_trigger("m", "in")
@app.edge_hub_output("$return", "out", properties={"site": "a"})
def f(m: dict):
    return {"seen": m["n"]}
"""


def app_at(folder: Path, address: str, given: Mapping[str, str] | None = None, **edge_hub: str) -> Host:
    (folder / "functions").mkdir(parents=True, exist_ok=True)
    (folder / "functions" / "f.py").write_text(HEAD + CODE)
    extensions = {"edgeHub": {"broker": "%SITE%", **edge_hub}}
    (folder / "host.json").write_text(json.dumps({"version": "2.0", "extensions": extensions}))
    return Host(load_app(folder, environment={}, given={"SITE": address, **(given or {})}))


async def test_inputs_and_outputs_are_topics_under_the_prefix(tmp_path: Path) -> None:
    with broker_in(tmp_path / "broker") as broker, peer_of(broker, "site/box/#") as peer:
        host = app_at(tmp_path, broker.address, topicPrefix="site/box")
        await host.start()
        await until(lambda: host.app.services.hub.state == "online")
        peer.publish("site/box/inputs/in", '{"n": 1}', UserProperty=[("message-id", "m-1")])
        await until(lambda: told(peer, "site/box/outputs/out"))
        await until(lambda: told(peer, "site/box/reported"))
        await host.stop()
    (sent,) = told(peer, "site/box/outputs/out")
    assert sent == '{"seen":1}'
    reported = json.loads(told(peer, "site/box/reported")[-1])
    assert reported["functions"]["f"]["state"] == "running"


async def test_replicas_report_each_under_its_name(tmp_path: Path) -> None:
    with broker_in(tmp_path / "broker") as broker, peer_of(broker, "site/#") as peer:
        hosts = [
            app_at(tmp_path / name, broker.address, given={"EDGEFN_REPLICA": name}, topicPrefix="site")
            for name in ("plant-0", "plant-1")
        ]
        for host in hosts:
            await host.start()
        await until(lambda: all(told(peer, f"site/reported/plant-{number}") for number in (0, 1)))
        for host in hosts:
            await host.stop()
    assert told(peer, "site/reported") == []


def test_a_name_of_a_replica_is_one_level_of_a_topic(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"EDGEFN_REPLICA: 'a/b' is no level of a topic; plant-0 would be right"):
        app_at(tmp_path, "mqtt://site", given={"EDGEFN_REPLICA": "a/b"})


async def test_all_that_a_broker_may_deliver_again_is_known_again(tmp_path: Path) -> None:
    """Unlike edgeHub it has many messages without acknowledgement at a time."""
    with broker_in(tmp_path / "broker") as broker, peer_of(broker, "site/box/outputs/#") as peer:
        host = app_at(tmp_path, broker.address, topicPrefix="site/box")
        await host.start()
        hub = host.app.services.hub
        assert isinstance(hub, MqttHub)
        await until(lambda: hub.state == "online")
        connection = hub._link._connection  # type: ignore[union-attr]
        assert connection is not None
        connection._reception.receipts._send = lambda packet_id: None
        for n in range(20):
            peer.publish("site/box/inputs/in", f'{{"n": {n}}}', UserProperty=[("message-id", f"m-{n}")])
        await until(lambda: len(told(peer, "site/box/outputs/out")) == 20)
        connection.ask_to_leave(Fault(Cause.CLOSED, "as if it were lost"))
        await until(lambda: hub.status()["generation"] == 2)
        peer.publish("site/box/inputs/in", '{"n": 20}', UserProperty=[("message-id", "m-20")])
        await until(lambda: '{"seen":20}' in told(peer, "site/box/outputs/out"))
        await host.stop()
    assert told(peer, "site/box/outputs/out") == [f'{{"seen":{n}}}' for n in range(21)]


async def test_a_flood_of_messages_that_may_be_lost_costs_no_connection(tmp_path: Path) -> None:
    left: list[Fault] = []
    hub = MqttHub(Address("host", 1883), "site/box", MqttOptions(), tmp_path, Metrics())
    hub._inputs = Inputs("mqtt", None)  # type: ignore[arg-type]
    connection: Any = SimpleNamespace(number=1, ask_to_leave=left.append)
    message = EdgeMessage(b"x", topic="site/box/inputs/in", qos=0)
    for number in range(MOST_WAITING + 10):
        delivery = Delivery(message.topic, b"x", number, False, Receipts(lambda _: None))
        hub.on_message(connection, Came(message, (), delivery, False))
    assert left == []
    assert hub._dropped.labels("mqtt://host:1883", "full")._value.get() == 10


def told(peer: Peer, topic: str) -> list[str]:
    return [message.payload.decode() for message in list(peer.messages) if message.topic == topic]


def test_the_broker_comes_before_the_environment_of_iot_edge_and_the_module_names_the_topics(tmp_path: Path) -> None:
    hub = app_at(tmp_path, "mqtt://user:secret@site", moduleId="line7").app.services.hub
    assert isinstance(hub, MqttHub)
    status = dict(hub.status())
    assert (status["name"], status["broker"], status["prefix"]) == ("mqtt", "mqtt://user@site:1883", "line7")


@pytest.mark.parametrize(
    ("address", "prefix", "said"),
    [
        ("http://site", "a", "extensions.edgeHub.broker: a broker: the address begins with neither mqtt:// nor"),
        ("mqtt://site", "a/#", "extensions.edgeHub.topicPrefix 'a/#' holds + or #"),
        ("mqtt://site", "a/", "extensions.edgeHub.topicPrefix 'a/' ends with /; site/box-7 would be right"),
    ],
)
def test_what_can_not_be_a_hub_is_said_with_its_place(tmp_path: Path, address: str, prefix: str, said: str) -> None:
    with pytest.raises(SettingError) as raised:
        app_at(tmp_path, address, topicPrefix=prefix)
    assert str(raised.value).startswith(f"{tmp_path / 'host.json'}:1: ")
    assert said in str(raised.value)
