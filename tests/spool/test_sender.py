"""How the outbox gets to the hub: in order, once more after a loss, and around a message that the hub can not bear."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from pathlib import Path

import pytest

from edgefn.contracts import EdgeMessage, HubState
from edgefn.errors import AckTimeout, ConnectionLost, HubError, NotConnected, TooLarge
from edgefn.spool import Outbox, Spool
from tests.spool.ports import ScriptedHub, out, spool_in, until


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the first pause after an error a short one."""
    monkeypatch.setattr("edgefn.spool.sender.PAUSE", 0.001)


async def put(spool: Spool, count: int, output: str = "out") -> list[bytes]:
    bodies = [f"{output} {number:04}".encode() for number in range(count)]
    await spool.outbox.put([out(body, output) for body in bodies])
    return bodies


async def test_no_more_are_on_their_way_than_the_hub_allows(tmp_path: Path) -> None:
    hub = ScriptedHub(window=7)
    async with spool_in(tmp_path, hub) as spool:
        bodies = await put(spool, 200)
        await spool.idle()
    assert hub.most_at_once <= 7
    assert hub.bodies == bodies


@pytest.mark.parametrize("error", [NotConnected("a"), ConnectionLost("b"), AckTimeout("c"), HubError("d")])
async def test_after_an_error_it_goes_on_at_the_first_that_is_not_acknowledged(tmp_path: Path, error: HubError) -> None:
    hub = ScriptedHub()
    left = [3]

    def sometimes(message: EdgeMessage) -> HubError | None:
        if message.body.endswith(b"7") and left[0]:
            left[0] -= 1
            return error
        return None

    hub.answer = sometimes
    async with spool_in(tmp_path, hub) as spool:
        bodies = await put(spool, 40)
        await until(lambda: len(set(hub.bodies)) == 40)
    assert set(hub.bodies) == set(bodies)
    assert [body for body in hub.bodies if hub.bodies.count(body) > 1] == []


async def test_first_arrivals_keep_their_order_however_often_the_connection_ends(tmp_path: Path) -> None:
    hub, dice = ScriptedHub(), random.Random(3)
    down = [False]

    def storm(message: EdgeMessage) -> HubError | None:
        if not down[0] and dice.random() < 0.03:
            down[0] = True
            asyncio.get_running_loop().call_later(0.01, lambda: down.__setitem__(0, False))
        return ConnectionLost("cut") if down[0] else None

    hub.answer = storm
    async with spool_in(tmp_path, hub) as spool:
        bodies = await put(spool, 300)
        await until(lambda: len(set(hub.bodies)) == 300, 30)
    assert list(dict.fromkeys(hub.bodies)) == bodies
    assert len({message.message_id for message in hub.arrived}) == 300


@pytest.mark.usefixtures("quick")
async def test_a_message_on_which_the_hub_ends_the_connection_is_found_and_set_aside(tmp_path: Path) -> None:
    hub = ScriptedHub()
    hub.answer = lambda message: ConnectionLost("closed") if b"poison" in message.body else None
    async with spool_in(tmp_path, hub) as spool:
        await spool.outbox.put([out("a"), out("poison"), out("b"), out("c")])
        await until(lambda: len(hub.arrived) == 3, 30)
        letters = await spool.dead_letters()
    assert hub.bodies == [b"a", b"b", b"c"]
    assert [letter.message.body for letter in letters] == [b"poison"]
    assert letters[0].attempts == 5
    assert letters[0].reason == "the hub ended the connection on it 5 times, and took the message after it"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_message_on_which_sending_breaks_is_told_and_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, at_once: bool
) -> None:
    hub = ScriptedHub()
    publish = hub.publish

    def broken(message: EdgeMessage) -> Awaitable[None]:
        if at_once and message.body == b"odd":
            raise ValueError("odd")
        return publish(message)

    monkeypatch.setattr(hub, "publish", broken)
    hub.answer = lambda message: ValueError("odd") if message.body == b"odd" else None
    async with spool_in(tmp_path, hub) as spool:
        await spool.outbox.put([out("a"), out("odd"), out("b")])
        await until(lambda: hub.bodies == [b"a", b"b"])
        await spool.outbox.put([out("c")])
        await until(lambda: spool.outbox.totals.messages == 0)
        (letter,) = await spool.dead_letters()
    assert hub.bodies == [b"a", b"b", b"c"]
    assert letter.reason == "the hub broke (ValueError: odd) on it 5 times, and took the message after it"
    assert "Sending a message of output 'out' broke: ValueError: odd; please report it" in caplog.text


