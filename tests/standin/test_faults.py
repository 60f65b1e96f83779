"""Each fault on demand does what it says, to whom it says, for as long as it says."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgefn.errors import HubError
from edgefn.standin.faults import KINDS, Faults, parse_fault
from edgefn.standin.packets import publish
from tests.standin.hubs import LONGEST, HubProcess, running_hub, wait_until
from tests.standin.mqtt import Module, connect_packet, module, trusting
from tests.standin.sdk import created, sdk_module

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves sockets open


@pytest.fixture(autouse=True)
def _clear(request: pytest.FixtureRequest) -> Iterator[None]:
    """A hub that is shared has no faults after a test."""
    yield
    if "hub" in request.fixturenames:
        request.getfixturevalue("hub").control.clear()


def upstream(hub: HubProcess, name: str) -> list[str]:
    return [found.text for found in hub.control.upstream() if found.module == name]


def trust_bundle(hub: HubProcess, seconds: float = LONGEST) -> int:
    """Asks the workload API; the status of its answer. Raises OSError where there is no answer."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(seconds)
    try:
        connection.sock.connect(str(hub.folder / "workload.sock"))
        connection.request("GET", "/trust-bundle?api-version=2021-12-07")
        return connection.getresponse().status
    finally:
        connection.close()


# --- how faults are named --------------------------------------------------------------------------------------------


def test_options_have_the_values_given_or_their_own() -> None:
    fault = parse_fault("refuse-connect count=2 module=cam share=0.5")
    assert fault.status() == {
        "fault": "refuse-connect", "code": 5.0, "module": "cam", "left": 2.0, "share": 0.5, "struck": 0,
    }  # fmt: skip
    assert parse_fault(["poison", "text=a b"]).own == {"text": "a b"}
    assert parse_fault('poison text="a b"').own == {"text": "a b"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no name of a fault; faults: kill-connections, "),
        ("freez", "fault 'freez': there is none of that name; did you mean 'freeze'?; faults: kill-"),
        ("freeze 5", "fault freeze: no option '5'; options: seconds="),
        ("refuse-connect cod=5", "no option 'cod=5'; did you mean 'code'?; options: code=, module=, seconds="),
        ("lose-pubacks share=2", "fault lose-pubacks: share=2; a number from 0 to 1 would be right"),
        ("lose-pubacks count=-1", "count=-1; a number from 0 on would be right"),
        ("lose-pubacks count=many", "count=many; a number from 0 on would be right"),
        ('poison text="', "no name of a fault"),
    ],
)
def test_a_wrong_fault_is_refused_with_what_would_be_right(text: str, said: str) -> None:
    with pytest.raises(HubError) as raised:
        parse_fault(text)
    assert said in str(raised.value)


async def test_a_fault_strikes_so_often_so_many_and_for_so_long() -> None:
    faults = Faults()
    loop = asyncio.get_running_loop()
    twice = parse_fault("lose-pubacks count=2 module=cam")
    faults.hold(twice, loop.call_later)
    assert [faults.strike("lose-pubacks", name) is twice for name in ("log", "cam", "cam", "cam")] == [
        False, True, True, False,
    ]  # fmt: skip
    some = parse_fault("lose-pubacks share=0.5 module=log")
    faults.hold(some, loop.call_later)
    hits = sum(faults.strike("lose-pubacks", "log") is some for _ in range(1000))
    assert 400 < hits == some.struck < 600
    short = parse_fault("no-connack seconds=0.01")
    faults.hold(short, loop.call_later)
    await asyncio.wait_for(short.over.wait(), LONGEST)
    assert faults.strike("no-connack") is None
    assert faults.clear() == 2
    assert not faults


def test_every_fault_has_a_test_and_is_in_the_guide() -> None:
    tests, guide = Path(__file__).read_text(), (Path(__file__).parents[2] / "docs" / "stand-in.md").read_text()
    assert [name for name in KINDS if f'fault("{name}"' not in tests or f"`{name}`" not in guide] == []


# --- connections -----------------------------------------------------------------------------------------------------


def test_connections_are_killed_of_one_module_or_of_all(hub: HubProcess) -> None:
    with module(hub, "k1") as first, module(hub, "k2") as second:
        hub.control.fault("kill-connections", module="k1")
        first.wait_until_lost()
        second.publish("out", "still here")
        hub.control.fault("kill-connections")
        second.wait_until_lost()


@pytest.mark.parametrize("code", [2, 3, 4, 5])
def test_connect_is_refused_with_a_code_as_often_as_asked_for(hub: HubProcess, code: int) -> None:
    hub.control.fault("refuse-connect", code=code, count=1, module="refused")
    client = Module(hub, "refused")
    assert client.connect() == code
    client.wait_until_lost()
    client.leave()
    hub.wait_for_line(f"edge/refused: CONNECT is answered with {code}: as asked for")
    with module(hub, "refused"):
        pass


