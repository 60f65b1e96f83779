"""Threads for synchronous functions: bounded, replaced when they are given up, never waited for."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from edgefn.threads import Threads


async def test_calls_run_on_at_most_so_many_threads_and_all_of_them_end() -> None:
    threads = Threads(3)
    jobs = [threads.run(threading.get_ident) for _ in range(500)]
    idents = set(await asyncio.gather(*(job.future for job in jobs)))
    threads.close()
    assert 1 <= len(idents) <= 3


async def test_an_error_is_that_of_the_future() -> None:
    threads = Threads(1)

    def fail() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        await threads.run(fail).future
    assert await threads.run(lambda: "alive").future == "alive"
    threads.close()


async def test_a_thread_that_is_given_up_is_replaced_and_told_of_when_it_returns() -> None:
    threads, gate, returned = Threads(1), threading.Event(), asyncio.Event()
    stuck = threads.run(gate.wait)
    waiting = threads.run(lambda: "another thread")
    threads.give_up(stuck, returned.set)
    assert await waiting.future == "another thread"
    gate.set()
    await asyncio.wait_for(returned.wait(), 5)
    assert await threads.run(lambda: "still one").future == "still one"
    threads.close()


async def test_a_cancelled_wait_harms_nobody() -> None:
    threads, gate = Threads(1), threading.Event()
    job = threads.run(gate.wait)
    job.future.cancel()
    gate.set()
    assert await threads.run(lambda: 7).future == 7
    threads.close()


async def test_a_call_that_has_just_returned_is_not_given_up_and_its_thread_goes_on() -> None:
    """Whether the loop has heard of it yet or not."""
    threads, returned = Threads(1), list[int]()

    def tell() -> None:
        returned.append(1)

    heard = threads.run(threading.get_ident)
    ident = await heard.future
    assert not threads.give_up(heard, tell)
    done = threading.Event()
    unheard = threads.run(done.set)
    done.wait(10)
    while not unheard.has_ended:  # the loop does not turn meanwhile
        time.sleep(0)  # noqa: ASYNC251
    assert not threads.give_up(unheard, tell)
    assert {await threads.run(threading.get_ident).future for _ in range(5)} == {ident}
    assert returned == []
    threads.close()