@pytest.mark.usefixtures("quick")
async def test_a_hub_that_ends_every_connection_makes_no_dead_letters(tmp_path: Path) -> None:
    hub, losses = ScriptedHub(), [0]

    def always(message: EdgeMessage) -> HubError:
        losses[0] += 1
        return ConnectionLost("closed")

    hub.answer = always
    async with spool_in(tmp_path, hub) as spool:
        bodies = await put(spool, 4)
        await until(lambda: losses[0] >= 8, 30)
        hub.answer = lambda message: None
        spool.on_state(HubState.ONLINE)
        await until(lambda: len(hub.arrived) == 4)
        assert await spool.dead_letters() == []
    assert hub.bodies == bodies


async def test_a_message_that_turns_out_too_large_goes_alone(tmp_path: Path) -> None:
    hub = ScriptedHub()
    hub.answer = lambda message: TooLarge("too large today") if b"big" in message.body else None
    async with spool_in(tmp_path, hub) as spool:
        await spool.outbox.put([out("a"), out("big"), out("b")])
        await until(lambda: len(hub.arrived) == 2)
        await until(lambda: spool.outbox.totals.messages == 0)
        letters = await spool.dead_letters()
    assert [(letter.message.body, letter.reason) for letter in letters] == [(b"big", "too large today")]


async def test_it_waits_for_a_hub_that_is_away_and_sends_when_that_is_back(tmp_path: Path) -> None:
    hub = ScriptedHub()
    hub.state = HubState.OFFLINE
    tries = [0]

    def away(message: EdgeMessage) -> HubError:
        tries[0] += 1
        return NotConnected("away")

    hub.answer = away
    async with spool_in(tmp_path, hub) as spool:
        bodies = await put(spool, 30)
        await spool.idle()  # it is as far as it can come
        assert tries[0] == 1
        hub.state, hub.answer = HubState.ONLINE, lambda message: None
        spool.on_state(HubState.ONLINE)
        await until(lambda: hub.bodies == bodies)


async def test_a_hub_that_comes_and_goes_at_once_does_not_hold_the_event_loop(tmp_path: Path) -> None:
    hub = ScriptedHub()
    hub.state, hub.answer = HubState.OFFLINE, lambda message: NotConnected("away")
    async with spool_in(tmp_path, hub) as spool:
        bodies = await put(spool, 3)
        await spool.idle()
        spool.on_state(HubState.ONLINE)
        spool.on_state(HubState.OFFLINE)
        await asyncio.wait_for(asyncio.sleep(0.3), 5)
        hub.state, hub.answer = HubState.ONLINE, lambda message: None
        spool.on_state(HubState.ONLINE)
        await until(lambda: hub.bodies == bodies)


async def test_an_adapter_that_breaks_is_no_end_of_sending(tmp_path: Path) -> None:
    hub = ScriptedHub()
    broken = [True]

    def once(message: EdgeMessage) -> BaseException | None:
        if broken[0]:
            broken[0] = False
            return RuntimeError("a fault of the adapter")
        return None

    hub.answer = once
    async with spool_in(tmp_path, hub) as spool:
        bodies = await put(spool, 3)
        await until(lambda: len(hub.arrived) == 3)
        assert spool.sender.last_error == "RuntimeError: a fault of the adapter"
    assert hub.bodies == bodies


async def test_a_fault_of_ours_is_told_and_sending_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edgefn.supervision.FIRST_PAUSE", 0.01)
    hub = ScriptedHub()
    async with spool_in(tmp_path, hub) as spool:
        with monkeypatch.context() as breaking:
            breaking.setattr(Outbox, "is_clogged", property(lambda outbox: 1 / 0))
            await spool.outbox.put([out("1"), out("2")])
            await until(lambda: "ZeroDivisionError" in caplog.text)
        await spool.sent()
    assert hub.bodies == [b"1", b"2"]
    assert "Sending broke in a way that was not foreseen, and goes on; please report it" in caplog.text
