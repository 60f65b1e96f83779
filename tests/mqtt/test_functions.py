"""mqttTrigger and mqtt outputs in a host, at a real mosquitto."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from edgefn.contracts import EdgeMessage
from edgefn.host import Host
from edgefn.loader import load_app
from edgefn.reload import Reloader
from tests.conftest import AppIn
from tests.hubs.sinks import until
from tests.mqtt.hosts import FORWARD, KEEP, host_at, seen, standing
from tests.mqtt.mosquitto import Mosquitto, Peer, broker_in, peer_of
from tests.ticks import HEAD


async def test_a_message_runs_the_function_and_its_result_is_published(
    tmp_path: Path, broker: Mosquitto, peer: Peer
) -> None:
    async with host_at(tmp_path, broker, FORWARD):
        peer.publish("in/1", "hello")
        await until(lambda: peer.bodies == ["hello"])
    assert peer.messages[0].topic == "out/f"


async def test_messages_keep_their_order_on_one_connection(tmp_path: Path, broker: Mosquitto, peer: Peer) -> None:
    sent = [str(number) for number in range(300)]
    async with host_at(tmp_path, broker, FORWARD) as host:
        await asyncio.to_thread(peer.publish, "in/x", *sent)
        await until(lambda: len(peer.bodies) == 300)
        assert standing(host)["generation"] == 1
    assert peer.bodies == sent


async def test_the_function_sees_topic_user_properties_content_type_and_correlation(
    tmp_path: Path, broker: Mosquitto, peer: Peer
) -> None:
    known = {"UserProperty": [("line", "7"), ("größe", "ü"), ("message-id", "m-1")], "ContentType": "text/csv"}
    async with host_at(tmp_path, broker, KEEP) as host:
        peer.publish("in/a/b", b"1;2", **known, CorrelationData=b"c-1")
        await until(lambda: seen(host))
    (message,) = seen(host)
    assert (message.body, message.topic, message.properties) == (b"1;2", "in/a/b", {"line": "7", "größe": "ü"})
    assert (message.content_type, message.correlation_id, message.message_id) == ("text/csv", "c-1", "m-1")


async def test_a_wildcard_takes_the_topics_that_it_stands_for(tmp_path: Path, broker: Mosquitto, peer: Peer) -> None:
    code = KEEP.replace("in/#", "plant/+/temperature")
    async with host_at(tmp_path, broker, code) as host:
        for topic in ("plant/1/temperature", "plant/1/2/temperature", "plant/temperature", "plant/2/temperature"):
            peer.publish(topic, "x")
        await until(lambda: len(seen(host)) == 2)
    assert [message.topic for message in seen(host)] == ["plant/1/temperature", "plant/2/temperature"]


async def test_a_message_of_overlapping_subscriptions_runs_each_function_once(
    tmp_path: Path, broker: Mosquitto, peer: Peer
) -> None:
    code = """
seen = []
@app.mqtt_trigger("m", "in/#")
def all_of_them(m: str):
    seen.append("all")
@app.mqtt_trigger("m", "in/+")
def one_level(m: str):
    seen.append("one")
@app.mqtt_trigger("m", "in/+")
def one_level_too(m: str):
    seen.append("too")
"""
    async with host_at(tmp_path, broker, code) as host:
        peer.publish("in/1", "x", "y")
        await until(lambda: len(seen(host)) == 6)
        await host.app.services.spool.idle()
    assert sorted(seen(host)) == ["all", "all", "one", "one", "too", "too"]


async def test_a_retained_message_comes_to_a_new_subscription_and_not_again_with_the_session(
    tmp_path: Path, broker: Mosquitto, peer: Peer
) -> None:
    peer.publish("in/last", "kept", retain=True)
    async with host_at(tmp_path, broker, KEEP) as host:
        await until(lambda: seen(host))
        assert [(message.text, message.retain) for message in seen(host)] == [("kept", True)]
    async with host_at(tmp_path, broker, KEEP) as host:
        peer.publish("in/new", "new")
        await until(lambda: seen(host))
    assert [(message.text, message.retain) for message in seen(host)] == [("new", False)]


async def test_retained_messages_may_be_left_out(tmp_path: Path, broker: Mosquitto, peer: Peer) -> None:
    peer.publish("in/last", "kept", retain=True)
    async with host_at(tmp_path, broker, KEEP.replace('"in/#"', '"in/#", retained=False')) as host:
        peer.publish("in/new", "new")
        await until(lambda: seen(host))
    assert [message.text for message in seen(host)] == ["new"]


async def test_several_messages_come_as_a_list(tmp_path: Path, broker: Mosquitto, peer: Peer) -> None:
    code = """
