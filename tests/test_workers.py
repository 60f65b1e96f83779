"""How loops that take and handle begin, end and are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from edgefn.errors import EdgefnError
from edgefn.workers import work


def numbers(count: int) -> Callable[[], Awaitable[int]]:
    left = iter(range(count))

    async def take() -> int:
        await asyncio.sleep(0)
        for number in left:
            return number
        raise StopAsyncIteration

    return take


async def forever() -> int:
    await asyncio.Event().wait()
    return 0


async def test_it_ends_when_nothing_is_left_and_begins_in_the_order_of_taking() -> None:
    begun: list[int] = []

    async def handle(number: int) -> None:
        begun.append(number)
        await asyncio.sleep(0)

    await work(3, numbers(20), handle)
    assert begun == list(range(20))


async def test_the_first_cancellation_lets_what_was_taken_be_worked_off() -> None:
    begun, release, ended = asyncio.Event(), asyncio.Event(), []

    async def handle(number: int) -> None:
        begun.set()
        await release.wait()
        ended.append(number)

    task = asyncio.create_task(work(1, numbers(5), handle))
    await begun.wait()
    task.cancel()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [0]


async def test_the_second_cancellation_stops_the_work_too() -> None:
    begun, seen = asyncio.Event(), []

    async def handle(number: int) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    task = asyncio.create_task(work(1, numbers(5), handle))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]


async def test_a_loop_that_waits_is_cancelled_at_once() -> None:
    async def handle(number: int) -> None: ...

    task = asyncio.create_task(work(2, forever, handle))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_ends_the_other_loops_and_is_raised() -> None:
    async def handle(number: int) -> None:
        if number == 2:
            raise ValueError("two")

    with pytest.raises(ValueError, match="two"):
        await work(2, numbers(1000), handle)


async def test_who_is_cancelled_hears_of_it_before_what_was_taken_has_ended() -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def handle(number: int) -> None:
        begun.set()
        await release.wait()

    task = asyncio.create_task(work(1, numbers(5), handle, release.set))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert release.is_set()


async def test_what_others_cancel_is_an_error_of_the_loop_and_the_end_of_the_process_is_none() -> None:
    gone = asyncio.get_running_loop().create_future()

    async def take() -> None:
        await gone

    async def handle(taken: None) -> None:
        """Never comes to it."""

    running = asyncio.create_task(work(2, take, handle))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(EdgefnError, match="what it waited for was cancelled"):
        await running
    before, waiting = asyncio.all_tasks(), asyncio.create_task(work(2, forever, handle))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    every = asyncio.all_tasks() - before
    for task in every:  # as the end of asyncio.run does
        task.cancel()
    assert [type(end) for end in await asyncio.gather(*every, return_exceptions=True)] == [asyncio.CancelledError] * 3
    assert waiting.cancelled()
