"""``infer_async``: order, failures, cancellation and threads."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from edgefn.errors import ModelError
from edgefn.sessions import requests
from edgefn.sessions.requests import Line, Requests

Open = Callable[..., Any]
DETECTOR = "sample/street-detector.xml"


def frames(count: int) -> list[Any]:
    random = np.random.default_rng(3)
    return [random.integers(0, 255, (60 + 7 * (n % 5), 100, 3), np.uint8) for n in range(count)]


@pytest.fixture(scope="module")
def session(opened: Open) -> Any:
    return opened(DETECTOR, "detection", threshold=0.02)


class Pool:
    """A pool whose inferences end when the test lets them."""

    def __init__(self, size: int) -> None:
        self.requests = Requests("pool", range(size))
        self.gates = [threading.Event() for _ in range(20)]
        self.ran: list[int] = []

    def run(self, number: int) -> int:
        slot = self.requests.take()
        try:
            assert self.gates[number].wait(10)
            self.ran.append(number)
            if number % 5 == 4:
                raise ValueError(f"number {number} is refused")
            return number
        finally:
            self.requests.give(slot)

    def ask(self, line: Line, number: int) -> asyncio.Future[Any]:
        ticket = line.join(self.run, number)
        self.requests.submit(ticket)
        return ticket.future


async def test_synchronous_and_pipelined_results_are_the_same_in_the_same_order(session: Any) -> None:
    pictures = frames(40)
    ended: list[int] = []

    async def one(number: int) -> Any:
        found = await session.infer_async(pictures[number])
        ended.append(number)
        return found

    found = await asyncio.gather(*(one(number) for number in range(40)))
    assert ended == list(range(40))
    assert found == [session.infer(picture) for picture in pictures]
    assert any(found)


def test_many_threads_share_the_requests(session: Any) -> None:
    pictures = frames(40)
    expected = [session.infer(picture) for picture in pictures]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(session.infer, pictures)) == expected


async def test_threads_and_coroutines_run_side_by_side(session: Any) -> None:
    pictures = frames(20)
    both = zip(pictures, pictures[::-1], strict=True)
    asked = [(session.infer_async(a), asyncio.to_thread(session.infer, b)) for a, b in both]
    found = await asyncio.gather(*(call for pair in asked for call in pair))
    assert found[0::2] == found[1::2][::-1]


async def test_a_failed_call_keeps_its_place(session: Any) -> None:
    calls = [session.infer_async(data) for data in (*frames(3), "no picture", *frames(3))]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in found] == [list, list, list, TypeError, list, list, list]
    assert found[:3] == found[4:]


async def test_cancelled_calls_leave_the_others_alone(session: Any) -> None:
    pictures = frames(30)
    tasks = [asyncio.create_task(session.infer_async(picture)) for picture in pictures]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in found[::3])
    kept = [number for number in range(30) if number % 3]
    assert [found[number] for number in kept] == [session.infer(pictures[number]) for number in kept]


async def test_results_wait_for_those_that_were_asked_for_before() -> None:
    pool, line = Pool(3), Line(asyncio.get_running_loop(), 3)
    futures = [pool.ask(line, number) for number in range(3)]
    ended: list[int] = []
    for future in futures:
        future.add_done_callback(lambda future: ended.append(future.result()))
    for number in (2, 1, 0):
        assert ended == []
        pool.gates[number].set()
    await asyncio.gather(*futures)
    assert sorted(pool.ran) == ended == [0, 1, 2]
    pool.requests.close()


async def test_a_cancelled_call_that_has_not_begun_is_not_run() -> None:
    pool, line = Pool(1), Line(asyncio.get_running_loop(), 1)
    first, second, third = (pool.ask(line, number) for number in range(3))
    second.cancel()
    for gate in pool.gates:
        gate.set()
    assert (await first, await third) == (0, 2)
    assert pool.ran == [0, 2]
    pool.requests.close()


async def test_errors_reach_their_own_callers() -> None:
    pool, line = Pool(2), Line(asyncio.get_running_loop(), 2)
    for gate in pool.gates:
        gate.set()
    found = await asyncio.gather(*(pool.ask(line, number) for number in range(6)), return_exceptions=True)
    assert [str(result) for result in found] == ["0", "1", "2", "3", "number 4 is refused", "5"]
    pool.requests.close()


async def test_what_still_waits_when_the_pool_closes_is_an_error() -> None:
    pool, line = Pool(1), Line(asyncio.get_running_loop(), 1)
    running, waiting = (pool.ask(line, number) for number in range(2))
    closing = asyncio.create_task(asyncio.to_thread(pool.requests.close))
    pool.gates[0].set()
    pool.gates[1].set()
    await closing
    late = pool.ask(line, 2)
    *early, last = await asyncio.gather(running, waiting, late, return_exceptions=True)
    assert all(isinstance(result, int | ModelError) for result in early)
    assert isinstance(last, ModelError)


def test_a_loop_that_ended_early_does_not_hurt_the_next(session: Any) -> None:
    async def impatient() -> None:
        asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)  # type: ignore[union-attr]
        await asyncio.gather(*(session.infer_async(picture) for picture in frames(8)))

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(impatient())
    assert asyncio.run(session.infer_async(frames(1)[0])) == session.infer(frames(1)[0])


async def test_no_picture_is_kept_after_its_result(session: Any) -> None:
    picture = frames(1)[0]
    gone = weakref.ref(picture)
    await session.infer_async(picture)
    await session.infer_async(frames(1)[0])
    del picture
    gc.collect()
    assert gone() is None


async def delivered(futures: list[asyncio.Future[Any]]) -> list[Any]:
    """The results that have come by the next turn of the loop."""
    for _ in range(3):
        await asyncio.sleep(0)
    return [future.result() for future in futures if future.done()]


async def test_in_a_long_line_quick_results_come_together_and_the_last_ones_alone() -> None:
    line = Line(asyncio.get_running_loop(), 1)
    tickets = [line.join(lambda number: number, number) for number in range(6)]
    futures = [ticket.future for ticket in tickets]
    for ticket in tickets[:4]:
        ticket.work()
    assert await delivered(futures) == []  # the fifth keeps the request busy meanwhile
    tickets[4].work()
    assert await delivered(futures) == [0, 1, 2, 3, 4]
    tickets[5].work()
    assert await delivered(futures) == [0, 1, 2, 3, 4, 5]


async def test_a_result_does_not_wait_for_slow_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "PATIENCE", 0.0)
    line = Line(asyncio.get_running_loop(), 1)
    tickets = [line.join(lambda number: number, number) for number in range(6)]
    tickets[0].work()
    assert await delivered([ticket.future for ticket in tickets]) == [0]
