"""What waits for the hub: its bounds, and what happens at them."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgefn.contracts import EdgeMessage, HubState
from edgefn.errors import NotConnected, SettingError
from edgefn.metrics import Metrics
from edgefn.settings import HostConfig
from edgefn.spool import Spool, SpoolOptions, spool_options
from edgefn.spool.lanes import HUB
from tests.spool.ports import LIMIT, ScriptedHub, counted, out, spool_in, until


def shut() -> ScriptedHub:
    """A hub that answers nothing."""
    hub = ScriptedHub()
    hub.open.clear()
    return hub


async def delivered(hub: ScriptedHub, spool: Spool) -> list[bytes]:
    hub.open.set()
    await spool.idle()
    return hub.bodies


async def test_what_was_put_is_still_there_after_the_process_ended(tmp_path: Path) -> None:
    async with spool_in(tmp_path, shut()) as spool:
        await spool.outbox.put([out("a"), out("b")])
    hub = ScriptedHub()
    async with spool_in(tmp_path, hub) as spool:
        await spool.idle()
    assert hub.bodies == [b"a", b"b"]
    assert [message.message_id for message in hub.arrived] == ["id-b'a'", "id-b'b'"]


async def test_all_of_a_message_is_kept(tmp_path: Path) -> None:
    first = out("a")
    message = dataclasses.replace(
        first.message,
        body=bytes(range(256)),
        properties={"ä": "ö&=%", "empty": ""},
        correlation_id="c",
        content_type="application/octet-stream",
        content_encoding="",
        created=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    )
    async with spool_in(tmp_path, shut()) as spool:
        await spool.outbox.put([dataclasses.replace(first, message=message)])
    hub = ScriptedHub()
    async with spool_in(tmp_path, hub) as spool:
        await spool.idle()
    assert hub.arrived == [message]


async def test_at_the_bound_the_oldest_of_the_output_goes_by_default(tmp_path: Path) -> None:
    hub = shut()
    async with spool_in(tmp_path, hub, outbox={"maxMessages": 3}) as spool:
        await spool.outbox.put([out("x", "other")])
        for number in range(5):
            await spool.outbox.put([out(str(number))])
        assert await delivered(hub, spool) == [b"x", b"3", b"4"]


async def test_an_output_may_rather_lose_the_newest(tmp_path: Path) -> None:
    hub = shut()
    async with spool_in(tmp_path, hub, outbox={"maxMessages": 2, "whenFull": "dropNewest"}) as spool:
        for number in range(4):
            await spool.outbox.put([out(str(number))])
        assert await delivered(hub, spool) == [b"0", b"1"]


async def test_an_output_may_rather_wait(tmp_path: Path) -> None:
    hub = shut()
    async with spool_in(tmp_path, hub, outbox={"maxMessages": 2}) as spool:
        for number in range(2):
            await spool.outbox.put([out(str(number), when_full="block")])
        waiting = asyncio.ensure_future(spool.outbox.put([out("2", when_full="block")]))
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        assert not done
        hub.open.set()
        await waiting
        assert await delivered(hub, spool) == [b"0", b"1", b"2"]


async def test_an_output_may_leave_dead_letters_at_the_bound(tmp_path: Path) -> None:
    hub = shut()
    async with spool_in(tmp_path, hub, outbox={"maxMessages": 1, "whenFull": "dead_letter"}) as spool:
        for number in range(3):
            await spool.outbox.put([out(str(number))])
        letters = await spool.dead_letters()
        assert [letter.message.body for letter in letters] == [b"2", b"1"]
        assert letters[0].reason.startswith("the outbox is full: 1 messages")
        assert await delivered(hub, spool) == [b"0"]


async def test_bytes_are_bounded_too(tmp_path: Path) -> None:
    hub = shut()
    async with spool_in(tmp_path, hub, outbox={"maxBytes": 10_000}) as spool:
        for number in range(10):
            await spool.outbox.put([out(f"{number}" * 2500)])
        assert spool.outbox.totals.bytes <= 10_000
        assert [body[:1] for body in await delivered(hub, spool)][-3:] == [b"7", b"8", b"9"]


async def test_each_loss_is_counted_by_output_and_cause(tmp_path: Path) -> None:
    metrics, hub = Metrics(), shut()
    spool = Spool(tmp_path, SpoolOptions.model_validate({"outbox": {"maxMessages": 1}}), hub, metrics)
    await spool.open()
    await spool.begin([])
    for number in range(3):
        await spool.outbox.put([out(str(number))])
    await spool.outbox.put([out(b"x" * LIMIT)])
    assert counted(metrics, "edgefn_spool_lost", output="out", cause="full") == 2
    assert counted(metrics, "edgefn_spool_lost", output="out", cause="too_large") == 1
    await spool.close()


@pytest.mark.parametrize(("size", "fits"), [(LIMIT - 60, True), (LIMIT + 1, False)])
async def test_a_message_that_the_hub_never_takes_is_a_dead_letter_at_once(
    tmp_path: Path, size: int, *, fits: bool
) -> None:
    hub = ScriptedHub()
    async with spool_in(tmp_path, hub) as spool:
        await spool.outbox.put([out("before"), out(b"x" * size), out("after")])
        await spool.idle()
        assert len(hub.arrived) == (3 if fits else 2)
        letters = await spool.dead_letters()
        assert [len(letter.message.body) for letter in letters] == ([] if fits else [size])


async def test_a_message_that_is_too_old_is_not_sent(tmp_path: Path) -> None:
    hub = shut()
    async with spool_in(tmp_path, hub) as spool:
        hub.window = 1
        await spool.outbox.put([out("first"), out("second")])
        await spool.outbox.put([out("short", ttl=0.01), out("long", ttl=60.0)])
        began = spool._store.clock.now()
        await until(lambda: spool._store.clock.now() > began + 0.02)
        assert await delivered(hub, spool) == [b"first", b"second", b"long"]


async def test_messages_that_may_be_lost_go_past_the_file(tmp_path: Path) -> None:
    hub = ScriptedHub(window=2)
    async with spool_in(tmp_path, hub) as spool:
        spool.outbox.pass_by(out("now").message)
        await until(lambda: hub.bodies == [b"now"])
        hub.open.clear()
        for number in range(5):
            spool.outbox.pass_by(out(str(number)).message)
        assert spool.outbox.totals.messages == 0
        hub.open.set()
        await until(lambda: len(hub.bodies) == 3)
        hub.answer = lambda message: NotConnected("away")
        spool.outbox.pass_by(out("lost").message)
        await until(lambda: not spool.outbox.lanes[HUB].flying)
        assert spool.outbox.totals.messages == 0


async def test_many_more_messages_than_memory_takes_keep_their_order(tmp_path: Path) -> None:
    hub = shut()
    async with spool_in(tmp_path, hub) as spool:
        for start in range(0, 5000, 100):
            await spool.outbox.put([out(f"{number:05}") for number in range(start, start + 100)])
        assert spool.outbox.tail.near <= 1024
        assert await delivered(hub, spool) == [f"{number:05}".encode() for number in range(5000)]


def test_a_wrong_option_is_named_with_those_that_there_are() -> None:
    config = HostConfig({"version": "2.0", "extensions": {"spool": {"outbox": {"maxByte": 5}}}})
    with pytest.raises(SettingError, match=r"host.json: extensions.spool.outbox.maxByte: .*mean 'maxBytes'.*whenFull"):
        spool_options(config, Path("app"))
    config = HostConfig({"version": "2.0", "extensions": {"spool": {"outbox": {"whenFull": "explode"}}}})
    with pytest.raises(SettingError, match=r"extensions.spool.outbox.whenFull: .*'drop_oldest'.*found 'explode'"):
        spool_options(config, Path("app"))


async def test_a_message_leaves_also_where_who_stores_it_is_cancelled(tmp_path: Path) -> None:
    hub = ScriptedHub()
    async with spool_in(tmp_path, hub) as spool:
        await spool.outbox.put([out("1")])
        await spool.sent()
        storing = asyncio.ensure_future(spool.outbox.put([out("2")]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        storing.cancel()
        await until(lambda: hub.bodies == [b"1", b"2"])


async def test_a_value_that_no_file_takes_is_an_error_of_who_puts_it_and_not_of_the_file(tmp_path: Path) -> None:
    hub = ScriptedHub()
    async with spool_in(tmp_path, hub) as spool:
        odd = dataclasses.replace(out("x"), message=EdgeMessage({"a": 1}, output_name="out"))  # type: ignore[arg-type]
        both = await asyncio.gather(*(spool.outbox.put([each]) for each in (odd, out("1"))), return_exceptions=True)
        assert isinstance(both[0], sqlite3.Error)
        assert both[1] is None
        await until(lambda: hub.bodies == [b"1"])
        assert spool.fault == ""


async def test_a_hub_that_is_away_for_long_costs_no_memory_for_the_messages_that_had_to_go(tmp_path: Path) -> None:
    """Each of them would be kept in mind by its number, for days."""
    hub = ScriptedHub()
    hub.state, hub.answer = HubState.OFFLINE, lambda message: NotConnected("away")
    async with spool_in(tmp_path, hub, outbox={"max_messages": 10}) as spool:
        for first in range(0, 4000, 200):
            await spool.outbox.put([out(str(number)) for number in range(first, first + 200)])
        assert len(spool.outbox.tail._gone) <= spool.outbox.tail.near
        hub.state, hub.answer = HubState.ONLINE, lambda message: None
        spool.on_state(hub.state)
        await until(lambda: len(hub.bodies) == 10)
        await spool.sent()
    assert hub.bodies == [str(number).encode() for number in range(3990, 4000)]


async def test_a_message_that_will_not_fit_anyway_costs_none_of_those_that_wait(tmp_path: Path) -> None:
    async with spool_in(tmp_path, shut(), outbox={"max_bytes": 4096}) as spool:
        await spool.outbox.put([out(b"o" * 2000, "other"), out("old")])
        for size in (2000, 5000):
            await spool.outbox.put([out(b"n" * size)])
        assert spool.outbox.status()["outputs"] == {"other": 1, "out": 1}
        assert counted(spool._metrics, "edgefn_spool_lost", output="out", cause="full") == 2
        await spool.outbox.put([out(b"n" * 1000)])
        assert spool.outbox.status()["outputs"] == {"other": 1, "out": 1}  # the newest, in the place of the oldest
