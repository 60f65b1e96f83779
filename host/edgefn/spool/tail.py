"""Rows of the file, handed out in the order of their ids: the newest from memory, all others from the file."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

PAGE = 256
"""Rows that are read from the file at once."""
NEAR = 1024
NEAR_BYTES = 16 * 1024 * 1024


class Row(Protocol):
    @property
    def id(self) -> int: ...

    @property
    def size(self) -> int: ...


R = TypeVar("R", bound=Row)


class Tail(Generic[R]):
    """Hands out each row once, until it is given back or done."""

    def __init__(self, read: Callable[[int, int], Awaitable[Sequence[R]]]) -> None:
        self._read = read
        self._near: deque[R] = deque()
        self._bytes = 0
        self._reached = 0
        """The highest id that was handed out or is near."""
        self._behind = True
        """Whether the file may hold rows after that one which are not near."""
        self._changes = 0
        """How often the file has changed under it."""
        self._reading = asyncio.Lock()
        self._out: set[int] = set()
        self._gone: set[int] = set()
        """Rows near that are not in the file any more."""
        self.arrived = asyncio.Event()
        """Set when there may be a row to take."""

    @property
    def out(self) -> int:
        """Rows that are handed out."""
        return len(self._out)

    @property
    def near(self) -> int:
        """Rows in memory that wait."""
        return len(self._near)

    @property
    def has_more(self) -> bool:
        """Whether there may be a row to hand out."""
        return bool(self._near) or self._behind or self._reading.locked()

    def add(self, rows: Iterable[R]) -> None:
        """Takes rows that were just stored, in the order in which they were."""
        for row in rows:
            if row.id <= self._reached:
                continue  # a page that was read since it was stored held it
            if self._behind or self._reading.locked() or len(self._near) >= NEAR or self._bytes >= NEAR_BYTES:
                self._behind = True
            else:
                self._near.append(row)
                self._bytes += row.size
                self._reached = row.id
        self.arrived.set()

    def at_hand(self) -> R | None:
        """The next row, where that is in memory."""
        while self._near:
            row = self._near.popleft()
            self._bytes -= row.size
            if row.id in self._gone:
                self._gone.discard(row.id)
                continue
            self._out.add(row.id)
            return row
        return None

    async def next(self) -> R | None:
        """The next row; None when there is none. Raises what reading the file raises."""
        row = self.at_hand()
        while row is None and self._behind:
            async with self._reading:
                if not self._near and self._behind:
                    await self._read_page()
            row = self.at_hand()
        if row is None:
            self.arrived.clear()
        return row

    async def _read_page(self) -> None:
        self._behind, changes = False, self._changes
        try:
            rows = await self._read(self._reached, PAGE)
        except BaseException:
            self._behind = True
            raise
        if changes != self._changes:
            return  # what is near has been forgotten meanwhile: it is in the file, before these rows
        if len(rows) >= PAGE:
            self._behind = True
        given_back = {row.id for row in self._near}  # while the page was read
        fresh = [row for row in rows if row.id not in self._out and row.id not in given_back]
        self._near.extend(fresh)
        if given_back:
            self._near = deque(sorted(self._near, key=lambda row: row.id))
        self._bytes += sum(row.size for row in fresh)
        if rows:
            self._reached = max(self._reached, rows[-1].id)
        self._gone.intersection_update({row.id for row in self._near} | self._out)

    def back(self, rows: Iterable[R]) -> None:
        """Takes rows back that were handed out; they come next, in their order, but for those that are gone."""
        for row in sorted(rows, key=lambda row: row.id, reverse=True):
            if row.id not in self._out:
                continue
            self._out.discard(row.id)
            if row.id in self._gone:
                self._gone.discard(row.id)
            else:
                self._near.appendleft(row)
                self._bytes += row.size
        self.arrived.set()

    def done(self, rows: Iterable[R]) -> None:
        """Tells that rows are not in the file any more."""
        for row in rows:
            self._out.discard(row.id)
            self._gone.discard(row.id)

    def gone(self, ids: Iterable[int]) -> None:
        """Tells that somebody else has removed rows; a page that is being read may still hold them."""
        highest = math.inf if self._reading.locked() else self._reached
        self._gone.update(number for number in ids if number <= highest)

    def read_again(self) -> None:
        """Forgets what is near, since the file changed under it."""
        self._changes += 1
        self._near.clear()
        self._gone.clear()
        self._bytes = self._reached = 0
        self._behind = True
        self.arrived.set()
