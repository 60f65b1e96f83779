"""What edgefn.contracts promises of a hub, on every hub there is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edgefn.contracts import EdgeMessage, HubState, MethodReply, MethodRequest
from edgefn.errors import HubError, NotConnected, SpoolError, TooLarge
from tests.contracts.adapters import ADAPTERS, LONGEST_STOP, Adapter, Opened, settled
from tests.hubs.sinks import until
from tests.standin.hubs import HubProcess


def needs(part: str) -> pytest.MarkDecorator:
    """A test of a part that not every hub has: skipped, with the reason, where it is missing."""
    skipped = [
        pytest.mark.skip(f"{adapter.name}: {adapter.missing[part]}") if part in adapter.missing else ()
        for adapter in ADAPTERS
    ]
    params = [pytest.param(a, id=a.name, marks=marks) for a, marks in zip(ADAPTERS, skipped, strict=True)]
    return pytest.mark.parametrize("adapter", params, indirect=True)


def message(body: str) -> EdgeMessage:
    return EdgeMessage(body.encode(), output_name="out", message_id=f"id {body[:20]}")


@pytest.fixture(params=ADAPTERS, ids=lambda adapter: adapter.name)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    found: Adapter = request.param
    return found


@pytest.fixture
async def opened(adapter: Adapter, tmp_path: Path, shared_hub: HubProcess) -> AsyncIterator[Opened]:
    async with adapter.open(tmp_path, shared_hub) as there:
        yield there


def test_the_reasons_for_skipping_belong_to_tests() -> None:
    tests = Path(__file__).read_text()
    assert all(f'@needs("{part}")' in tests for adapter in ADAPTERS for part in adapter.missing)


# --- publish -------------------------------------------------------------------------------------------------------


async def test_publish_returns_when_the_hub_has_the_message(opened: Opened) -> None:
    await opened.hub.publish(message("1"))
    assert await opened.far.arrived() == ["1"]


async def test_messages_arrive_in_the_order_of_the_calls(opened: Opened) -> None:
    window = opened.hub.window
    for first in range(0, 100, window):
        await asyncio.gather(*(opened.hub.publish(message(str(first + n))) for n in range(window)))
    assert await opened.far.arrived() == [str(n) for n in range(len(await opened.far.arrived()))]
    assert len(await opened.far.arrived()) >= 100


async def test_a_message_that_is_too_large_is_refused_before_it_is_published(opened: Opened) -> None:
    large = message("1" * 262_145)
    with pytest.raises(TooLarge):
        opened.hub.check(large)
    opened.hub.check(message("1" * 260_000))


@needs("away")
async def test_without_the_hub_publish_fails_at_once_and_the_message_never_arrives(opened: Opened) -> None:
    await opened.far.away()
    await until(lambda: opened.hub.state is not HubState.ONLINE)
    began = time.monotonic()
    with pytest.raises(NotConnected):
        await opened.hub.publish(message("1"))
    assert time.monotonic() - began < 0.1
    await opened.far.back()
    await until(lambda: opened.hub.state is HubState.ONLINE)
    await opened.hub.publish(message("2"))
    assert await opened.far.arrived() == ["2"]


@needs("silence")
async def test_what_is_not_acknowledged_fails_and_is_not_said_to_have_arrived(opened: Opened) -> None:
    await opened.far.keep_silent()
    began = time.monotonic()
    ends = await settled(*(opened.hub.publish(message(str(n))) for n in range(opened.hub.window)))
    assert all(isinstance(end, HubError) and not isinstance(end, NotConnected) for end in ends)
    assert time.monotonic() - began < 20
    await until(lambda: opened.hub.state is HubState.ONLINE)
    await opened.hub.publish(message("after"))


@needs("silence")
async def test_nothing_is_held_beyond_the_window(opened: Opened) -> None:
    await opened.far.keep_silent()
    waiting = [asyncio.ensure_future(opened.hub.publish(message(str(n)))) for n in range(opened.hub.window)]
    with pytest.raises(HubError):
        await asyncio.wait_for(asyncio.ensure_future(opened.hub.publish(message("more"))), 0.5)
    await opened.hub.stop()
    await settled(*waiting)
    assert "more" not in await opened.far.arrived()


# --- what comes in -------------------------------------------------------------------------------------------------


async def test_messages_come_to_the_input_that_they_were_sent_to_in_order(opened: Opened) -> None:
    await opened.far.send(*(str(n) for n in range(50)), to="in")
    await until(lambda: len(opened.sink.inputs) == 50)
    assert opened.sink.texts == [str(n) for n in range(50)]
    assert {came.input_name for came in opened.sink.inputs} == {"in"}


@needs("redelivery")
async def test_the_next_message_comes_when_the_one_before_was_taken(opened: Opened) -> None:
    taken = asyncio.Event()
    offered: list[str] = []

    async def take(came: EdgeMessage) -> None:
        offered.append(came.text)
        await taken.wait()

    opened.sink.take = take
    await opened.far.send("1", "2", to="in")
    await until(lambda: offered == ["1"])
    taken.set()
    await until(lambda: opened.sink.texts == ["1", "2"])


@needs("redelivery")
async def test_a_message_that_could_not_be_taken_comes_again(opened: Opened) -> None:
    refusals = [SpoolError("full"), SpoolError("still full")]

    async def take(came: EdgeMessage) -> None:
        if refusals:
            raise refusals.pop()

    opened.sink.take = take
    await opened.far.send("1", "2", to="in")
    await until(lambda: opened.sink.texts == ["1", "2"])


@needs("redelivery")
async def test_messages_that_were_sent_while_the_hub_was_away_come_afterwards(opened: Opened) -> None:
    await opened.far.away()
    await until(lambda: opened.hub.state is not HubState.ONLINE)
    await opened.far.send("1", "2", to="in")
    await opened.far.back()
    await until(lambda: opened.sink.texts == ["1", "2"])


# --- twin and methods ----------------------------------------------------------------------------------------------


async def test_reported_properties_are_read_back(opened: Opened) -> None:
    await opened.hub.report({"state": "up"})
    assert (await opened.hub.twin()).reported["state"] == "up"


@needs("desired")
async def test_desired_properties_are_read_and_changes_come_in_order(opened: Opened) -> None:
    for number in range(3):
        await opened.far.set_twin({"n": number})
    await until(lambda: [patch["n"] for patch in opened.sink.patches] == [0, 1, 2])
    twin = await opened.hub.twin()
    assert (twin.desired["n"], twin.version) == (2, opened.sink.patches[-1]["$version"])


@needs("methods")
async def test_a_direct_method_is_answered_by_the_sink(opened: Opened) -> None:
    async def answer(request: MethodRequest) -> MethodReply:
        return MethodReply(207, [request.name, request.payload])

    opened.sink.answer = answer
    assert await opened.far.invoke("look", {"at": 1}) == (207, ["look", {"at": 1}])


@needs("methods")
async def test_a_method_that_runs_holds_up_neither_messages_nor_other_methods(opened: Opened) -> None:
    ended = asyncio.Event()

    async def answer(request: MethodRequest) -> MethodReply:
        if request.name == "slow":
            await ended.wait()
        return MethodReply(200)

    opened.sink.answer = answer
    slow = asyncio.ensure_future(opened.far.invoke("slow", None))
    await until(lambda: opened.sink.methods)
    await opened.far.send("1", to="in")
    await until(lambda: opened.sink.texts == ["1"])
    assert (await opened.far.invoke("quick", None))[0] == 200
    ended.set()
    assert (await slow)[0] == 200


# --- life ----------------------------------------------------------------------------------------------------------


@needs("states")
async def test_the_state_is_told_with_its_time_the_number_of_the_connection_and_the_reason(opened: Opened) -> None:
    assert opened.sink.states[-1] is HubState.ONLINE
    first = opened.hub.status()
    assert (first["state"], first["generation"]) == (HubState.ONLINE, 1)
    await opened.far.away()
    await until(lambda: HubState.ONLINE not in opened.sink.states[-1:])
    await opened.far.back()
    await until(lambda: opened.sink.states[-1] is HubState.ONLINE)
    second = opened.hub.status()
    assert (second["generation"], bool(second["lost"])) == (2, True)
    assert second["since"] >= first["since"]


async def test_the_status_has_a_name_and_a_state(opened: Opened) -> None:
    assert (opened.hub.status()["name"], opened.hub.status()["state"]) == (opened.hub.name, opened.hub.state)


async def test_stop_ends_everything_in_time(opened: Opened) -> None:
    await opened.hub.publish(message("1"))
    began = time.monotonic()
    await opened.hub.stop()
    assert time.monotonic() - began < LONGEST_STOP
    assert opened.hub.state is HubState.OFFLINE
    with pytest.raises(HubError):
        await opened.hub.publish(message("2"))


@needs("silence")
async def test_stop_fails_what_is_on_its_way(opened: Opened) -> None:
    await opened.far.keep_silent()
    waiting = [asyncio.ensure_future(opened.hub.publish(message(str(n)))) for n in range(3)]
    await asyncio.sleep(0)
    began = time.monotonic()
    await opened.hub.stop()
    assert time.monotonic() - began < LONGEST_STOP
    ends = await asyncio.wait_for(settled(*waiting), 1)
    assert all(isinstance(end, HubError) for end in ends)
