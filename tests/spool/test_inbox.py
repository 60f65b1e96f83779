"""What came in: stored before it is accepted, run once, and kept in sight whatever happens to its function."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edgefn.contracts import HubState, Outcome, Status
from edgefn.errors import SpoolError
from edgefn.metrics import Metrics
from edgefn.spool import Spool, Subscription
from edgefn.spool.inbox import MOST_NAMES, OTHERS
from edgefn.spool.settlement import MessageSettlement
from edgefn.spool.subscription import Received
from tests.spool.ports import ScriptedHub, came, counted, out, spool_in, until


async def taken(subscription: Subscription, count: int) -> list[Received]:
    rows: list[Received] = []
    while len(rows) < count:
        rows += await subscription.take(1, 1)
    return rows


def bodies(rows: Sequence[Received]) -> list[bytes]:
    return [row.message.body for row in rows]


async def kill(spool: Spool) -> None:
    """Ends a spool as a kill would: nothing is said to the file any more."""
    await spool.sender.stop()
    await spool._store.close()
    spool._lock.release()


async def test_what_was_accepted_is_there_after_a_kill_and_in_order(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        spool.inbox.subscribe("f", "in")
        for number in range(50):
            await spool.inbox.on_input(came(str(number)))
    async with spool_in(tmp_path, functions=["f"]) as spool:
        rows = await taken(spool.inbox.subscribe("f", "in"), 50)
    assert bodies(rows) == [str(number).encode() for number in range(50)]


async def test_each_function_on_an_input_gets_the_message(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        several = [spool.inbox.subscribe(name, place) for name, place in (("a", "IN"), ("b", "in"), ("c", "*"))]
        other = spool.inbox.subscribe("d", "else")
        await spool.inbox.on_input(came("x"))
        for subscription in several:
            assert bodies(await taken(subscription, 1)) == [b"x"]
        assert other.depth == 0


async def test_outputs_leave_when_and_only_when_their_message_is_done(tmp_path: Path) -> None:
    hub = ScriptedHub()
    async with spool_in(tmp_path, hub) as spool:
        subscription = spool.inbox.subscribe("f", "in")
        await spool.inbox.on_input(came("x"))
        rows = await taken(subscription, 1)
        settlement = subscription.settlement(rows)
        settlement.begin()
        settlement.put(out("half done"))
        settlement.begin()  # the first attempt failed
        settlement.put(out("done"))
        assert spool.outbox.totals.messages == 0
        await subscription.done(rows, settlement.outputs)
        await spool.idle()
        assert spool.inbox.totals() == (0, 0)
    assert hub.bodies == [b"done"]


async def test_an_input_that_is_run_again_gives_its_outputs_the_same_ids(tmp_path: Path) -> None:
    ids = []
    for _ in range(2):
        async with spool_in(tmp_path, functions=["f"]) as spool:
            subscription = spool.inbox.subscribe("f", "in")
            if not ids:
                await spool.inbox.on_input(came("x"))
            settlement = subscription.settlement(await taken(subscription, 1))
            first = settlement.next_id()
            settlement.put(out("1"))
            ids.append((first, settlement.next_id()))
            await kill(spool)
    assert ids[0] == ids[1]
    assert ids[0][0] != ids[0][1]


async def test_a_message_that_comes_again_after_a_lost_connection_is_stored_once(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        subscription = spool.inbox.subscribe("f", "in")
        spool.on_state(HubState.ONLINE)
        await spool.inbox.on_input(came("x", message_id="1"))
        spool.on_state(HubState.OFFLINE)
        spool.on_state(HubState.ONLINE)
        await spool.inbox.on_input(came("x", message_id="1"))
        assert spool.inbox.totals()[0] == 1
        assert bodies(await taken(subscription, 1)) == [b"x"]


async def test_a_message_that_comes_again_after_a_kill_is_stored_once(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        spool.inbox.subscribe("f", "in")
        await spool.inbox.on_input(came("x", message_id="1"))
        await kill(spool)
    async with spool_in(tmp_path, functions=["f"]) as spool:
        spool.inbox.subscribe("f", "in")
        await spool.inbox.on_input(came("x", message_id="1"))
        assert spool.inbox.totals()[0] == 1


@pytest.mark.parametrize("message_id", ["", "always the same"])
async def test_a_sender_that_uses_an_id_twice_or_none_loses_nothing(tmp_path: Path, message_id: str) -> None:
    async with spool_in(tmp_path) as spool:
        spool.inbox.subscribe("f", "in")
        for _ in range(20):
            await spool.inbox.on_input(came("tick", message_id=message_id))
        for number in range(20):
            await spool.inbox.on_input(came(f"{number}", message_id=message_id))
        assert spool.inbox.totals()[0] == 40


async def test_a_sender_that_counts_anew_after_its_restart_loses_nothing(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        spool.inbox.subscribe("f", "in")
        for start in range(3):
            spool.on_state(HubState.CONNECTING)
            for number in range(10):
                await spool.inbox.on_input(came(f"value {start}.{number}", message_id=str(number)))
        assert spool.inbox.totals()[0] == 30


async def test_an_equal_message_after_a_redelivered_one_is_a_new_one(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        spool.inbox.subscribe("f", "in")
        for _ in range(2):
            spool.on_state(HubState.CONNECTING)
            await spool.inbox.on_input(came("x", message_id="1"))
        await spool.inbox.on_input(came("x", message_id="1"))
        assert spool.inbox.totals()[0] == 2


async def test_names_of_inputs_without_end_cost_neither_memory_nor_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At a broker an input is a topic, and topics may have the id of a request in them."""
    metrics = Metrics()
    async with spool_in(tmp_path, metrics=metrics) as spool:
        spool.inbox.subscribe("f", "in")
        for number in range(MOST_NAMES + 50):
            await spool.inbox.on_input(came("x", f"requests/{number}"))
        await spool.inbox.on_input(came("x"))
        samples = [each for family in metrics.registry.collect() for each in family.samples]
    for name in ("edgefn_inbox_received_total", "edgefn_inbox_unheard_total"):
        counted = {each.labels["input"]: each.value for each in samples if each.name == name}
        assert len(counted) <= MOST_NAMES + 2
        assert (sum(counted.values()), counted[OTHERS]) == (
            MOST_NAMES + 50 + (name == "edgefn_inbox_received_total"),
            50,
        )
    assert caplog.text.count("no function listens to it") == MOST_NAMES + 1


