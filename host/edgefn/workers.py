"""Loops that take something and work it off, and how they stop: the manner in which listeners listen.

The first cancellation stops the taking and lets what was taken be worked off; a second one stops that too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from edgefn.errors import EdgefnError

T = TypeVar("T")
LAST_WISH = 1.0
"""Seconds that work gets to end after the second cancellation, in case it does not heed it."""


class _Worker(Generic[T]):
    def __init__(self, take: Callable[[], Awaitable[T]], handle: Callable[[T], Awaitable[Any]]) -> None:
        self._take = take
        self._handle = handle
        self._handling = False
        self._stopped = False
        self.task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        try:
            await self._loop()
        except asyncio.CancelledError:
            if self.task.cancelling():
                raise
            raise EdgefnError("what it waited for was cancelled") from None

    async def _loop(self) -> None:
        while not self._stopped:
            try:
                taken = await self._take()
            except StopAsyncIteration:
                return
            self._handling = True  # no await since the taking: works are begun in the order in which they are taken
            await self._handle(taken)
            self._handling = False

    def stop(self) -> None:
        self._stopped = True
        if not self._handling:
            self.task.cancel()


async def work(
    count: int,
    take: Callable[[], Awaitable[T]],
    handle: Callable[[T], Awaitable[Any]],
    stopping: Callable[[], None] = lambda: None,
) -> None:
    """Runs ``count`` loops of ``take`` and ``handle``; returns when ``take`` raised StopAsyncIteration in each.

    ``take`` must lose nothing when it is cancelled while it waits. An error in one loop ends the others, after what
    they handle, and is raised; what a loop waits for may not be cancelled by others, which is an error too.
    ``stopping`` is called on cancellation, before what is handled then has ended.
    """
    workers = [_Worker(take, handle) for _ in range(count)]
    tasks = [worker.task for worker in workers]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        await _stop(workers)
    except asyncio.CancelledError:
        stopping()
        await _stop(workers)
        raise
    for task in ended:
        task.result()


async def _stop(workers: list[_Worker[T]]) -> None:
    tasks = [worker.task for worker in workers]
    for worker in workers:
        worker.stop()
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=LAST_WISH)
        raise
