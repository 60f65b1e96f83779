"""Addresses, topics and packets, without a broker."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from edgefn.contracts import EdgeMessage
from edgefn.errors import Refused, SettingError, TooLarge
from edgefn.metrics import Metrics
from edgefn.mqtt.address import Address, address_of, parsed
from edgefn.mqtt.connection import Came, _properties_of
from edgefn.mqtt.deliveries import Delivery, Receipts
from edgefn.mqtt.dialling import _properties
from edgefn.mqtt.intake import MOST_WAITING, Intake, dropped_counter
from edgefn.mqtt.options import MqttOptions, mqtt_options
from edgefn.mqtt.packets import check, outgoing
from edgefn.mqtt.remembered import Memory
from edgefn.mqtt.topics import fault_of_filter, fault_of_topic, identifier, matches, shared
from edgefn.settings import HostConfig, Settings
from tests.spool.ports import spool_in, until

ROOT = Path("/app")
MIB = 1024 * 1024
LEVELS = st.sampled_from(["a", "b", "", "$SYS", "é"])
TOPICS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join)
FILTERS = st.lists(st.one_of(LEVELS, st.just("+")), min_size=1, max_size=4).map("/".join)


def test_an_address_has_all_that_it_names() -> None:
    found = parsed("mqtts://us%40er:p%3Aw@host?ca=ca.pem&cert=c.pem&key=/k.pem&clientId=box&token=t", ROOT)
    assert found == Address("host", 8883, True, "us@er", "p:w", "/app/ca.pem", "/app/c.pem", "/k.pem", "/app/t", "box")
    assert (found.name, "p:w" in repr(found)) == ("mqtts://us@er@host:8883", False)
    assert parsed("mqtt://[::1]:77/", ROOT).name == "mqtt://[::1]:77"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("localhost:1883", "begins with neither mqtt:// nor mqtts://; mqtt://host:1883 or"),
        ("mqqt://h", "begins with neither mqtt:// nor mqtts://; did you mean 'mqtt'?"),
        ("mqtt://", "there is no host"),
        ("mqtt://h/path", "there is something after the host and port"),
        ("mqtt://h:99999", "the address can not be read; mqtt://host:1883 or"),
        ("mqtt://me:secret/secret@h:1883", "the address can not be read; mqtt://host:1883 or"),
        ("mqtt://:secret@h", "a password without a user"),
        ("mqtt://h?ca=x", "ca is for TLS; mqtts:// would be right"),
        ("mqtts://h?cafile=x", "'cafile' is not known"),
        ("mqtts://h?key=x", "a key without a certificate; name the certificate too"),
        ("mqtts://h?ca=", "ca names nothing; leave it out, or name it"),
    ],
)
def test_a_wrong_address_is_said(text: str, said: str) -> None:
    with pytest.raises(SettingError) as raised:
        parsed(text, ROOT)
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)


def test_the_setting_comes_before_the_environment_of_azure_iot_operations() -> None:
    aio = {"AIO_BROKER_HOSTNAME": "aio-broker", "AIO_SAT_FILE": "/token", "AIO_TLS_CA_FILE": "/ca"}
    both = Settings({**aio, "MQTT_BROKER": "mqtt://site"})
    assert address_of("", both, ROOT).name == "mqtt://site:1883"
    found = address_of("aio:", both, ROOT)
    assert (found.name, found.token, found.ca, found.session_expiry) == (
        "mqtts://aio-broker:18883",
        "/token",
        "/ca",
        3600,
    )
    assert address_of("", Settings(aio), ROOT) == found
    with pytest.raises(SettingError, match="AIO_MQTT_KEEP_ALIVE: found 'x'; a whole number from 1 to 65535"):
        address_of("", Settings({**aio, "AIO_MQTT_KEEP_ALIVE": "x"}), ROOT)


@given(FILTERS, st.booleans(), TOPICS)
def test_filters_match_as_paho_says(text: str, further: bool, topic: str) -> None:
    wanted = f"{text}/#" if further else text
    assert fault_of_filter(wanted) in ("", "is empty")
    if wanted:
        assert matches(wanted, topic) == topic_matches_sub(wanted, topic)
        assert matches(shared("group", wanted), topic) == matches(wanted, topic)


def test_a_filter_has_the_same_number_whenever_it_is_asked_for() -> None:
    assert identifier("plant/+/temperature") == 142_567_132
    assert 1 <= identifier("") <= 0x0FFF_FFFF


@pytest.mark.parametrize("topic", ["", "a/+", "a/#", "a\0b", "\ud800", "x" * 65_536])
def test_a_topic_that_no_message_may_have_is_refused(topic: str) -> None:
    assert fault_of_topic(topic)
    with pytest.raises(Refused):
        outgoing(EdgeMessage(b"", topic=topic))


@given(
    st.text(max_size=20),
    st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=4),
    st.binary(max_size=300),
    st.booleans(),
)
def test_the_size_of_a_packet_is_that_of_pahos_or_little_more(
    content: str, properties: dict[str, str], body: bytes, is_json: bool
) -> None:
    known: dict[str, Any] = {"content_type": content, "properties": properties, "is_json": is_json}
    message = EdgeMessage(body, topic="t/é", message_id="id", correlation_id="c", **known)
    try:
        packet = outgoing(message, 9.0)
    except Refused:
        return
    packed: bytes = _properties_of(packet).pack()
    real = 2 + len("t/é".encode()) + 2 + len(packed) + len(body)
    assert real <= packet.size <= real + 24


def test_a_message_that_is_too_large_is_refused_with_its_size() -> None:
    with pytest.raises(TooLarge, match=r"makes a packet of \d,\d{3} bytes, the broker takes 1,000"):
        check(EdgeMessage(b"x" * 1000, topic="t"), 1000)


def test_a_property_that_mqtt_can_not_carry_is_refused() -> None:
    with pytest.raises(Refused, match="at most 65535 can be sent"):
        outgoing(EdgeMessage(b"", {"name": "x" * 70_000}, topic="t"))


@pytest.mark.parametrize(
    ("options", "address", "seconds"),
    [({}, {}, 86_400), ({"sessionExpiry": "00:01:00"}, {}, 60), ({"sessionExpiry": 60}, {"session_expiry": 5}, 5)],
)
def test_how_long_a_broker_keeps_the_session_is_declared(
    options: dict[str, Any], address: dict[str, int], seconds: int
) -> None:
    declared = MqttOptions.model_validate({"receiveMaximum": 7, **options})
    properties = _properties(Address("h", 1883, **address), declared, b"")
    assert (properties.SessionExpiryInterval, properties.ReceiveMaximum) == (seconds, 7)


def test_two_state_folders_are_two_clients_and_one_stays_one(tmp_path: Path) -> None:
    one, two = Memory(tmp_path / "a.json"), Memory(tmp_path / "b.json")
    assert one.client_id("mqtt://x:1883") != two.client_id("mqtt://x:1883")
    assert one.client_id("mqtt://x:1883") != one.client_id("mqtt://y:1883")
    assert Memory(tmp_path / "a.json").client_id("mqtt://x:1883") == one.client_id("mqtt://x:1883")


async def test_large_messages_are_taken_one_by_one_while_others_are_in_the_inbox(tmp_path: Path) -> None:
    """All that wait at once may never have room: another function always has a message in hand."""
    async with spool_in(tmp_path, inbox={"max_bytes": 4 * MIB}) as spool:
        one, other = (spool.inbox.subscribe(name, "") for name in ("one", "other"))
        intake = Intake(spool.inbox, "broker", 64, None)
        connection: Any = SimpleNamespace(number=1, lost=asyncio.Future())
        receipts = Receipts(lambda _: None)
        await other.store(EdgeMessage(b"x"), lambda _: None)
        deliveries = [Delivery("in/x", b"", number, False, receipts) for number in range(8)]
        for delivery in deliveries:
            intake.put(connection, Came(EdgeMessage(bytes(MIB), topic="in/x"), (), delivery, False), [one])
        storing = asyncio.create_task(intake.run())
        await until(lambda: deliveries[2].settled)
        storing.cancel()


async def test_a_copy_for_another_function_is_no_redelivery_of_the_first(tmp_path: Path) -> None:
    """A broker sends one for each subscription; the connection may end between the two."""
    async with spool_in(tmp_path) as spool:
        first, second = (spool.inbox.subscribe(name, "") for name in ("first", "second"))
        intake = Intake(spool.inbox, "broker", 20, None)
        storing = asyncio.create_task(intake.run())
        message = EdgeMessage(b"x", message_id="1", topic="in/x")
        for number, (one, identifiers) in enumerate(((first, (7,)), (second, (8,)), (second, (8,)))):
            came = Came(message, identifiers, Delivery("in/x", b"x", number + 1, True, Receipts(lambda _: None)), True)
            connection: Any = SimpleNamespace(number=number, lost=asyncio.Future())
            intake.put(connection, came, [one])
            await until(lambda came=came: came.delivery.settled)  # type: ignore[misc]
        assert [len(await one.take(9, 9)) for one in (first, second)] == [1, 1]
        storing.cancel()


async def test_a_broker_that_sends_without_end_and_waits_for_no_acknowledgement_is_left(tmp_path: Path) -> None:
    """All that waits would be in memory."""
    async with spool_in(tmp_path) as spool:
        one = spool.inbox.subscribe("one", "")
        intake, left = Intake(spool.inbox, "broker", 20, dropped_counter(Metrics())), []
        connection: Any = SimpleNamespace(number=1, lost=asyncio.Future(), ask_to_leave=left.append)
        receipts = Receipts(lambda _: None)
        for number in range(MOST_WAITING + 10):
            delivery = Delivery("in/x", b"x", number + 1, False, receipts)
            intake.put(connection, Came(EdgeMessage(b"x", topic="in/x"), (), delivery, False), [one])
        assert [str(fault) for fault in left] == [
            f"broker has sent {MOST_WAITING} messages without acknowledgement; 20 were allowed"
        ]
        storing = asyncio.create_task(intake.run())
        await until(lambda: spool.inbox.totals()[0] == MOST_WAITING)
        lost = EdgeMessage(b"it does not come again", topic="in/x", qos=0)
        intake.put(connection, Came(lost, (), Delivery("in/x", b"", 0, False, receipts), False), [one])
        assert intake.counts == {"full": 1}
        intake.put(connection, Came(EdgeMessage(b"later", topic="in/x"), (), delivery, False), [one])
        connection.lost.set_result(left[0])
        anew: Any = SimpleNamespace(number=2, lost=asyncio.Future())
        again = Delivery("in/x", b"x", 1, True, receipts)
        intake.put(anew, Came(EdgeMessage(b"again", topic="in/x"), (), again, True), [one])
        await until(lambda: spool.inbox.totals()[0] == MOST_WAITING + 1)
        storing.cancel()


@pytest.mark.parametrize(
    ("declared", "largest"),
    [
        ({}, 64 * MIB),
        ({"spool": {"inbox": {"maxBytes": 8 * MIB}}}, 8 * MIB),
        ({"spool": {"inbox": {"maxBytes": 2048}}}, 65_536),
        ({"spool": {"inbox": {"maxBytes": 1024 * MIB}}}, 268_435_455),
        ({"spool": {"inbox": {"maxBytes": 8 * MIB}}, "mqtt": {"maxPacketSize": 100_000}}, 100_000),
    ],
)
def test_a_broker_may_send_no_more_in_a_packet_than_the_inbox_holds(declared: dict[str, Any], largest: int) -> None:
    config = HostConfig({"version": "2.0", "extensions": declared})
    assert mqtt_options(ROOT, config).max_packet_size == largest