async def test_a_full_inbox_takes_nothing_more_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with spool_in(tmp_path, inbox={"maxMessages": 3}) as spool:
        subscription = spool.inbox.subscribe("f", "in")
        for number in range(3):
            await spool.inbox.on_input(came(str(number)))
        waiting = [asyncio.ensure_future(spool.inbox.on_input(came(str(number)))) for number in (3, 4)]
        done, _ = await asyncio.wait(waiting, timeout=0.05)
        assert not done
        for _ in range(5):
            rows = await taken(subscription, 1)
            await subscription.done(rows, [])
        await asyncio.gather(*waiting)
        monkeypatch.setattr("edgefn.spool.inbox.PATIENCE", 0.05)
        for number in range(3):
            await spool.inbox.on_input(came(str(number)))
        with pytest.raises(SpoolError, match=r"the inbox is full .3 messages.*the message stays with the hub"):
            await spool.inbox.on_input(came("one too many"))


async def test_a_failed_attempt_is_remembered_with_the_time_of_the_next(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        subscription = spool.inbox.subscribe("f", "in")
        await spool.inbox.on_input(came("x"))
        settlement = subscription.settlement(await taken(subscription, 1))
        await settlement.failed(ValueError("bad"), 0.5)
        await kill(spool)
    async with spool_in(tmp_path, functions=["f"]) as spool:
        subscription = spool.inbox.subscribe("f", "in")
        began = spool._store.clock.now()
        rows = await taken(subscription, 1)
        assert rows[0].attempts == 1
        assert spool._store.clock.now() >= rows[0].due
        assert spool._store.clock.now() - began < 5


async def test_a_dead_letter_has_reason_traceback_and_attempts(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        subscription = spool.inbox.subscribe("f", "in")
        await spool.inbox.on_input(came("x", properties={"k": "v"}))
        rows = await taken(subscription, 1)
        try:
            raise ValueError("no number")
        except ValueError as error:
            await subscription.dead(rows, error)
        letter = (await spool.dead_letters())[0]
        assert (letter.box, letter.function, letter.name, letter.attempts) == ("inbox", "f", "in", 1)
        assert letter.reason == "ValueError: no number"
        assert 'raise ValueError("no number")' in letter.traceback
        assert letter.message.properties == {"k": "v"}
        assert spool.inbox.totals() == (0, 0)


async def test_a_dead_letter_that_is_replayed_runs_again(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        subscription = spool.inbox.subscribe("f", "in")
        await spool.inbox.on_input(came("x"))
        await subscription.dead(await taken(subscription, 1), ValueError("bad"))
        number = (await spool.dead_letters())[0].id
        assert await spool.replay(number)
        assert not await spool.replay(number)
        assert bodies(await taken(subscription, 1)) == [b"x"]
        assert await spool.dead_letters() == []


async def test_dead_letters_are_bounded_and_the_oldest_goes_which_is_told_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with spool_in(tmp_path, deadLetters={"maxMessages": 3}) as spool:
        subscription = spool.inbox.subscribe("f", "in")
        for number in range(5):
            await spool.inbox.on_input(came(str(number)))
            await subscription.dead(await taken(subscription, 1), ValueError(str(number)))
        assert [letter.message.body for letter in await spool.dead_letters()] == [b"4", b"3", b"2"]
        assert counted(spool._metrics, "edgefn_spool_dead_letters_dropped") == 2
        assert caplog.text.count("There are too many dead letters, or too old ones: the oldest go") == 1
        assert await spool.discard((await spool.dead_letters())[0].id)
        assert len(await spool.dead_letters()) == 2
    async with spool_in(tmp_path, functions=["f"], deadLetters={"maxAge": 0.001}) as spool:
        assert await spool.dead_letters() == []


async def test_a_message_that_ends_the_process_each_time_is_a_dead_letter(tmp_path: Path) -> None:
    options = {"inbox": {"maxCrashes": 3}}
    async with spool_in(tmp_path, **options) as spool:
        spool.inbox.subscribe("f", "in")
        for body in ("poison", "good"):
            await spool.inbox.on_input(came(body))
    for _ in range(3):
        async with spool_in(tmp_path, functions=["f"], **options) as spool:
            assert bodies(await spool.inbox.subscribe("f", "in").take(10, 10))[0] == b"poison"
            await kill(spool)
    async with spool_in(tmp_path, functions=["f"], **options) as spool:
        await until(lambda: spool.inbox.totals()[0] == 1)
        assert bodies(await taken(spool.inbox.subscribe("f", "in"), 1)) == [b"good"]
        letter = (await spool.dead_letters())[0]
        assert letter.message.body == b"poison"
        assert letter.reason == "the process ended 3 times while its function ran for it"


async def test_a_stop_in_good_order_counts_against_no_message(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        spool.inbox.subscribe("f", "in")
        await spool.inbox.on_input(came("slow"))
    for _ in range(6):
        async with spool_in(tmp_path, functions=["f"]) as spool:
            row = (await taken(spool.inbox.subscribe("f", "in"), 1))[0]
            assert row.crashes == 0


async def test_messages_of_a_function_that_is_gone_are_dead_letters(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        spool.inbox.subscribe("old", "in")
        await spool.inbox.on_input(came("x"))
    async with spool_in(tmp_path, functions=["new"]) as spool:
        assert [letter.reason for letter in await spool.dead_letters()] == ["the app has no function 'old' any more"]


async def test_messages_are_kept_for_functions_that_can_not_be_loaded_for_now(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        spool.inbox.subscribe("f", "in")
        await kill(spool)
    async with spool_in(tmp_path) as spool:
        spool.inbox.subscribe("f", "in")
        await spool.inbox.begin(["f"])
    async with spool_in(tmp_path, functions=None) as spool:  # its module has a syntax error today
        await spool.inbox.on_input(came("kept"))
        assert spool.inbox.totals()[0] == 1


async def test_many_more_messages_than_memory_takes_are_read_from_the_file(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        subscription = spool.inbox.subscribe("f", "in")
        for number in range(3000):
            await spool.inbox.on_input(came(f"{number:04}"))
        assert subscription.depth <= 1024
        seen = []
        for _ in range(3000):
            rows = await taken(subscription, 1)
            seen += bodies(rows)
            await subscription.done(rows, [])
    assert seen == [f"{number:04}".encode() for number in range(3000)]


@pytest.mark.parametrize("own", [True, False], ids=["stored by the function's trigger", "from the hub"])
async def test_a_message_runs_also_where_its_bringer_is_cancelled_while_it_is_stored(tmp_path: Path, own: bool) -> None:
    async with spool_in(tmp_path, functions=["f"]) as spool:
        ours = spool.inbox.subscribe("f", "in")
        assert await ours.next(1) is None
        storing = ours.store(came("x"), lambda connection: None) if own else spool.inbox.on_input(came("x"))
        bringer = asyncio.ensure_future(storing)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        bringer.cancel()
        async with asyncio.timeout(10):
            (row,) = await ours.take(1, 1)
        assert row.message.text == "x"


async def at_its_end(spool: Spool, undone: list[str]) -> tuple[Subscription, MessageSettlement]:
    """A function whose run for one message has put an output, and is about to end; ``undone`` tells what is undone."""
    ours = spool.inbox.subscribe("f", "in")
    await spool.inbox.on_input(came("x"))
    settlement = ours.settlement(await ours.take(1, 1))
    settlement.put(out("done"))
    settlement.otherwise(lambda: undone.append("done"))
    return ours, settlement


async def test_the_end_of_a_message_holds_also_where_who_stores_it_is_cancelled(tmp_path: Path) -> None:
    hub, undone = ScriptedHub(), list[str]()
    async with spool_in(tmp_path, hub, functions=["f"]) as spool:
        ours, settlement = await at_its_end(spool, undone)
        ending = asyncio.ensure_future(settlement.end(Outcome(Status.OK)))
        await asyncio.sleep(0)
        ending.cancel()
        settlement.back()
        await until(lambda: spool.inbox.totals()[0] == 0)
        await spool.sent()
        assert await ours.next(1) is None
    assert (hub.bodies, undone) == ([b"done"], [])


async def test_a_message_whose_end_can_not_be_stored_comes_again_where_its_run_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, undone = ScriptedHub(), list[str]()
    async with spool_in(tmp_path, hub, functions=["f"]) as spool:
        ours, settlement = await at_its_end(spool, undone)

        async def full(*_: Any) -> None:
            raise SpoolError("the disk is full")

        monkeypatch.setattr(spool.outbox, "store", full)
        ending = asyncio.ensure_future(settlement.end(Outcome(Status.OK)))
        await asyncio.sleep(0)
        ending.cancel()
        settlement.back()
        async with asyncio.timeout(10):
            (row,) = await ours.take(1, 1)
    assert (row.message.text, undone, hub.bodies) == ("x", ["done"], [])


async def test_a_message_whose_outputs_no_file_takes_is_a_dead_letter(tmp_path: Path) -> None:
    async with spool_in(tmp_path, functions=["f"]) as spool:
        ours = spool.inbox.subscribe("f", "in")
        await spool.inbox.on_input(came("x"))
        settlement = ours.settlement(await ours.take(1, 1))
        settlement.put(out("y", output=7))  # type: ignore[arg-type]
        await settlement.end(Outcome(Status.OK))
        (letter,) = await spool.dead_letters()
    assert (letter.message.text, letter.reason) == ("x", "AttributeError: 'int' object has no attribute 'encode'")
