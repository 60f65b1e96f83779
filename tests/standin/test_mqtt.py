"""MQTT as edgeHub speaks it, seen by a plain client: sessions, acknowledgements, sizes, and who may come in."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from edgefn.standin.packets import publish
from tests.standin.hubs import HubProcess, running_hub, wait_until
from tests.standin.mqtt import Module, connect_packet, module, token, trusting

TWIN_ANSWERS, TWIN_GET = "$iothub/twin/res/#", "$iothub/twin/GET/?$rid=7"


def texts(hub: HubProcess, name: str) -> list[str]:
    return [found.text for found in hub.control.upstream() if found.module == name]


# --- messages out ----------------------------------------------------------------------------------------------------


def test_a_message_is_acknowledged_when_it_is_in_the_store(hub: HubProcess) -> None:
    with module(hub, "stored") as client:
        client.publish("out", "hello", "%24.mid=m1&kind=alert")
        rows = hub.sql("SELECT output, message_id, properties, body FROM upstream WHERE module = 'stored'")
    assert rows == [("out", "m1", '{"kind":"alert"}', b"hello")]


def test_messages_sent_without_waiting_arrive_in_order_and_all_are_acknowledged(hub: HubProcess) -> None:
    with module(hub, "window") as client:
        numbers = [client.send("out", str(number)) for number in range(300)]
        wait_until(lambda: len(client.acks) == len(numbers))
        assert client.acks == numbers
    assert texts(hub, "window") == [str(number) for number in range(300)]


def test_a_message_of_qos_0_arrives_too(hub: HubProcess) -> None:
    with module(hub, "qos0") as client:
        client.publish("out", "hello", qos=0)
        wait_until(lambda: texts(hub, "qos0") == ["hello"])


def test_qos_2_ends_the_connection(hub: HubProcess) -> None:
    with module(hub, "qos2") as client:
        client._client.publish(f"{client.base}/messages/events/", "x", qos=2)
        client.wait_until_lost()
    assert texts(hub, "qos2") == []


def test_a_topic_that_edgehub_does_not_know_is_acknowledged_and_dropped(hub: HubProcess) -> None:
    before = hub.counter("dropped.unreadable")
    with module(hub, "lost") as client:
        client.publish_on("devices/edge/modules/other/messages/events/", "not mine")
        client.publish_on("anything", "x")
        client.publish("out", "x", "%FF=1")
    assert hub.counter("dropped.unreadable") == before + 3
    assert texts(hub, "lost") == texts(hub, "other") == []


# --- sizes -----------------------------------------------------------------------------------------------------------


def test_the_largest_message_is_taken_and_a_larger_one_acknowledged_and_dropped(hub: HubProcess) -> None:
    """edgeHub counts body, properties and what it adds itself; these bodies fit into a packet either way."""
    with module(hub, "large") as client:
        topic = f"{client.base}/messages/events/"
        own = len("edgeMessageIdedgeHubOriginInterfaceinternalenqueuedTime") + 36 + 28
        own += len("connectionDeviceIdedgeconnectionModuleIdlarge")
        fits = 262_144 - own
        client.publish_on(topic, b"x" * fits)
        client.publish_on(topic, b"x" * (fits + 1))
        client.publish("out", "after")
    sizes = hub.sql("SELECT size FROM upstream WHERE module = 'large' ORDER BY number")
    assert sizes[0] == (262_144,)
    assert texts(hub, "large")[1:] == ["after"]
    hub.wait_for_line("/messages/modules/large: a message is dropped: 262145 bytes, edgeHub takes at most 262144")
    assert hub.counter("dropped.too_large") == 1


def test_a_packet_above_the_limit_ends_the_connection(hub: HubProcess) -> None:
    with module(hub, "packet") as client:
        topic = f"{client.base}/messages/events/"
        client.publish_on(topic, b"x" * (262_144 - 4 - len(topic)))  # dropped, and yet acknowledged
        client._client.publish(topic, b"x" * (262_144 - 3 - len(topic)), qos=1)
        client.wait_until_lost()
    hub.wait_for_line("a packet of 262145 bytes; edgeHub takes at most 262144")


# --- inputs ----------------------------------------------------------------------------------------------------------


def test_one_message_is_on_the_way_at_a_time_over_all_inputs(hub: HubProcess) -> None:
    hub.control.send("one", "a", "1")
    hub.control.send("one", "b", "2")
    with module(hub, "one", manual_ack=True) as client:
        client.subscribe()
        first = client.next()
        assert (first.topic.split("/")[5], first.payload) == ("a", b"1")
        client.publish("out", "the hub has done its work")
        assert client.came.empty()
        client.ack(first)
        second = client.next()
        assert (second.topic.split("/")[5], second.payload) == ("b", b"2")
        client.ack(second)
        wait_until(lambda: hub.client("one")["queued"] == 0)


def test_a_message_that_is_not_acknowledged_comes_again_after_the_time_out(tmp_path: Path) -> None:
    with running_hub(tmp_path, "--ack-timeout", "0.3") as hub:
        hub.control.send("cam", "in", "1")
        with module(hub, "cam", manual_ack=True) as client:
            client.subscribe()
            first, again = client.next(), client.next()
            assert (first.payload, first.dup) == (b"1", False)
            assert (again.payload, again.dup) == (b"1", True)
            client.ack(again)
            wait_until(lambda: hub.counter("delivered") == 1)
            assert hub.counter("redelivered") >= 1


def test_a_message_that_is_not_acknowledged_comes_again_on_the_next_connection(hub: HubProcess) -> None:
    hub.control.send("again", "in", "1")
    with module(hub, "again", manual_ack=True) as client:
        client.subscribe()
        assert not client.next().dup
        client.vanish()
    with module(hub, "again") as client:
        assert client.session_present
        again = client.next()
        assert (again.payload, again.dup) == (b"1", True)


def test_nothing_comes_to_who_has_not_subscribed(hub: HubProcess) -> None:
    hub.control.send("deaf", "in", "1")
    with module(hub, "deaf") as client:
        client.publish("out", "x")
        assert client.came.empty()
        client.subscribe()
        assert client.next().payload == b"1"


# --- sessions --------------------------------------------------------------------------------------------------------


def test_a_session_is_present_from_the_second_connection_on_and_keeps_subscriptions(hub: HubProcess) -> None:
    with module(hub, "session") as client:
        assert client.session_present is False
        client.subscribe()
    hub.control.send("session", "in", "1")
    with module(hub, "session") as client:
        assert client.session_present is True
        assert client.next().payload == b"1"


def test_a_clean_session_forgets(hub: HubProcess) -> None:
    with module(hub, "clean") as client:
        client.subscribe()
    with module(hub, "clean", clean=True) as client:
        assert client.session_present is False
        assert hub.client("clean")["subscriptions"] == []
        client.subscribe()
    with module(hub, "clean") as client:
        assert client.session_present is False


def test_a_session_survives_a_sigkill_of_the_hub(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        first = Module(hub, "cam")
        first.connect()
        first.subscribe()
        hub.restart()
        first.leave()
        hub.control.send("cam", "in", "1")
        with module(hub, "cam") as client:
            assert client.session_present is True
            assert client.next().payload == b"1"


def test_unsubscribing_ends_the_messages(hub: HubProcess) -> None:
    with module(hub, "unsubscribed") as client:
        client.subscribe()
        client._client.unsubscribe(f"{client.base}/inputs/#")
        wait_until(lambda: hub.client("unsubscribed")["subscriptions"] == [])
        hub.control.send("unsubscribed", "in", "1")
        client.publish("out", "x")
        assert client.came.empty()


def test_a_subscription_on_which_edgehub_sends_nothing_is_granted_with_a_warning(hub: HubProcess) -> None:
    with module(hub, "curious") as client:
        client.subscribe("devices/#")
    hub.wait_for_line("edge/curious subscribes to 'devices/#', on which edgeHub sends nothing")


def test_a_second_connection_takes_over(hub: HubProcess) -> None:
    with module(hub, "twice") as first, module(hub, "twice") as second:
        first.wait_until_lost()
        second.publish("out", "second")
        assert hub.client("twice")["connected"]
    assert hub.counter("taken_over") == 1


# --- twins -----------------------------------------------------------------------------------------------------------


def test_the_answer_for_a_twin_carries_its_request_id_and_goes_to_who_asked(hub: HubProcess) -> None:
    with module(hub, "asks") as client, module(hub, "hears") as other:
        client.subscribe(TWIN_ANSWERS)
        other.subscribe(TWIN_ANSWERS)
        client.publish_on(TWIN_GET, "")
        answer = client.next()
        assert answer.topic == "$iothub/twin/res/200/?$rid=7"
        assert json.loads(answer.payload) == {"desired": {"$version": 1}, "reported": {"$version": 1}}
        other.publish("out", "x")
        assert other.came.empty()


def test_a_patch_of_reported_properties_is_answered_with_the_new_version(hub: HubProcess) -> None:
    with module(hub, "patches") as client:
        client.subscribe(TWIN_ANSWERS)
        client.publish_on("$iothub/twin/PATCH/properties/reported/?$rid=a", '{"x": 1}')
        assert client.next().topic == "$iothub/twin/res/204/?$rid=a&$version=2"
        client.publish_on("$iothub/twin/PATCH/properties/reported/?$rid=b", '{"$x": 1}')
        refused = client.next()
        assert refused.topic == "$iothub/twin/res/400/?$rid=b"
        assert "'$x' is no name" in json.loads(refused.payload)["message"]


# --- who may come in -------------------------------------------------------------------------------------------------


def test_a_wrong_user_name_an_expired_token_and_one_for_another_module_are_refused_with_5(hub: HubProcess) -> None:
    wrong_name = Module(hub, "strict")
    wrong_name.username = wrong_name.username.replace("/strict/", "/other/")
    expired = Module(hub, "strict", seconds=-1)
    foreign = Module(hub, "strict")
    foreign.password = token({**foreign.parts, "ModuleId": "other"})
    no_token = Module(hub, "strict")
    no_token.password = "let me in"
    for client in (wrong_name, expired, foreign, no_token):
        assert client.connect() == 5
        client.leave()
    for reason in ("wrong user name", "the token expired", "a token for ", "the password is no token"):
        hub.wait_for_line(f"edge/strict: CONNECT is answered with 5: {reason}")
    assert "let me in" not in hub.log


def test_an_unknown_module_is_refused_with_5(hub: HubProcess) -> None:
    client = Module(hub, "known")
    client._client._client_id = b"edge/unknown"
    assert client.connect() == 5
    client.leave()
    hub.wait_for_line("there is no identity 'edge/unknown'; `edgefn hub env` makes one")


def test_the_connection_ends_when_its_token_expires(hub: HubProcess) -> None:
    with module(hub, "short", seconds=2) as client:
        client.publish("out", "x")
        client.wait_until_lost()
    hub.wait_for_line("short: connection closed: its token has expired")


def test_a_client_that_is_silent_for_longer_than_its_keep_alive_is_dropped(hub: HubProcess) -> None:
    """The client pings while its loop runs; this one has none."""
    client = Module(hub, "silent")
    with trusting(hub).wrap_socket(socket.create_connection((hub.address, 8883)), server_hostname=hub.address) as tls:
        tls.sendall(connect_packet(client, keep_alive=1))
        assert tls.recv(4) == b"\x20\x02\x00\x00"
        assert tls.recv(1) == b""
    hub.wait_for_line("silent: connection closed: nothing was heard from it for too long")


@pytest.mark.parametrize(
    "nonsense",
    [b"\x00" * 8, b"GET / HTTP/1.1\r\n\r\n", b"\x30\xff\xff\xff\xff\xff", publish("x", b"y"), b"\x10\x02\x00\x04"],
    ids=["zeros", "http", "length", "publish first", "broken connect"],
)
def test_what_is_no_mqtt_ends_the_connection_and_nothing_else(hub: HubProcess, nonsense: bytes) -> None:
    with trusting(hub).wrap_socket(socket.create_connection((hub.address, 8883)), server_hostname=hub.address) as tls:
        tls.sendall(nonsense)
        assert tls.recv(1) == b""
    assert hub.control.status()["port"] == 8883


def test_mqtt_5_is_refused_with_1(hub: HubProcess) -> None:
    packet = bytearray(connect_packet(Module(hub, "five"), keep_alive=60))
    packet[packet.index(b"MQTT") + 4] = 5
    with trusting(hub).wrap_socket(socket.create_connection((hub.address, 8883)), server_hostname=hub.address) as tls:
        tls.sendall(packet)
        assert tls.recv(4) == b"\x20\x02\x00\x01"