def test_a_connect_gets_no_answer(hub: HubProcess) -> None:
    hub.control.fault("no-connack", count=1)
    client = Module(hub, "unanswered")
    client._client.username_pw_set(client.username, client.password)
    client._client.connect(hub.address, 8883)
    client._client.loop_start()
    hub.wait_for_line("edge/unanswered: its CONNECT is not answered")
    assert client.code is None
    client.vanish()
    with module(hub, "unanswered"):
        pass


def test_tcp_is_accepted_and_tls_never_begins(hub: HubProcess) -> None:
    hub.control.fault("no-tls", count=1)
    with socket.create_connection((hub.address, 8883)) as plain:
        plain.settimeout(0.3)
        with pytest.raises(TimeoutError):
            trusting(hub).wrap_socket(plain, server_hostname=hub.address)
    with module(hub, "later"):
        pass


def test_the_certificate_is_for_another_host(hub: HubProcess) -> None:
    hub.control.fault("wrong-host-name", count=1)
    client = Module(hub, "careful")
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate is not valid for"):
        client.connect()
    with module(hub, "careful"):
        pass


def test_a_connection_ends_in_the_middle_of_a_packet(hub: HubProcess) -> None:
    hub.control.fault("abort-packet", bytes=20_000, count=1, module="half")
    with module(hub, "half") as client:
        client.publish("out", b"x" * 10_000)
        client.send("out", b"y" * 200_000)
        client.wait_until_lost()
    assert [len(text) for text in upstream(hub, "half")] == [10_000]
    with module(hub, "half") as client:
        client.publish("out", b"y" * 200_000)
    assert len(upstream(hub, "half")) == 2


async def test_the_sdk_lives_on_after_a_connection_ended_in_the_middle_of_a_packet(hub: HubProcess) -> None:
    async with sdk_module(hub.env("cut"), connection_retry_interval=1) as client:
        hub.control.fault("abort-packet", bytes=20_000, count=1, module="cut")
        sending = asyncio.create_task(client.send_message_to_output("x" * 200_000, "out"))
        await asyncio.to_thread(hub.wait_for_line, "bytes of a packet have arrived, as asked for")
        await asyncio.wait([sending], timeout=LONGEST)
        await asyncio.wait_for(client.send_message_to_output("after", "out"), LONGEST)
    assert upstream(hub, "cut")[-1] == "after"


def test_a_poisonous_message_ends_the_connection_each_time(hub: HubProcess) -> None:
    hub.control.fault("poison", text="bad apple", module="eve")
    for _ in range(2):
        with module(hub, "eve") as client:
            client.publish("out", "good")
            client.send("out", "a bad apple it is")
            client.wait_until_lost()
    assert upstream(hub, "eve") == ["good", "good"]


def test_sessions_are_forgotten(hub: HubProcess) -> None:
    with module(hub, "amnesia") as client:
        client.subscribe()
        hub.control.fault("forget-sessions", module="amnesia")
        client.wait_until_lost()
    with module(hub, "amnesia") as client:
        assert client.session_present is False
        assert hub.client("amnesia")["subscriptions"] == []


def test_the_hub_freezes(hub: HubProcess) -> None:
    with module(hub, "patient") as client:

        def seconds() -> float:
            began = time.monotonic()
            client.publish("out", "x")
            return time.monotonic() - began

        hub.control.fault("freeze", seconds=0.7)
        wait_until(lambda: seconds() > 0.5)


# --- acknowledgements ------------------------------------------------------------------------------------------------


def test_acknowledgements_are_lost_and_the_messages_stored(hub: HubProcess) -> None:
    hub.control.fault("lose-pubacks", count=2, module="unsure")
    with module(hub, "unsure") as client:
        numbers = [client.send("out", text) for text in "abc"]
        wait_until(lambda: client.acks == numbers[2:])
        assert upstream(hub, "unsure") == ["a", "b", "c"]


def test_acknowledgements_come_late(hub: HubProcess) -> None:
    hub.control.fault("delay-pubacks", by=0.5, count=1, module="slow")
    with module(hub, "slow") as client:
        began = time.monotonic()
        late, soon = client.send("out", "a"), client.send("out", "b")
        wait_until(lambda: client.acks == [soon, late])
        assert time.monotonic() - began >= 0.5


def test_acknowledgements_come_twice(hub: HubProcess) -> None:
    """Seen on the wire, since clients make nothing of the second one."""
    hub.control.fault("double-pubacks", count=1, module="echo")
    client = Module(hub, "echo")
    with trusting(hub).wrap_socket(socket.create_connection((hub.address, 8883)), server_hostname=hub.address) as tls:
        tls.sendall(connect_packet(client))
        assert tls.recv(4) == b"\x20\x02\x00\x00"
        for number, expected in ((1, b"\x40\x02\x00\x01" * 2), (2, b"\x40\x02\x00\x02")):
            tls.sendall(publish(f"{client.base}/messages/events/", b"x", packet_id=number))
            assert tls.recv(100) == expected


