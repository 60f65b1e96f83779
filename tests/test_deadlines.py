"""Time-outs of equal length on one timer."""

from __future__ import annotations

import asyncio

import pytest

from edgefn.deadlines import Deadlines


async def outlived(deadlines: Deadlines, wait: asyncio.Event) -> str:
    deadline = deadlines.begin()
    try:
        with deadline:
            await wait.wait()
    except asyncio.CancelledError:
        if not deadline.passed:
            raise
        return "passed"
    return "in time"


async def test_what_takes_too_long_is_cancelled_and_its_task_goes_on() -> None:
    deadlines, never = Deadlines(0.02), asyncio.Event()
    assert [await outlived(deadlines, never), await outlived(deadlines, never)] == ["passed", "passed"]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_each_of_many_at_once_has_its_own_end() -> None:
    deadlines, never, done = Deadlines(0.05), asyncio.Event(), asyncio.Event()
    tasks = [asyncio.create_task(outlived(deadlines, never if n % 2 else done)) for n in range(10)]
    await asyncio.sleep(0)
    done.set()
    assert await asyncio.gather(*tasks) == ["in time", "passed"] * 5


async def test_a_cancellation_from_elsewhere_is_no_time_out() -> None:
    task = asyncio.create_task(outlived(Deadlines(60), asyncio.Event()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_from_elsewhere_counts_more_than_a_time_out_of_the_same_moment() -> None:
    deadlines = Deadlines(0.0)

    async def both() -> None:
        deadline = deadlines.begin()
        task = asyncio.current_task()
        assert task is not None
        with deadline:
            deadline.expire()
            task.cancel()
            await asyncio.Event().wait()

    task = asyncio.create_task(both())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_what_ends_just_as_it_is_due_has_ended_in_time() -> None:
    deadlines = Deadlines(60)
    with deadlines.begin() as deadline:
        pass
    assert not deadline.passed
