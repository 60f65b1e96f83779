"""What brokers do to a host, and what must not come of it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from edgefn.contracts import EdgeMessage, HubState
from edgefn.host import Host
from edgefn.mqtt import dialling
from edgefn.mqtt.packets import incoming
from edgefn.mqtt.remembered import Remembered
from edgefn.mqtt.rivals import SUSPICIOUS
from edgefn.spool import Inbox
from edgefn.spool.inbox import Coming, Delivered
from tests.conftest import absent
from tests.faults.disks import held, small_disk
from tests.hubs.sinks import in_thread, until
from tests.late import Late
from tests.mqtt.cable import Cable
from tests.mqtt.hosts import FORWARD, KEEP, QUICK, host_at, is_online, seen, standing
from tests.mqtt.mosquitto import KEPT, Mosquitto, Peer, broker_in, peer_of


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that has a disk."""
    with broker_in(tmp_path / "broker", *KEPT) as running:
        yield running


HELD = """
import asyncio
import base64
import hashlib
import json
go = asyncio.Event()
@app.mqtt_trigger("m", "in/#")
@app.mqtt_output("$return", "out/held")
async def f(m: str):
    await go.wait()
    return m
"""
SMALL = """{"version": "2.0", "extensions": {
    "spool": {"inbox": {"maxMessages": 8}},
    "mqtt": {"receiveMaximum": 4, "ackTimeout": 1, "keepAlive": 2}
}}"""


def released(host: Host) -> asyncio.Event:
    """What the function of HELD waits for."""
    call: Any = host.running[0].function.call
    found: asyncio.Event = call.__globals__["go"]
    return found


def numbers(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last)]


async def letters(host: Host) -> list[tuple[str, str]]:
    return [(letter.message.text, letter.reason) for letter in await host.app.services.spool.dead_letters()]


async def test_a_broker_that_is_killed_with_messages_waiting_both_ways_costs_none(
    tmp_path: Path, kept: Mosquitto
) -> None:
    """Some wait in the inbox, all others at the broker; what comes of the first waits in the outbox meanwhile."""
    names = numbers(0, 40)
    async with host_at(tmp_path, kept, HELD, config=SMALL) as host:
        with peer_of(kept, "out/#") as peer:
            await in_thread(peer.publish, "in/x", *names)
            await until(lambda: host.app.services.spool.inbox.totals()[0] >= 8)
            await in_thread(kept.save)
            kept.kill()
            await until(lambda: not is_online(host))
            released(host).set()
            await until(lambda: host.status()["spool"]["outbox"]["messages"] >= 8)
            await in_thread(kept.start)
            await until(lambda: set(peer.bodies) == set(names))
            await host.app.services.spool.idle()
            assert peer.once() == names
            assert await letters(host) == []


async def test_a_connection_that_is_lost_again_and_again_costs_nothing(tmp_path: Path, broker: Mosquitto) -> None:
    """Acknowledgements get lost with it, both ways; so messages are delivered, and published, once more."""
    cable = Cable(broker.port)
    await cable.plug()
    there = f"mqtt://127.0.0.1:{cable.port}"
    names = numbers(0, 200)
    async with host_at(tmp_path, broker, FORWARD, MQTT_BROKER=there) as host:
        with peer_of(broker, "out/#") as peer:
            sending = asyncio.ensure_future(in_thread(peer.publish, "in/x", *names))
            for part in (1, 60, 120):
                await until(lambda part=part: len(set(peer.bodies)) >= part and is_online(host))  # type: ignore[misc]
                cable.hush()
                await cable.pull()
                await until(lambda: not is_online(host))
                await cable.plug()
            await sending
            await until(lambda: set(peer.bodies) == set(names) and standing(host)["generation"] >= 4)
            await host.app.services.spool.idle()
    await cable.pull()
    assert peer.once() == names