def test_the_hub_dies_when_it_has_stored_and_before_it_acknowledges(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        hub.control.fault("die-before-puback", after=3)
        client = Module(hub, "cam")
        client.connect()
        client.publish("out", "1")
        client.publish("out", "2")
        client.send("out", "3")
        assert hub.wait_for_end() == -9
        client.leave()
        assert len(client.acks) == 2
        assert hub.sql("SELECT COUNT(*) FROM upstream") == [(3,)]
        hub.start()
        with module(hub, "cam") as again:
            again.publish("out", "4")


# --- twins and methods -----------------------------------------------------------------------------------------------


def test_answers_for_the_twin_are_lost(hub: HubProcess) -> None:
    hub.control.fault("lose-twin-answers", count=1, module="ignored")
    with module(hub, "ignored") as client:
        client.subscribe("$iothub/twin/res/#")
        client.publish_on("$iothub/twin/GET/?$rid=1", "")
        client.publish_on("$iothub/twin/GET/?$rid=2", "")
        assert client.next().topic == "$iothub/twin/res/200/?$rid=2"
        assert client.came.empty()


async def test_method_requests_come_twice_with_one_id(hub: HubProcess) -> None:
    hub.control.fault("double-methods", count=1, module="double")
    with module(hub, "double") as client:
        client.subscribe("$iothub/methods/POST/#")
        asked = asyncio.create_task(asyncio.to_thread(hub.control.invoke, "double", "m", {"n": 1}))
        first, second = [await asyncio.to_thread(client.next) for _ in range(2)]
        assert first.topic == second.topic
        request = first.topic.partition("$rid=")[2]
        for status in (200, 500):
            await asyncio.to_thread(client.publish_on, f"$iothub/methods/res/{status}/?$rid={request}", "{}")
        assert (await asked).status == 200


# --- the workload API ------------------------------------------------------------------------------------------------


def test_the_workload_api_answers_503(hub: HubProcess) -> None:
    hub.control.fault("workload-503", count=1)
    assert [trust_bundle(hub), trust_bundle(hub)] == [503, 200]


def test_the_workload_api_hangs_until_the_fault_is_over(hub: HubProcess) -> None:
    hub.control.fault("workload-hang", seconds=0.5)
    with pytest.raises(TimeoutError):
        trust_bundle(hub, seconds=0.1)
    assert trust_bundle(hub) == 200


def test_the_workload_api_is_slow(hub: HubProcess) -> None:
    hub.control.fault("workload-slow", by=0.4, count=1)
    began = time.monotonic()
    assert trust_bundle(hub) == 200
    assert time.monotonic() - began >= 0.4


def test_the_socket_of_the_workload_api_is_gone_until_the_fault_is_over(hub: HubProcess) -> None:
    hub.control.fault("workload-gone")
    wait_until(lambda: not (hub.folder / "workload.sock").exists())
    with pytest.raises(FileNotFoundError):
        trust_bundle(hub)
    hub.control.clear()
    wait_until((hub.folder / "workload.sock").exists)
    assert trust_bundle(hub) == 200


async def test_tokens_are_signed_with_another_key(hub: HubProcess) -> None:
    hub.control.fault("wrong-signature", count=1)
    client = await asyncio.to_thread(created, hub.env("forged"), connection_retry=False)
    with pytest.raises(Exception, match=r"[Cc]redential"):
        await asyncio.wait_for(client.connect(), LONGEST)
    await client.shutdown()
    hub.wait_for_line("edge/forged: CONNECT is answered with 5: the token is signed with another key")


async def test_new_certificates_keep_those_out_who_trust_the_old_root(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        old = trusting(hub)
        with module(hub, "cam") as client:
            hub.control.fault("rotate-ca")
            client.wait_until_lost()
        with socket.create_connection((hub.address, 8883)) as plain, pytest.raises(ssl.SSLCertVerificationError):
            old.wrap_socket(plain, server_hostname=hub.address)
        hub.restart()
        async with sdk_module(hub.env("cam")) as sdk:
            await sdk.send_message_to_output("new", "out")
        assert upstream(hub, "cam") == ["new"]


# --- from the first moment -------------------------------------------------------------------------------------------


def test_faults_of_the_command_line_hold_from_the_first_moment(tmp_path: Path) -> None:
    with running_hub(tmp_path, "--fault", "workload-gone", "--fault", "refuse-connect code=3 count=1") as hub:
        wait_until(lambda: not (hub.folder / "workload.sock").exists())
        client = Module(hub, "cam")
        assert client.connect() == 3
        client.leave()
        assert [held["fault"] for held in hub.control.status()["faults"]] == ["workload-gone", "refuse-connect"]
        hub.restart()
        hub.control.clear()
        wait_until((hub.folder / "workload.sock").exists)
        assert json.loads(json.dumps(hub.control.status()))["faults"] == []