seen = []
@app.mqtt_trigger("m", "in/#", cardinality="many", max_batch_size=50)
def f(m: list[int]):
    seen.append(m)
"""
    async with host_at(tmp_path, broker, code) as host:
        await asyncio.to_thread(peer.publish, "in/x", *(str(number) for number in range(100)))
        await until(lambda: sum(map(len, seen(host))) == 100)
    assert [number for batch in seen(host) for number in batch] == list(range(100))


async def test_messages_that_were_sent_while_the_host_was_away_come_afterwards(
    tmp_path: Path, broker: Mosquitto, peer: Peer
) -> None:
    async with host_at(tmp_path, broker, FORWARD):
        pass
    peer.publish("in/1", "a", "b", "c")
    async with host_at(tmp_path, broker, FORWARD):
        await until(lambda: peer.bodies == ["a", "b", "c"])


async def test_a_subscription_that_no_function_has_any_more_is_given_up(
    tmp_path: Path, broker: Mosquitto, peer: Peer
) -> None:
    async with host_at(tmp_path, broker, KEEP):
        pass
    async with host_at(tmp_path, broker, KEEP.replace("in/#", "other/#")) as host:
        peer.publish("in/1", "old")
        peer.publish("other/1", "new")
        await until(lambda: seen(host))
        assert standing(host)["dropped"] == {}
    assert [message.text for message in seen(host)] == ["new"]


async def test_messages_are_kept_for_functions_of_a_module_that_can_not_be_loaded_today(
    tmp_path: Path, broker: Mosquitto, peer: Peer
) -> None:
    async with host_at(tmp_path, broker, FORWARD):
        pass
    (tmp_path / "functions" / "f.py").write_text("this is no Python\n")
    code = KEEP.replace("def f", "def g").replace("in/#", "other")
    (tmp_path / "functions" / "other.py").write_text("import edgefn\napp = edgefn.FunctionApp()\n" + code)
    host = Host(load_app(tmp_path, environment={}, given={"MQTT_BROKER": broker.address}))
    await host.start()
    peer.publish("in/1", "kept")
    await until(lambda: host.app.services.spool.inbox.totals()[0] == 1)
    await host.stop()
    (tmp_path / "functions" / "other.py").unlink()
    async with host_at(tmp_path, broker, FORWARD):
        await until(lambda: peer.bodies == ["kept"])


async def test_an_output_has_the_topic_properties_and_expiry_that_it_declares(
    tmp_path: Path, broker: Mosquitto, peer: Peer
) -> None:
    code = """
@app.mqtt_trigger("m", "in/#")
@app.mqtt_output("$return", "out/{topic}/alarm", properties={"site": "a"}, ttl=60, retain=True)
def f(m: str):
    return {"level": m}