async def test_what_waits_while_the_broker_is_away_leaves_in_order_when_it_is_back(
    tmp_path: Path, kept: Mosquitto
) -> None:
    async with host_at(tmp_path, kept, FORWARD) as host:
        with peer_of(kept, "out/#") as peer:
            await in_thread(peer.publish, "in/x", *numbers(0, 20))
            await until(lambda: len(peer.bodies) == 20)
            await in_thread(kept.save)
            kept.kill()
            await until(lambda: not is_online(host))
            for name in numbers(20, 60):
                await emit(host, name)
            assert host.status()["spool"]["outbox"]["outputs"] == {f"{kept.address}/out/{{function}}": 40}
            await in_thread(kept.start)
            await until(lambda: len(set(peer.bodies)) == 60)
            assert peer.once() == numbers(0, 60)


async def emit(host: Host, text: str) -> None:
    """Runs the first function for a message that nobody sent."""
    running = host.running[0]
    assert running.function.trigger is not None
    kind = host.app.kinds.triggers[running.function.trigger.type.lower()]
    assert (await running.emit(kind.manual(running.function.trigger, text))).ok  # type: ignore[attr-defined]


async def test_a_broker_that_falls_silent_is_noticed_and_nothing_is_lost(tmp_path: Path, broker: Mosquitto) -> None:
    async with host_at(tmp_path, broker, FORWARD) as host:
        with peer_of(broker, "out/#") as peer:
            broker.freeze()
            await emit(host, "1")
            await until(lambda: not is_online(host))
            broker.thaw()
            await until(lambda: "1" in peer.bodies)
            assert len(set(peer.ids)) == 1
        assert standing(host)["reconnects"].keys() & {"unacknowledged", "silent"}


async def test_a_redelivery_runs_once_though_the_messages_have_no_ids(tmp_path: Path, broker: Mosquitto) -> None:
    """Stored, and the connection ends before the acknowledgement: the broker's word and the packet tell it."""
    async with host_at(tmp_path, broker, KEEP) as host:
        with peer_of(broker) as peer:
            acknowledge = host.app.services.brokers.broker("")._link._connection._reception.receipts  # type: ignore[union-attr]
            acknowledge._send = lambda packet_id: None
            await in_thread(peer.publish, "in/x", "same", "same", "same")
            await until(lambda: len(seen(host)) == 3)
            broker.freeze()
            await emit_and_wait_for_end(host)
            broker.thaw()
            await until(lambda: is_online(host))
            await in_thread(peer.publish, "in/x", "same", "last")
            await until(lambda: seen(host)[-1].text == "last")
    assert [message.text for message in seen(host)] == ["same"] * 4 + ["last"]


async def emit_and_wait_for_end(host: Host) -> None:
    await until(lambda: not is_online(host))


async def test_messages_stay_with_the_broker_while_the_inbox_is_full(tmp_path: Path, broker: Mosquitto) -> None:
    async with host_at(tmp_path, broker, HELD, config=SMALL) as host:
        with peer_of(broker, "out/#") as peer:
            await in_thread(peer.publish, "in/x", *numbers(0, 40))
            await until(lambda: host.app.services.spool.inbox.totals()[0] >= 8)
            assert host.app.services.spool.inbox.totals()[0] <= 11
            released(host).set()
            await until(lambda: len(peer.bodies) == 40)
    assert peer.bodies == numbers(0, 40)


# --- what the disk says no to ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stops", [False, True])
async def test_messages_stay_with_the_broker_while_the_disk_is_full(
    tmp_path: Path, broker: Mosquitto, *, stops: bool
) -> None:
    """Also where the host ends and starts meanwhile."""
    bodies = [f"{number}".ljust(100_000) for number in range(30)]
    with small_disk(tmp_path / ".edgefn", 32) as disk, peer_of(broker, "out/#") as peer:
        async with AsyncExitStack() as first:
            host = await first.enter_async_context(host_at(tmp_path, broker, FORWARD))
            await in_thread(peer.publish, "in/x", "first")
            await until(lambda: peer.bodies == ["first"])
            with disk.full():
                await in_thread(peer.publish, "in/x", *bodies)
                await until(lambda: host.status()["spool"]["state"] == "unusable")
                await until(lambda: host.app.services.brokers.broker("")._intake._failed >= 2)
                if stops:
                    await first.aclose()
                    host = await first.enter_async_context(host_at(tmp_path, broker, FORWARD, waits=False))
            await until(lambda: len(peer.once()) == 31, within=30)
    assert peer.once() == ["first", *bodies]


