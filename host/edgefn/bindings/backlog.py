"""What waits between functions and something slow: never more than so much, and what has to go is counted."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BeforeValidator

from edgefn.places import snake
from edgefn.supervision import for_ever

log = logging.getLogger("edgefn.host")

T = TypeVar("T")


def _word(value: object) -> object:
    return snake(value.strip()).removeprefix("_") if isinstance(value, str) else value


WhenFull = Annotated[Literal["drop_oldest", "drop_newest", "block"], BeforeValidator(_word)]
"""What becomes of a value for which there is no room: the oldest goes, it goes itself, or its function waits."""


class Backlog(Generic[T]):
    """A line of at most ``capacity`` values, which one task works off in order. Belongs to one event loop."""

    def __init__(
        self, capacity: int, when_full: str, handle: Callable[[T], Awaitable[None]], dropped: Callable[[str], None]
    ) -> None:
        self._capacity = capacity
        self._when_full = when_full
        self._handle = handle
        self._dropped = dropped
        self._waiting: deque[T] = deque()
        self._changed = asyncio.Condition()
        self._busy = False
        self._task: asyncio.Task[None] | None = None

    @property
    def depth(self) -> int:
        """How many wait; not the one that is being handled."""
        return len(self._waiting)

    async def put(self, value: T) -> None:
        """Adds a value, and makes room for it as declared; returns at once unless that is ``block``."""
        async with self._changed:
            if self._when_full == "block":
                await self._changed.wait_for(lambda: len(self._waiting) < self._capacity)
            elif len(self._waiting) >= self._capacity:
                self._dropped("busy")
                if self._when_full == "drop_newest":
                    return
                self._waiting.popleft()
            self._waiting.append(value)
            self._changed.notify_all()
        if self._task is None or self._task.done():
            # of no invocation: what is handled later would be logged as of the first one
            working = for_ever(self._work, log, "An output")
            self._task = asyncio.create_task(working, name="backlog", context=contextvars.Context())

    async def close(self, within: float) -> None:
        """Ends the task, after what waits where that is worked off in so many seconds; the rest is counted as
        ``stopped``.
        """
        if self._task is None:
            return
        try:
            async with asyncio.timeout(within), self._changed:
                await self._changed.wait_for(lambda: not self._waiting and not self._busy)
        except TimeoutError:
            for _ in range(len(self._waiting) + self._busy):
                self._dropped("stopped")
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _work(self) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: bool(self._waiting))
                value, self._busy = self._waiting.popleft(), True
                self._changed.notify_all()
            try:
                await self._handle(value)
            except Exception:
                self._dropped("failed")
                raise
            finally:
                self._busy = False
            async with self._changed:
                self._changed.notify_all()
