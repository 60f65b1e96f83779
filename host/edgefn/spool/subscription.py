"""A function's line in the inbox: its messages in their order, how they are taken, tried again and ended."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgefn.contracts import EdgeMessage, Outgoing
from edgefn.errors import SpoolError
from edgefn.spool.dead_letters import bury_input, trim
from edgefn.spool.records import id_of_output
from edgefn.spool.settlement import MessageSettlement, reason_of
from edgefn.spool.store import Work
from edgefn.spool.tail import Tail

if TYPE_CHECKING:
    from edgefn.spool.inbox import Inbox

log = logging.getLogger("edgefn.spool")


@dataclass(slots=True)
class Received:
    """A stored message, in the hands of its function."""

    id: int
    size: int
    attempts: int
    crashes: int
    due: float
    message: EdgeMessage


class Subscription:
    """The messages of one function."""

    def __init__(self, inbox: Inbox, function: str) -> None:
        self.function = function
        self.input_name = ""
        self._inbox = inbox
        self._store = inbox.store
        self.tail: Tail[Received] = Tail(self._page)
        self._begun = False
        self._dead = 0
        self._ended = asyncio.Event()
        self.is_heard = False
        """Whether a listener takes its messages."""
        self.is_waiting = False
        """Whether the next message is not due yet."""

    async def _page(self, after: int, count: int) -> list[Received]:
        query = (
            "SELECT id, size, attempts, crashes, due, head, body FROM inbox "
            "WHERE function = ? AND id > ? ORDER BY id LIMIT ?"
        )
        rows, damaged = await self._store.run(
            lambda connection: self._inbox.read(connection, query, (self.function, after, count))
        )
        self._inbox.count_damaged(damaged)
        return [
            Received(number, size, attempts, crashes, due, message)
            for number, size, attempts, crashes, due, _, _, message in rows
        ]

    async def take(self, limit: int, in_hand: int) -> list[Received]:
        """The next messages, at most ``limit``, waiting for the first; each must be settled or given back.

        ``in_hand`` is how many the function may have at once. A message with which the process has ended before comes
        alone.
        """
        if not self._begun:
            await self._begin(in_hand)
        first = await self._first()
        await self.due(first)
        taken = [first]
        try:
            while len(taken) < limit and not first.crashes:
                row = self.tail.at_hand()
                if row is None:
                    break
                if row.crashes or row.due > first.due:
                    self.tail.back([row])
                    break
                taken.append(row)
        except BaseException:
            self.tail.back(taken)
            raise
        return taken

    async def _first(self) -> Received:
        while True:
            try:
                row = self.tail.at_hand() or await self.tail.next()
                if row is not None:
                    return row
                self._ended.set()
                await self.tail.arrived.wait()
            except SpoolError:
                await asyncio.sleep(1.0)

    async def next(self, in_hand: int) -> Received | None:
        """The next message, which must be waited for with ``due``, and settled or given back; None when there is none.

        Raises SpoolError where the file can not be read.
        """
        if not self._begun:
            await self._begin(in_hand)
        row = self.tail.at_hand() or await self.tail.next()
        if row is None:
            self._ended.set()
        return row

    async def due(self, row: Received) -> None:
        """Waits until a message is to be tried again, where it failed before the host was started.

        A message is given back where that is cancelled.
        """
        left = row.due - self._store.clock.now()
        if left > 0:
            self.is_waiting = True
            self._ended.set()
            try:
                await asyncio.sleep(left)
            except BaseException:
                self.back([row])
                raise
            finally:
                self.is_waiting = False

    def is_early(self, row: Received) -> bool:
        """Whether a message is to be tried again later, so that ``due`` waits."""
        return row.due > self._store.clock.now()

    async def store(self, message: EdgeMessage, also: Work[Any]) -> None:
        """Stores a message for this function alone; ``also`` is work that belongs into the same transaction.

        Raises SpoolError when it can not be stored, or there is no room for it.
        """
        await self._inbox.take_in(self, message, also)

    async def _begin(self, in_hand: int) -> None:
        """Notes that the function may have messages in hand, for the case that the process is killed."""
        self._begun = True
        row = (self.function, self.input_name, in_hand)
        self._store.submit(
            lambda connection: connection.execute("INSERT OR REPLACE INTO listeners VALUES (?, ?, ?)", row)
        )

    def back(self, rows: Sequence[Received]) -> None:
        """Takes back messages that were not settled: they come again, after the next start at the latest."""
        self.tail.back(rows)
        self._ended.set()

    async def done(self, rows: Sequence[Received], outputs: Sequence[Outgoing], also: Work[Any] | None = None) -> None:
        """Ends messages, and stores what they caused, in one transaction, with what else belongs into it; raises
        SpoolError.
        """

        def work(connection: sqlite3.Connection) -> None:
            self._inbox.delete(connection, rows)
            if also is not None:
                also(connection)

        if outputs:
            await self._inbox.outbox.store(outputs, work)
        else:
            await self._store.run(work)
        self._left(rows)

    async def dead(self, rows: Sequence[Received], error: BaseException | None) -> None:
        """Makes dead letters of messages that their function failed on for good; raises SpoolError."""
        reason, traceback = reason_of(error)

        def work(connection: sqlite3.Connection) -> int:
            now = self._store.clock.now()
            for row in rows:
                bury_input(connection, row.id, now, row.attempts + 1, reason, traceback)
            self._inbox.delete(connection, rows)
            return trim(connection, self._inbox.options.dead_letters, now)

        self._inbox.outbox.count_trimmed(await self._store.run(work))
        self._inbox.dead.labels("inbox").inc(len(rows))
        self._say_dead(len(rows))
        self._left(rows)

    def _say_dead(self, count: int) -> None:
        before, self._dead = self._dead, self._dead + count
        if before.bit_length() == self._dead.bit_length():
            return  # said the 1st, 2nd, 4th, 8th ... time
        times = f" ({self._dead} by now)" if before else ""
        log.error(
            "A message for function '%s' is a dead letter, as the function failed on it%s; see edgefn dead-letter list",
            *(self.function, times),
        )

    async def failed(self, rows: Sequence[Received], error: BaseException, delay: float) -> None:
        """Keeps that an attempt failed, and when the next one is due; raises SpoolError."""
        due = self._store.clock.now() + delay
        for row in rows:
            row.attempts += 1
            row.due = due
        values = [(row.attempts, due, reason_of(error)[0], row.id) for row in rows]
        await self._store.run(
            lambda connection: (
                connection.executemany(
                    "UPDATE inbox SET attempts = ?, due = ?, error = ? WHERE id = ?", values
                ).rowcount
            )
        )

    def listen(self, *, listening: bool) -> None:
        """Tells whether somebody takes the messages; where nobody does, ``idle`` does not wait for it."""
        self.is_heard = listening
        self._ended.set()

    def settlement(self, rows: Sequence[Received]) -> MessageSettlement:
        return MessageSettlement(self, list(rows))

    def output_id(self, row: Received, index: int) -> str:
        return id_of_output(self._inbox.identity, row.id, self.function, index)

    def _left(self, rows: Sequence[Received]) -> None:
        self.tail.done(rows)
        self._inbox.left()
        self._ended.set()

    @property
    def is_idle(self) -> bool:
        return not self.is_heard or self.is_waiting or not (self.tail.has_more or self.tail.out)

    async def idle(self) -> None:
        """Returns when no message runs or waits, but for those that are to be tried again later."""
        while not self.is_idle:
            self._ended.clear()
            await self._ended.wait()

    @property
    def depth(self) -> int:
        """Messages in memory that wait; there may be more in the file."""
        return self.tail.near


def count_crash(connection: sqlite3.Connection, function: str, in_hand: int) -> None:
    """Counts the end of the process for the messages that a function had in hand: those that were first in its line.

    Where one of them is suspect already it ran alone, and is the only one.
    """
    suspect = connection.execute(
        "SELECT id FROM inbox WHERE function = ? AND crashes > 0 ORDER BY id LIMIT 1", (function,)
    ).fetchall()
    heads = (
        suspect
        or connection.execute(
            "SELECT id FROM inbox WHERE function = ? ORDER BY id LIMIT ?", (function, in_hand)
        ).fetchall()
    )
    connection.executemany("UPDATE inbox SET crashes = crashes + 1 WHERE id = ?", heads)