"""
    async with host_at(tmp_path, broker, code):
        peer.publish("in/a/b", "high")
        await until(lambda: peer.messages)
    (message,) = peer.messages
    known = message.properties
    assert (message.topic, json.loads(message.payload)) == ("out/in/a/b/alarm", {"level": "high"})
    assert (known.ContentType, known.PayloadFormatIndicator, dict(known.UserProperty)["site"]) == (
        "application/json",
        1,
        "a",
    )
    assert 50 <= known.MessageExpiryInterval <= 60
    with peer_of(broker, "out/#", name="later") as later:
        await until(lambda: later.bodies)
        assert later.messages[0].retain


async def test_a_value_in_the_topic_that_an_event_does_not_have_is_an_error_of_the_function(
    tmp_path: Path, broker: Mosquitto, peer: Peer
) -> None:
    async with host_at(tmp_path, broker, FORWARD.replace("{function}", "{frame_id}")) as host:
        peer.publish("in/1", "x")
        await until(lambda: host.status()["functions"]["f"]["failed"] == 1)
        assert "this event has no frame_id; leave {frame_id} out" in host.status()["functions"]["f"]["last_error"]


async def test_messages_that_may_be_lost_are_not_stored(tmp_path: Path, broker: Mosquitto, peer: Peer) -> None:
    code = FORWARD.replace('"out/{function}"', '"out/{function}", durable=False, qos=0')
    async with host_at(tmp_path, broker, code) as host:
        peer.publish("in/1", "live")
        await until(lambda: peer.bodies == ["live"])
        assert host.status()["spool"]["outbox"]["brokers"][broker.address]["sent"] == 0
    assert peer.messages[0].qos == 0


async def test_a_shared_subscription_is_split_over_two_hosts(tmp_path: Path, broker: Mosquitto, peer: Peer) -> None:
    code = KEEP.replace('"in/#"', '"in/#", share="line"')
    async with host_at(tmp_path / "a", broker, code) as one, host_at(tmp_path / "b", broker, code) as two:
        sent = [str(number) for number in range(100)]
        await asyncio.to_thread(peer.publish, "in/x", *sent)
        await until(lambda: len(seen(one)) + len(seen(two)) == 100)
        shares = [[message.text for message in seen(host)] for host in (one, two)]
    assert sorted(shares[0] + shares[1], key=int) == sent
    assert all(len(share) >= 20 for share in shares)
    assert all(share == sorted(share, key=int) for share in shares)


async def test_a_member_that_is_away_gets_its_part_when_it_is_back_until_its_session_is_ended(
    tmp_path: Path, broker: Mosquitto, peer: Peer
) -> None:
    code = KEEP.replace('"in/#"', '"in/#", share="line"')
    sent = [str(number) for number in range(20)]

    def texts(host: Host) -> list[str]:
        return [message.text for message in seen(host)]

    async with host_at(tmp_path / "a", broker, code) as one:
        async with host_at(tmp_path / "b", broker, code) as two:
            client = standing(two)["client"]
            await until(lambda: all(standing(host)["subscriptions"] for host in (one, two)))
        await asyncio.to_thread(peer.publish, "in/x", *sent[:10])
        async with host_at(tmp_path / "b", broker, code) as two:
            await until(lambda: len(texts(one) + texts(two)) == 10)
            assert len(texts(two)) == 5
        with peer_of(broker, name=client, clean=True):
            pass
        await asyncio.to_thread(peer.publish, "in/x", *sent[10:])
        await until(lambda: texts(one)[-10:] == sent[10:])


async def test_the_topic_of_a_trigger_may_change_while_the_host_runs(
    tmp_path: Path, broker: Mosquitto, peer: Peer
) -> None:
    async with host_at(tmp_path, broker, KEEP.replace("in/#", "%TOPIC%"), TOPIC="first") as host:
        peer.publish("first", "1")
        await until(lambda: seen(host))
        await host.app.services.hub.set_desired({"settings": {"TOPIC": "second"}})  # type: ignore[attr-defined]
        await until(lambda: standing(host)["subscriptions"] == ["second"])
        peer.publish("first", "2")
        peer.publish("second", "3")
        await until(lambda: len(seen(host)) == 2)
    assert [message.text for message in seen(host)] == ["1", "3"]


async def test_a_function_that_gets_another_trigger_or_broker_hears_the_former_no_more(
    tmp_path: Path, broker: Mosquitto, peer: Peer
) -> None:
    code = """
import pathlib
{trigger}
def f(m: str):
    with (pathlib.Path(__file__).parents[1] / "heard").open("a") as file:
        file.write(m)