async def test_messages_wait_for_a_file_that_another_process_holds(
    tmp_path: Path, broker: Mosquitto, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefn.spool.schema.BUSY", 0.05)
    async with host_at(tmp_path, broker, FORWARD) as host:
        with held(tmp_path / ".edgefn" / "spool.db"):
            await in_thread(peer.publish, "in/x", *numbers(0, 40))
            await until(lambda: host.app.services.brokers.broker("")._intake._failed >= 2)
            assert peer.bodies == []
        await until(lambda: len(peer.bodies) == 40)
    assert peer.bodies == numbers(0, 40)


# --- what a broker says no to ----------------------------------------------------------------------------------------


def password_file(folder: Path, **users: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "passwords"
    path.touch()
    for user, password in users.items():
        subprocess.run(["mosquitto_passwd", "-b", str(path), user, password], check=True, capture_output=True)
    return path


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lets ``host`` write to out/fine only."""
    folder = tmp_path / "broker"
    passwords = password_file(folder, host="right#1", peer="peer")
    rules = folder / "rules"
    rules.write_text("user host\ntopic read in/#\ntopic write out/fine\n\nuser peer\ntopic #\n")
    lines = (f"password_file {passwords}", f"acl_file {rules}")
    with broker_in(folder, *lines, anonymous=False) as running:
        yield running


async def test_a_wrong_password_is_said_and_tried_seldom(
    tmp_path: Path, guarded: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = f"mqtt://host:wrong-one@127.0.0.1:{guarded.port}"
    async with host_at(tmp_path, guarded, FORWARD, waits=False, MQTT_BROKER=wrong) as host:
        await until(lambda: "0x87" in caplog.text)
        await emit(host, "kept")
        assert standing(host)["state"] == HubState.OFFLINE
    line = next(record.getMessage() for record in caplog.records if "0x87" in record.getMessage())
    name = f"mqtt://host@127.0.0.1:{guarded.port}"
    assert line.startswith(
        f"{name}: the broker answered CONNECT with 0x87 (not authorised); user, password and client id"
    )
    assert "wrong-one" not in caplog.text
    right = f"mqtt://host:right%231@127.0.0.1:{guarded.port}"
    with peer_of(guarded, "out/#", user=("peer", "peer")) as peer:
        code = FORWARD.replace("{function}", "fine")
        async with host_at(tmp_path, guarded, code, MQTT_BROKER=right) as host:
            await until(lambda: host.status()["spool"]["outbox"]["messages"] == 0)
            assert [reason for text, reason in await letters(host) if text == "kept"] != []
            await emit(host, "new")
            await until(lambda: peer.bodies == ["new"])


async def test_a_topic_that_is_not_allowed_makes_a_dead_letter_and_holds_up_nothing(
    tmp_path: Path, guarded: Mosquitto
) -> None:
    code = """
@app.mqtt_trigger("m", "in/#")
@app.mqtt_output("a", "out/secret")
@app.mqtt_output("b", "out/fine")
def f(m: str, a: edgefn.Out[str], b: edgefn.Out[str]):
    a.set(m)
    b.set(m)
"""
    there = f"mqtt://host:right%231@127.0.0.1:{guarded.port}"
    with peer_of(guarded, "out/#", user=("peer", "peer")) as peer:
        async with host_at(tmp_path, guarded, code, MQTT_BROKER=there) as host:
            await in_thread(peer.publish, "in/x", "1", "2")
            await until(lambda: len(set(peer.ids)) == 2)
            await until(lambda: host.status()["spool"]["outbox"]["messages"] == 0)
            found = await letters(host)
    assert peer.once() == ["1", "2"]
    assert sorted(text for text, _ in found) == ["1", "2"]
    assert "the broker did not take a message (0x87, not authorised)" in found[0][1]


def rules_of_subscriptions(folder: Path, user: str, password: str, allowed: str) -> tuple[str, ...]:
    """The configuration of a broker that grants a user subscriptions below one topic only."""
    plugins = list(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"))
    if not plugins:
        absent("mosquitto's plugin for access rules is not installed")
    salt, rounds = b"twelve bytes", 101
    secret = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds)
    known = {"username": user, "iterations": rounds, "roles": [{"rolename": "reader"}]}
    hashed = {"password": base64.b64encode(secret).decode(), "salt": base64.b64encode(salt).decode()}
    rule = {"acltype": "subscribePattern", "topic": allowed, "allow": True}
    access = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False, "unsubscribe": True}
    document = {
        "defaultACLAccess": access,
        "clients": [{**known, **hashed}],
        "groups": [],
        "roles": [{"rolename": "reader", "acls": [rule]}],
    }
    folder.mkdir(parents=True)
    file = folder / "rules.json"
    file.write_text(json.dumps(document))
    return f"plugin {plugins[0]}", f"plugin_opt_config_file {file}"


async def test_a_subscription_that_is_not_granted_is_said_and_keeps_no_other_function_from_its_messages(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    code = """
seen = []
@app.mqtt_trigger("m", "in/fine/+")
def fine(m: str):
    seen.append(m)
@app.mqtt_trigger("m", "in/secret")
def secret(m: str):
    seen.append(m)
"""
    lines = rules_of_subscriptions(tmp_path / "broker", "host", "pass", "in/fine/#")
    with broker_in(tmp_path / "broker", *lines, anonymous=False) as strict:
        there = f"mqtt://host:pass@127.0.0.1:{strict.port}"
        async with host_at(tmp_path, strict, code, MQTT_BROKER=there) as host:
            with peer_of(strict, user=("host", "pass")) as peer:
                peer.publish("in/secret", "no")
                peer.publish("in/fine/1", "yes")
                await until(lambda: seen(host) == ["yes"])
            triggers = {name: one["trigger"] for name, one in host.status()["functions"].items()}
    assert "refused" not in triggers["fine"]
    assert triggers["secret"]["refused"] == "0x87, not authorised"
    assert "does not grant the subscription of 'in/secret' (0x87, not authorised); its access rules" in caplog.text


async def test_a_packet_that_is_too_large_makes_a_dead_letter_and_holds_up_nothing(tmp_path: Path) -> None:
    with broker_in(tmp_path / "broker", "max_packet_size 2000") as small, peer_of(small, "out/#") as peer:
        async with host_at(tmp_path, small, FORWARD) as host:
            for text in ("1", "x" * 3000, "2"):
                await emit(host, text)
            await until(lambda: len(peer.bodies) == 2)
            (found,) = await letters(host)
            assert standing(host)["generation"] == 1
    assert peer.bodies == ["1", "2"]
    assert found[0] == "x" * 3000
    assert "makes a packet of 3,0" in found[1]
    assert "the broker takes 2,000" in found[1]


async def test_a_message_that_is_larger_than_the_host_takes_stays_away_and_holds_up_nothing(
    tmp_path: Path, broker: Mosquitto
) -> None:
    config = '{"version": "2.0", "extensions": {"mqtt": {"maxPacketSize": 65536}}}'
    async with host_at(tmp_path, broker, KEEP, config=config) as host:
        with peer_of(broker, "in/#") as peer:
            await in_thread(peer.publish, "in/x", "y" * 66_000, "small")
            await until(lambda: len(seen(host)) == 1 and len(peer.bodies) == 2)
        assert [message.text for message in seen(host)] == ["small"]
        assert (standing(host)["generation"], standing(host)["reconnects"]) == (1, {})


async def test_a_limit_that_shrank_while_a_message_waited_makes_a_dead_letter(tmp_path: Path) -> None:
    with broker_in(tmp_path / "broker") as large:
        async with host_at(tmp_path, large, FORWARD):
            pass
        large.kill()
        async with host_at(tmp_path, large, FORWARD, waits=False) as host:
            for text in ("1", "x" * 3000, "2"):
                await emit(host, text)
            large.configure("max_packet_size 2000")
            await in_thread(large.start)
            with peer_of(large, "out/#") as peer:
                await until(lambda: host.status()["spool"]["outbox"]["messages"] == 0)
                assert [text for text, _ in await letters(host)] == ["x" * 3000]
                assert set(peer.bodies) <= {"1", "2"}


async def test_no_more_messages_are_on_their_way_than_the_broker_takes(tmp_path: Path) -> None:
    with broker_in(tmp_path / "broker", "max_inflight_messages 3") as strict, peer_of(strict, "out/#") as peer:
        async with host_at(tmp_path, strict, FORWARD) as host:
            assert host.app.services.brokers.broker("").window == 3
            await in_thread(peer.publish, "in/x", *numbers(0, 50))
            await until(lambda: len(peer.bodies) == 50)
            assert standing(host)["generation"] == 1


async def test_a_session_that_the_broker_has_forgotten_is_said(
    tmp_path: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    async with host_at(tmp_path, broker, KEEP) as host:
        name = standing(host)["client"]
        broker.kill()
        await until(lambda: not is_online(host))
        await in_thread(broker.start)
        await until(lambda: is_online(host))
        with peer_of(broker) as peer:
            peer.publish("in/x", "after")
            await until(lambda: seen(host))
    said = f"{broker.address} has forgotten the session of '{name}': messages since the last connection did not come"
    assert said in caplog.text


async def test_a_second_host_with_the_same_client_id_is_named(
    tmp_path: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    there = f"{broker.address}?clientId=twin"
    async with host_at(tmp_path / "a", broker, KEEP, MQTT_BROKER=there):
        for _ in range(20 * SUSPICIOUS):  # on a busy machine some come before the host is there again
            with peer_of(broker, name="twin"):
                pass
            if "a second host seems to run with this client id; stop the other one" in caplog.text:
                return
            await asyncio.sleep(0.3)
    pytest.fail(caplog.text)


async def test_a_broker_that_is_not_there_holds_up_neither_the_hub_nor_another_broker(
    tmp_path: Path, broker: Mosquitto
) -> None:
    code = """
@app.mqtt_trigger("m", "in/#")
@app.mqtt_output("here", "out/here")
@app.mqtt_output("there", "out/there", broker="mqtt://127.0.0.1:9")
@app.edge_hub_output("up", "up")
def f(m: str, here: edgefn.Out[str], there: edgefn.Out[str], up: edgefn.Out[str]):
    here.set(m)
    there.set(m)
    up.set(m)
"""
    with peer_of(broker, "out/#") as peer:
        async with host_at(tmp_path, broker, code, waits=False) as host:
            await emit(host, "x")
            await until(lambda: peer.bodies == ["x"])
            left = {"mqtt://127.0.0.1:9/out/there": 1}
            await until(lambda: host.status()["spool"]["outbox"]["outputs"] == left)
            assert host.app.services.hub.status()["messages"] == {"$upstream": 1}


async def test_a_host_stops_in_time_while_its_broker_is_silent(tmp_path: Path, broker: Mosquitto) -> None:
    async with host_at(tmp_path, broker, FORWARD, config=QUICK.replace('"ackTimeout": 1', '"ackTimeout": 60')) as host:
        broker.freeze()
        await emit(host, "1")
        async with asyncio.timeout(host.grace + 5):
            await host.stop()
        broker.thaw()


# --- faults of ours ----------------------------------------------------------------------------------------------


async def test_a_message_on_which_the_host_breaks_is_told_and_the_others_are_taken_in_their_order(
    tmp_path: Path, broker: Mosquitto, peer: Peer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edgefn.supervision.FIRST_PAUSE", 0.01)
    keep, once = Inbox.keep, ["3"]

    async def broken(inbox: Inbox, several: Sequence[Coming], by: Delivered) -> None:
        texts = [coming.message.text for coming in several]
        if "bad" in texts or (once and once[0] in texts and once.pop()):
            raise RuntimeError("broken")
        await keep(inbox, several, by)

    monkeypatch.setattr(Inbox, "keep", broken)
    async with host_at(tmp_path, broker, KEEP) as host:
        peer.publish("in/x", "1", "2", "bad", "3", "4")
        await until(lambda: len(seen(host)) == 4)
        peer.publish("in/x", *numbers(5, 60))
        await until(lambda: len(seen(host)) == 59)
        assert standing(host)["dropped"] == {"fault": 1}
    assert [message.text for message in seen(host)] == numbers(1, 60)
    assert "broke in a way that was not foreseen, and goes on; please report it" in caplog.text
    assert "a message of topic 'in/x' is given up: the host has failed on it 3 times" in caplog.text


async def test_subscriptions_that_the_host_breaks_on_are_told_and_asked_for_again(
    tmp_path: Path, broker: Mosquitto, peer: Peer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edgefn.supervision.FIRST_PAUSE", 0.01)
    async with host_at(tmp_path, broker, KEEP.replace("in/#", "%TOPIC%"), TOPIC="first") as host:
        with monkeypatch.context() as breaking:
            breaking.setattr(Remembered, "add", lambda remembered, names: 1 / 0)
            await host.app.services.hub.set_desired({"settings": {"TOPIC": "second"}})  # type: ignore[attr-defined]
            await until(lambda: "ZeroDivisionError" in caplog.text)
        await until(lambda: standing(host)["subscriptions"] == ["second"])
        peer.publish("second", "1")
        await until(lambda: len(seen(host)) == 1)
    assert f"Following what is wanted of {broker.address} broke" in caplog.text


async def test_a_message_that_can_not_be_handed_over_comes_again_on_a_new_connection(
    tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = ["2"]

    def refused(topic: str, body: bytes, **given: Any) -> EdgeMessage:
        if refusals and body.decode() == refusals[0]:
            raise LookupError(f"nobody foresaw {refusals.pop()}")
        return incoming(topic, body, **given)

    async with host_at(tmp_path, broker, KEEP) as host:
        monkeypatch.setattr("edgefn.mqtt.connection.incoming", refused)
        with peer_of(broker) as peer:
            await in_thread(peer.publish, "in/x", "1", "2", "3")
        await until(lambda: len(seen(host)) == 3)
        assert [message.text for message in seen(host)] == ["1", "2", "3"]
        assert "what came can not be handed over (LookupError: nobody foresaw 2)" in standing(host)["lost"]


async def test_a_connection_that_comes_about_too_late_throws_out_no_other(
    tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look-up of a name may take a minute, and the host has tried again long before."""
    late = Late(monkeypatch, dialling, "reached")
    quick = QUICK.replace('"connectTimeout": 2', '"connectTimeout": 1')
    async with host_at(tmp_path, broker, KEEP, config=quick) as host:
        assert standing(host)["generation"] == 1
        late.go.set()
        await until(lambda: late.ended == 2)
        with peer_of(broker) as peer:
            await in_thread(peer.publish, "in/x", "1")
        await until(lambda: len(seen(host)) == 1)
        assert (standing(host)["generation"], standing(host)["reconnects"]) == (1, {})
