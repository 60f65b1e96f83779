"""The inbox: messages that came in, stored before the hub may forget them, until their functions have run.

Each function has messages of its own, in the order in which they came. One that was delivered twice, because an
acknowledgement was lost with a connection, is stored once.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgefn.contracts import EdgeMessage
from edgefn.errors import SpoolError
from edgefn.metrics import Metrics
from edgefn.spool.dead_letters import bury_input, readable, trim
from edgefn.spool.options import SpoolOptions
from edgefn.spool.outbox import Outbox
from edgefn.spool.records import ABOUT, fingerprint, head_of
from edgefn.spool.store import Store, Work, to_its_end
from edgefn.spool.subscription import Received, Subscription, count_crash

log = logging.getLogger("edgefn.spool")

PATIENCE = 20.0
"""Seconds that a message waits for room; less than the 30 s after which edgeHub delivers it again."""
RECENT = 8
"""Messages before a lost connection that the hub may deliver again: it has one without acknowledgement at a time."""
MOST_NAMES, OTHERS = 100, "(others)"
"""Inputs that are counted by their names, and all others: at a broker they are topics, of which there is no end."""
LATE = 20.0
"""Seconds until a message is stored, after which edgeHub may have sent it again on the same connection."""


@dataclass(frozen=True, slots=True)
class Coming:
    """A message that came, and for whom."""

    message: EdgeMessage
    listening: Sequence[Subscription]
    mark: bytes = b""
    """What it is known by when it is delivered again; empty when that can not be told."""
    may_be_again: bool = True
    """Whether it may have been delivered before."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """How messages came: by which connection to whom; that has at most ``unacknowledged`` of them to deliver again."""

    source: str
    """Empty for the hub."""
    connection: int
    unacknowledged: int = RECENT


class Inbox:
    """See the module's text."""

    def __init__(
        self, store: Store, outbox: Outbox, options: SpoolOptions, metrics: Metrics, unacknowledged: int = RECENT
    ) -> None:
        """``unacknowledged`` is how many messages the hub may deliver again."""
        self.store = store
        self.outbox = outbox
        self.options = options
        self._unacknowledged = unacknowledged
        self._subscriptions: dict[str, Subscription] = {}
        self._unheard: Counter[str] = Counter()
        self._names: set[str] = set()
        self._epoch = ""
        self._connection = 0
        self._messages = self._bytes = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self.identity = ""
        self._received = metrics.counter("edgefn_inbox_received", "Messages that came in", ("input",))
        self._dropped = metrics.counter("edgefn_inbox_unheard", "Messages for inputs without a function", ("input",))
        self._again = metrics.counter("edgefn_inbox_redelivered", "Messages that came again, and were stored already")
        self.dead = metrics.counter("edgefn_spool_dead_letters", "Messages that failed for good", ("box",))
        store.opened.append(self._count)
        store.changed.append(self._read_again)

    # --- who listens ---------------------------------------------------------------------------------------------

    def subscribe(self, function: str, input_name: str) -> Subscription:
        """The messages of a function: those that came for it earlier, and from now on those of an input."""
        found = self._subscriptions.setdefault(function, Subscription(self, function))
        found.input_name = input_name
        return found

    def unsubscribe(self, function: str) -> None:
        """Messages that come from now on are not for that function; what came before stays until it is worked off."""
        if function in self._subscriptions:
            self._subscriptions[function].input_name = ""

    def input_of(self, function: str) -> str:
        """The input of the hub that a function listens to; empty for one that does to none."""
        found = self._subscriptions.get(function)
        return found.input_name if found else ""

    def heard(self) -> list[str]:
        """The inputs that functions listen to."""
        return sorted({one.input_name for one in self._subscriptions.values()} - {""})

    def listening(self, input_name: str) -> list[Subscription]:
        """Who gets a message of an input; names match without regard to case, as in edgeHub's binding."""
        wanted = (input_name.lower(), "*")
        return [one for one in self._subscriptions.values() if one.input_name and one.input_name.lower() in wanted]

    async def _settle_old(self, known: Sequence[str]) -> None:
        """Makes dead letters of messages for functions that the app does not have any more, and of those in whose hands
        the process ended too often.
        """
        now, limit = self.store.clock.now(), self.options.inbox.max_crashes

        def work(connection: sqlite3.Connection) -> tuple[int, int]:
            marks = ", ".join("?" * len(known)) or "''"
            gone = connection.execute(
                f"SELECT id, function FROM inbox WHERE function NOT IN ({marks})", known
            ).fetchall()
            for number, function in gone:
                bury_input(connection, number, now, 0, f"the app has no function '{function}' any more", "")
            crashed = connection.execute("SELECT id, crashes FROM inbox WHERE crashes >= ?", (limit,)).fetchall()
            for number, crashes in crashed:
                reason = f"the process ended {crashes} times while its function ran for it"
                bury_input(connection, number, now, crashes, reason, "")
            connection.executemany("DELETE FROM inbox WHERE id = ?", [(number,) for number, _ in (*gone, *crashed)])
            self._count(connection)
            return len(gone) + len(crashed), trim(connection, self.options.dead_letters, now)

        buried, trimmed = await self.store.run(work)
        self.outbox.count_trimmed(trimmed)
        if buried:
            self.dead.labels("inbox").inc(buried)
            log.error("%d messages that waited became dead letters; see edgefn dead-letter list", buried)

    # --- taking in -----------------------------------------------------------------------------------------------

    def disconnected(self) -> None:
        """A connection to the hub has ended: what was not acknowledged on it comes again on the next."""
        self._connection += 1

    async def on_input(self, message: EdgeMessage) -> None:
        """Stores a message for every function on its input, and for those on ``*``; drops it when there is none.

        Raises SpoolError when it can not be stored, or there is no room for it.
        """
        name = self._counted_as(message.input_name)
        self._received.labels(name).inc()
        listening = self.listening(message.input_name)
        if not listening:
            self._unheard_of(name)
            return
        mark = fingerprint(message) if message.message_id else b""
        # by which it came: there may be another when there is room
        await self.keep([Coming(message, listening, mark)], Delivered("", self._connection, self._unacknowledged))

    async def keep(self, several: Sequence[Coming], by: Delivered) -> None:
        """Stores messages for those that listen, all of them or none, in their order, and each once.

        Raises SpoolError when they can not be stored, or there is no room for them.
        """
        began = self.store.clock.now()
        heads = [head_of(coming.message) for coming in several]
        sizes = [len(head) + len(coming.message.body) + ABOUT for head, coming in zip(heads, several, strict=True)]
        await self._room(sum(size * len(one.listening) for size, one in zip(sizes, several, strict=True)))

        def work(file: sqlite3.Connection) -> tuple[list[tuple[Subscription, Received]], int]:
            late = not by.source and self.store.clock.now() - began > LATE
            stored, again = [], 0
            for coming, head, size in zip(several, heads, sizes, strict=True):
                if coming.mark and coming.may_be_again and self._came_before(file, coming.mark, by, late):
                    again += 1
                    continue
                stored += self._insert(file, coming, head, size)
                if coming.mark:
                    row = (by.source, coming.mark, f"{self._epoch}.{by.connection}")
                    file.execute("INSERT INTO seen (source, fingerprint, connection) VALUES (?, ?, ?)", row)
            _forget(file, by)
            return stored, again

        async def put() -> None:
            stored, again = await self.store.run(work)
            for subscription, row in stored:
                subscription.tail.add([row])
            self._again.inc(again)

        await to_its_end(put())

    def _insert(
        self, file: sqlite3.Connection, coming: Coming, head: bytes, size: int
    ) -> list[tuple[Subscription, Received]]:
        """A row of a message for each that listens."""
        return [(one, self._insert_for(file, one, coming.message, head, size)) for one in coming.listening]

    def _insert_for(
        self, connection: sqlite3.Connection, one: Subscription, message: EdgeMessage, head: bytes, size: int
    ) -> Received:
        number = connection.execute(
            "INSERT INTO inbox (function, input, head, body, size, stored) VALUES (?, ?, ?, ?, ?, ?)",
            (one.function, message.input_name or message.topic, head, message.body, size, self.store.clock.now()),
        ).lastrowid
        self._messages += 1
        self._bytes += size
        return Received(number or 0, size, 0, 0, 0.0, message)

    async def take_in(self, subscription: Subscription, message: EdgeMessage, also: Work[Any]) -> None:
        """See ``Subscription.store``."""
        head = head_of(message)
        size = len(head) + len(message.body) + ABOUT
        await self._room(size)

        def work(connection: sqlite3.Connection) -> Received:
            also(connection)
            return self._insert_for(connection, subscription, message, head, size)

        async def put() -> None:
            subscription.tail.add([await self.store.run(work)])

        await to_its_end(put())

    def _came_before(self, file: sqlite3.Connection, mark: bytes, by: Delivered, late: bool) -> bool:
        """Whether the last messages before a lost connection, or before a slow commit, hold an equal one.

        On a live connection an equal message is a new one: a sender may use an id twice.
        """
        where = f"{self._epoch}.{by.connection}"
        query = "SELECT id, connection FROM seen WHERE source = ? AND fingerprint = ? ORDER BY id"
        again = [number for number, seen in file.execute(query, (by.source, mark)) if seen != where or late]
        if again:
            file.execute("UPDATE seen SET connection = ? WHERE id = ?", (where, again[0]))
        return bool(again)

    async def _room(self, size: int) -> None:
        """Waits, in the order of the calls, until ``size`` bytes fit; raises SpoolError after a while."""
        if not self._queue and self._fits(size):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(PATIENCE):
                while self._queue[0] is not turn or not self._fits(size):
                    await asyncio.shield(turn)
                    turn = self._turn_again(turn)
        except TimeoutError:
            raise SpoolError(
                f"the inbox is full ({self._messages} messages, {self._bytes} bytes): functions are slower than what "
                "comes in, or in error; the message stays with the hub"
            ) from None
        finally:
            self._queue.remove(turn)
            self._next_turn()

    def _turn_again(self, turn: asyncio.Future[None]) -> asyncio.Future[None]:
        fresh: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue[self._queue.index(turn)] = fresh
        return fresh

    def _next_turn(self) -> None:
        if self._queue and not self._queue[0].done():
            self._queue[0].set_result(None)

    def _fits(self, size: int) -> bool:
        bounds = self.options.inbox
        return self._messages == 0 or (self._messages < bounds.max_messages and self._bytes + size <= bounds.max_bytes)

    def delete(self, connection: sqlite3.Connection, rows: Sequence[Received]) -> None:
        """Removes rows; in the writer's thread, as a part of its transaction."""
        for row in rows:
            if connection.execute("DELETE FROM inbox WHERE id = ?", (row.id,)).rowcount:
                self._messages -= 1
                self._bytes -= row.size

    def read(
        self, connection: sqlite3.Connection, query: str, given: Sequence[Any]
    ) -> tuple[list[tuple[Any, ...]], int]:
        """Rows with their messages, and how many were damaged; in the writer's thread."""
        rows, damaged = readable(connection, "inbox", query, given, self.store.clock.now())
        if damaged:
            self._count(connection)
        return rows, damaged

    def count_damaged(self, count: int) -> None:
        """Counts messages that could not be read; they are told."""
        if count:
            self.dead.labels("inbox").inc(count)
            log.error("%d messages in the inbox are damaged, and dead letters; see edgefn dead-letter list", count)

    def left(self) -> None:
        """There is more room than before."""
        self._next_turn()

    def _counted_as(self, name: str) -> str:
        """The name by which an input is counted and told: its own, unless there are too many and nobody wants it."""
        if name in self._names:
            return name
        if len(self._names) >= MOST_NAMES and name.lower() not in map(str.lower, self.heard()):
            return OTHERS
        self._names.add(name)
        return name

    def _unheard_of(self, name: str) -> None:
        self._dropped.labels(name).inc()
        self._unheard[name] += 1
        if self._unheard[name] == 1:
            heard = ", ".join(self.heard()) or "none"
            log.warning("Messages for input '%s' are dropped: no function listens to it; inputs heard: %s", name, heard)

    # --- the file ------------------------------------------------------------------------------------------------

    def _count(self, connection: sqlite3.Connection) -> None:
        self._messages, self._bytes = connection.execute(
            "SELECT count(*), coalesce(sum(size), 0) FROM inbox"
        ).fetchone()
        self.identity = connection.execute("SELECT value FROM meta WHERE name = 'id'").fetchone()[0]

    def _read_again(self) -> None:
        for subscription in self._subscriptions.values():
            subscription.tail.read_again()
        self._next_turn()

    async def begin(self, known: Sequence[str] | None) -> None:
        """Begins a run of the host: counts it, and what the one before had in hand when it was killed.

        ``known`` are all functions of the app; None where some may be missing, since a part of it can not be loaded:
        then messages are kept for those of the last run too.
        """

        def work(connection: sqlite3.Connection) -> tuple[int, list[tuple[str, str]]]:
            row = connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
            epoch = int(row[0]) + 1 if row else 1
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('epoch', ?)", (epoch,))
            before = connection.execute("SELECT function, input, begun FROM listeners").fetchall()
            for function, _, in_hand in before:
                if in_hand:
                    count_crash(connection, function, in_hand)
            connection.execute("DELETE FROM listeners")
            return epoch, [(function, input_name) for function, input_name, _ in before]

        epoch, before = await self.store.run(work)
        self._epoch = str(epoch)
        for function, input_name in before:
            if known is None and function not in self._subscriptions:
                self.subscribe(function, input_name)
        rows = [(one.function, one.input_name) for one in self._subscriptions.values()]
        self.store.submit(
            lambda connection: connection.executemany("INSERT OR REPLACE INTO listeners VALUES (?, ?, 0)", rows)
        )
        if known is not None:
            await self._settle_old(known)

    async def end(self) -> None:
        """Ends a run of the host in good order: nothing was in hand."""
        await self.store.run(lambda connection: connection.execute("UPDATE listeners SET begun = 0").rowcount)

    @property
    def is_idle(self) -> bool:
        return all(one.is_idle for one in self._subscriptions.values())

    async def idle(self) -> None:
        """Returns when all messages that came in have been worked off."""
        while not self.is_idle:
            for one in self._subscriptions.values():
                await one.idle()

    def totals(self) -> tuple[int, int]:
        """Messages and bytes that wait or run."""
        return self._messages, self._bytes

    def status(self) -> Mapping[str, Any]:
        waiting = {one.function: one.depth for one in self._subscriptions.values()}
        dropped = {name: times for name, times in self._unheard.items() if not self.listening(name)}
        return {
            "messages": self._messages,
            "bytes": self._bytes,
            "functions": waiting,
            **({"unheard": dropped} if dropped else {}),
        }


def _forget(file: sqlite3.Connection, by: Delivered) -> None:
    """Forgets by what messages are known that can not be delivered again any more."""
    too_old = "SELECT id FROM seen WHERE source = ? ORDER BY id DESC LIMIT 1 OFFSET ?"
    which = (by.source, by.source, by.unacknowledged)
    file.execute(f"DELETE FROM seen WHERE source = ? AND id <= ({too_old})", which)