"""

    def heard() -> str:
        file = tmp_path / "heard"
        return file.read_text() if file.exists() else ""

    async def swap(trigger: str) -> None:
        (tmp_path / "functions" / "f.py").write_text(HEAD + code.format(trigger=trigger))
        await reloader.reload([tmp_path / "functions" / "f.py"])
        assert list(reloader.errors) == []

    def subscriptions(of: Mosquitto) -> list[str]:
        return list(host.app.services.brokers.status().get(of.address, {}).get("subscriptions", ()))

    async def sent_by_hub(body: str) -> None:
        await host.app.services.spool.inbox.on_input(EdgeMessage(body.encode(), input_name="x"))

    with broker_in(tmp_path / "another") as another, peer_of(another) as there:
        first = '@app.mqtt_trigger("m", "in/#")'
        async with host_at(tmp_path, broker, code.format(trigger=first)) as host:
            reloader = Reloader(host)
            await swap(f'@app.mqtt_trigger("m", "in/#", broker="{another.address}")')
            await until(lambda: subscriptions(another) and not subscriptions(broker))
            peer.publish("in/1", "-")
            there.publish("in/1", "1")
            await until(lambda: heard() == "1")
            await swap('@app.edge_hub_trigger("m", "x")')
            await until(lambda: not subscriptions(another))
            there.publish("in/1", "-")
            await sent_by_hub("2")
            await until(lambda: heard() == "12")
            await swap(first)
            await until(lambda: subscriptions(broker))
            await sent_by_hub("-")
            peer.publish("in/1", "3")
            await until(lambda: len(heard()) == 3)
    assert heard() == "123"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ('"in/#/x"', "topic 'in/#/x' has # before its end; it stands for all further levels"),
        ('"in/a+"', "topic 'in/a+' has + or # beside other letters; each stands for a whole level"),
        ('"$share/g/in"', "begins with $share; name the group in share, and the topic alone"),
        ('"in", share="a/b"', "share 'a/b' holds /, + or #; a plain name would be right"),
        ('"in", qos=2', "less than or equal to 1"),
        ('"in", broker="http://x"', "a broker: the address begins with neither mqtt:// nor mqtts://"),
        ('""', "names nothing: empty and none count as not set; give a topic such as plant/+/temperature"),
    ],
)
def test_a_wrong_option_of_a_trigger_is_said_with_its_place(app_of: AppIn, options: str, said: str) -> None:
    code = f"import edgefn\napp = edgefn.FunctionApp()\n\n@app.mqtt_trigger('m', {options})\ndef f(m): ...\n"
    (error,) = app_of({"functions/f.py": code}, MQTT_BROKER="mqtt://x").functions[0].errors
    assert error.startswith("functions/f.py:4: ")
    assert said in error


def test_a_binding_without_a_broker_says_what_is_missing(app_of: AppIn) -> None:
    code = "import edgefn\napp = edgefn.FunctionApp()\n@app.mqtt_trigger('m', 'in')\ndef f(m): ...\n"
    (error,) = app_of({"functions/f.py": code}).functions[0].errors
    said = "no broker: neither MQTT_BROKER nor AIO_BROKER_HOSTNAME is set; mqtt://host:1883 or mqtts://host:8883"
    assert said in error


def test_one_broker_by_two_identities_is_refused(app_of: AppIn) -> None:
    """They would share a queue, a name and the memory of what came, and each miss what the other one had."""
    code = """
@app.mqtt_trigger("m", "in/#", broker="mqtt://host")
@app.mqtt_output("$return", "out", broker="mqtt://host:1883?clientId=b")
def f(m):
    return m
"""
    (function,) = app_of({"functions/f.py": HEAD + code}).functions
    (error,) = function.errors
    assert "of function 'f': the broker mqtt://host:1883 is named in two ways" in error


def test_the_topic_of_an_output_has_no_wildcards(app_of: AppIn) -> None:
    bindings = "@app.mqtt_trigger('m', 'in')\n@app.mqtt_output('$return', 'a/+')\n"
    code = f"import edgefn\napp = edgefn.FunctionApp()\n{bindings}def f(m): ...\n"
    (error,) = app_of({"functions/f.py": code}, MQTT_BROKER="mqtt://x").functions[0].errors
    assert "topic 'a/+' holds + or #, which only a trigger's topic may" in error
