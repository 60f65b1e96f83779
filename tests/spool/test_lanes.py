"""The outbox with several destinations: each has its order, its sender and its bounds; all share dead letters."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edgefn.contracts import EdgeMessage, HubState, Outgoing
from edgefn.errors import HubError, NotConnected, Refused
from edgefn.metrics import Metrics
from edgefn.spool import FILE, Spool, SpoolOptions, connect
from edgefn.spool.schema import MIGRATIONS, VERSION, open_file, salvage
from tests.spool.ports import ScriptedHub, counted, out, spool_in, until

BROKER = "mqtt://box:1883"


class ScriptedBroker:
    """A destination beside the hub: takes messages, or raises what ``answer`` gives for one."""

    def __init__(self) -> None:
        self.state = HubState.ONLINE
        self.window = 5
        self.arrived: list[tuple[str, float | None]] = []
        self.answer: Callable[[EdgeMessage], HubError | None] = lambda message: None

    def check(self, message: EdgeMessage) -> None: ...

    async def publish(self, message: EdgeMessage, left: float | None) -> None:
        if error := self.answer(message):
            raise error
        self.arrived.append((message.text, left))

    @property
    def bodies(self) -> list[str]:
        return [body for body, _ in self.arrived]


def to_broker(body: str, **options: float) -> Outgoing:
    return replace(out(body, f"{BROKER}/alarms"), destination=BROKER, **options)  # type: ignore[arg-type]


async def test_each_destination_gets_its_messages_in_their_order(tmp_path: Path) -> None:
    hub, broker = ScriptedHub(), ScriptedBroker()
    async with spool_in(tmp_path, hub) as spool:
        spool.serve(BROKER, broker)
        for number in range(30):
            await spool.outbox.put([to_broker(f"b{number}"), out(f"h{number}")])
        await spool.idle()
        await until(lambda: spool.outbox.totals.messages == 0)
    assert broker.bodies == [f"b{number}" for number in range(30)]
    assert hub.bodies == [f"h{number}".encode() for number in range(30)]


async def test_one_that_is_away_holds_up_no_other_and_gets_all_after_a_restart(tmp_path: Path) -> None:
    hub, broker = ScriptedHub(), ScriptedBroker()
    broker.state, broker.answer = HubState.OFFLINE, lambda message: NotConnected("away")
    async with spool_in(tmp_path, hub) as spool:
        spool.serve(BROKER, broker)
        await spool.outbox.put([to_broker("1"), out("h"), to_broker("2")])
        await until(lambda: hub.bodies == [b"h"])
        await spool.idle()
        await until(lambda: spool.outbox.status()["outputs"] == {f"{BROKER}/alarms": 2})
    back = ScriptedBroker()
    async with spool_in(tmp_path, hub) as spool:
        spool.serve(BROKER, back)
        await until(lambda: back.bodies == ["1", "2"])


@pytest.mark.parametrize("when_full", ["drop_oldest", "drop_newest", "dead_letter", "block"])
async def test_a_broker_that_is_away_for_long_costs_the_hub_no_message(tmp_path: Path, when_full: str) -> None:
    """Also where no function names that broker any more."""
    bounds = {"max_messages": 5, "when_full": when_full}
    async with spool_in(tmp_path, outbox=bounds) as spool:
        broker = ScriptedBroker()
        broker.state, broker.answer = HubState.OFFLINE, lambda message: NotConnected("away")
        spool.serve(BROKER, broker)
        for number in range(5 if when_full == "block" else 9):
            await spool.outbox.put([to_broker(f"b{number}")])
        assert spool.outbox.totals.messages == 5
    for _ in range(2):
        hub = ScriptedHub()
        async with spool_in(tmp_path, hub, outbox=bounds) as spool, asyncio.timeout(20):
            for number in range(9):
                await spool.outbox.put([out(f"h{number}")])
                await spool.idle()
        assert hub.bodies == [f"h{number}".encode() for number in range(9)]


async def test_a_destination_is_told_what_is_left_of_the_time_that_was_declared(tmp_path: Path) -> None:
    broker = ScriptedBroker()
    async with spool_in(tmp_path) as spool:
        spool.serve(BROKER, broker)
        await spool.outbox.put([to_broker("short", ttl=60.0), to_broker("long")])
        await spool.idle()
    (short, left), (long, none) = broker.arrived
    assert (short, long, none) == ("short", "long", None)
    assert left is not None
    assert 50 < left <= 60


async def test_what_a_broker_refuses_is_a_dead_letter_that_goes_back_to_it(tmp_path: Path) -> None:
    broker = ScriptedBroker()
    broker.answer = lambda message: Refused("not authorised") if message.text == "secret" else None
    async with spool_in(tmp_path) as spool:
        spool.serve(BROKER, broker)
        await spool.outbox.put([to_broker("a"), to_broker("secret"), to_broker("b")])
        await until(lambda: broker.bodies == ["a", "b"])
        await until(lambda: spool.outbox.totals.messages == 0)
        (letter,) = await spool.dead_letters()
        assert (letter.name, letter.reason) == (f"{BROKER}/alarms", "not authorised")
        broker.answer = lambda message: None
        assert await spool.replay(letter.id)
        await until(lambda: broker.bodies == ["a", "b", "secret"])


async def test_a_letter_that_is_replayed_is_worth_something_whatever_its_output_declared(tmp_path: Path) -> None:
    hub, broker = ScriptedHub(), ScriptedBroker()
    broker.answer = lambda message: Refused("not authorised")
    async with spool_in(tmp_path, hub) as spool:
        spool.serve(BROKER, broker)
        await spool.outbox.put([to_broker("alarm", ttl=60.0)])
        await until(lambda: spool.outbox.totals.messages == 0)
        (letter,) = await spool.dead_letters()
        broker.answer = lambda message: None
        assert await spool.replay(letter.id)
        await until(lambda: broker.arrived == [("alarm", None)])


async def test_a_letter_whose_body_was_too_large_to_be_kept_is_not_replayed_without_it(tmp_path: Path) -> None:
    async with spool_in(tmp_path, dead_letters={"max_bytes": 1024}) as spool:
        await spool.outbox.put([out(b"x" * 300_000)])
        (letter,) = await spool.dead_letters()
        assert "(its body of 300000 bytes is not kept)" in letter.reason
        assert not await spool.replay(letter.id)
        assert await spool.discard(letter.id)


async def test_a_loss_is_told_of_the_broker_that_it_was_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with spool_in(tmp_path, outbox={"max_messages": 1}) as spool:
        broker = ScriptedBroker()
        broker.state, broker.answer = HubState.OFFLINE, lambda message: NotConnected("away")
        spool.serve(BROKER, broker)
        await spool.outbox.put([to_broker("1"), to_broker("2")])
    assert f"messages of output '{BROKER}/alarms' are not kept; is {BROKER} away, or too slow?" in caplog.text


async def test_what_was_for_a_broker_that_nobody_names_any_more_is_kept_until_it_is_too_old(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        broker = ScriptedBroker()
        broker.state, broker.answer = HubState.OFFLINE, lambda message: NotConnected("away")
        spool.serve(BROKER, broker)
        await spool.outbox.put([to_broker("old", ttl=0.001), to_broker("young")])
    async with spool_in(tmp_path) as spool:
        assert spool.outbox.totals.messages == 1


async def test_what_waits_for_a_broker_that_no_function_sends_to_is_told_and_expires_while_the_host_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edgefn.spool.unserved.EVERY", 0.02)
    async with spool_in(tmp_path) as spool:
        away = ScriptedBroker()
        away.state, away.answer = HubState.OFFLINE, lambda message: NotConnected("away")
        spool.serve("mqtt://away", away)
        await spool.outbox.put([replace(to_broker(body), destination="mqtt://away") for body in ("1", "2")])
    metrics = Metrics()
    spool = Spool(tmp_path, SpoolOptions(), ScriptedHub(), metrics)
    await spool.open()
    await spool.begin([])
    spool.follow_unserved()
    await until(lambda: "2 messages wait for mqtt://away, to which no function that runs sends" in caplog.text)
    assert spool.status()["outbox"]["unserved"] == {"mqtt://away": 2}
    assert metrics.registry.get_sample_value("edgefn_spool_unserved_messages") == 2
    with closing(connect(tmp_path / FILE)) as file:
        file.execute("UPDATE outbox SET expires = 0 WHERE id = 1")
    await until(lambda: spool.outbox.totals.messages == 1)
    assert counted(metrics, "edgefn_spool_lost", output=f"{BROKER}/alarms", cause="expired") == 1
    spool.serve("mqtt://away", served := ScriptedBroker())
    await until(lambda: served.bodies == ["2"])
    assert "unserved" not in spool.status()["outbox"]
    await spool.close()


def test_a_file_of_the_first_version_keeps_what_is_in_it(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as first:
        first.executescript(MIGRATIONS[0])
        first.execute("INSERT INTO meta VALUES ('id', 'x')")
        first.execute("INSERT INTO outbox VALUES (7, 'out', 3, 0, 9e9, '{}', 'abc')")
        first.execute("INSERT INTO recent VALUES (1, 'print', '4.1')")
        first.execute("PRAGMA user_version=1")
    first.close()
    connection, note = open_file(tmp_path, power=False)
    assert note == ""
    assert connection.execute("PRAGMA user_version").fetchone()[0] == VERSION
    assert connection.execute("SELECT id, body, destination FROM outbox").fetchall() == [(7, "abc", "")]
    assert connection.execute("SELECT source, fingerprint, connection FROM seen").fetchall() == [("", "print", "4.1")]
    connection.close()


def test_a_damaged_file_of_the_first_version_is_salvaged(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "damaged.db") as first:
        first.executescript(MIGRATIONS[0])
        first.execute("INSERT INTO outbox VALUES (7, 'out', 3, 0, 9e9, '{}', 'abc')")
    first.close()
    connection, _ = open_file(tmp_path, power=False)
    assert salvage(tmp_path / "damaged.db", connection) == 1
    assert connection.execute("SELECT id, destination FROM outbox").fetchall() == [(7, "")]
    connection.close()
