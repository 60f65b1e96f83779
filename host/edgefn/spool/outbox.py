"""The outbox: messages on their way to the hub or a broker, stored before the invocation that made them is done."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from edgefn.contracts import Destination, EdgeMessage, Hub, Outgoing
from edgefn.errors import HubError, Refused, SpoolError, TooLarge
from edgefn.metrics import Metrics
from edgefn.spool.dead_letters import bury_output, bury_unsent, readable, trim
from edgefn.spool.lanes import HUB, Lane, ToHub, Waiting
from edgefn.spool.options import SpoolOptions
from edgefn.spool.records import ABOUT, has_ttl, head_of, without_body
from edgefn.spool.store import Store, Work
from edgefn.spool.tail import Tail

log = logging.getLogger("edgefn.spool")

LOST = {
    "full": "The outbox is full: messages of output '{output}' are not kept; is {whom} away, or too slow?",
    "expired": "Messages of output '{output}' were too old before they could be sent",
    "too_large": "A message of output '{output}' is too large for {whom}: it is a dead letter, see edgefn dead-letter",
    "poison": "A message of output '{output}' is one on which {whom} ends the connection: it is a dead letter",
    "refused": "Messages of output '{output}' are refused by {whom}: they are dead letters, see edgefn dead-letter",
}
BURIED = ("too_large", "poison", "refused", "dead_letter")
"""Causes that leave a dead letter."""
AGAIN = 1.0
"""Seconds between attempts to remove what has arrived, while nothing can be written."""
MOST_LEFT_OVER = 1000


@dataclass(slots=True)
class Stored:
    """What became of messages that were to be stored, in one transaction."""

    rows: list[Waiting] = field(default_factory=list)
    dropped: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """Messages that had to go for later ones, by destination."""
    lost: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    """How many were not kept, by output, destination and cause."""
    trimmed: int = 0
    """Dead letters that had to go."""
    full: bool = False
    """Nothing was stored: there is no room, and the output would rather wait."""


class Totals:
    """How much waits, by output and by destination; kept by the writer's thread inside its transactions."""

    def __init__(self) -> None:
        self.by_output: dict[str, list[int]] = {}
        self.by_destination: dict[str, list[int]] = {}
        self.messages = 0
        self.bytes = 0

    def count(self, connection: sqlite3.Connection) -> None:
        query = "SELECT output, destination, sum(size), count(*) FROM outbox GROUP BY output, destination"
        fresh = Totals()
        for output, destination, size, number in connection.execute(query).fetchall():
            fresh.add(output, destination, size, number)
        self.by_output, self.by_destination = fresh.by_output, fresh.by_destination
        self.messages, self.bytes = fresh.messages, fresh.bytes

    def add(self, output: str, destination: str, size: int, number: int = 1) -> None:
        for known in (self.by_output.setdefault(output, [0, 0]), self.by_destination.setdefault(destination, [0, 0])):
            known[0] += number
            known[1] += size
        self.messages += number
        self.bytes += size

    def of(self, destination: str) -> tuple[int, int]:
        """Messages and bytes that wait for it."""
        messages, bytes_ = self.by_destination.get(destination, (0, 0))
        return messages, bytes_


class Outbox:
    """See the module's text."""

    def __init__(self, store: Store, options: SpoolOptions, hub: Hub, metrics: Metrics) -> None:
        self._store = store
        self._options = options
        self._bounds = options.outbox
        self.lanes: dict[str, Lane] = {}
        self.totals = Totals()
        self._room = asyncio.Event()
        self._lost = metrics.counter("edgefn_spool_lost", "Messages that were not kept", ("output", "cause"))
        self._dead = metrics.counter("edgefn_spool_dead_letters", "Messages that failed for good", ("box",))
        text = "Dead letters that had to go, since there were too many, or they were too old"
        self._trimmed = metrics.counter("edgefn_spool_dead_letters_dropped", text)
        self._told: set[tuple[str, str]] = set()
        self._left_over: list[Waiting] = []
        store.opened.append(self.totals.count)
        store.changed.append(self._read_again)
        store.changed.append(self._room.set)
        self.open_lane(HUB, ToHub(hub))

    def open_lane(self, name: str, destination: Destination) -> Lane:
        """The messages for a destination, from now on and from earlier runs; it is asked before one is stored."""
        self.lanes[name] = lane = Lane(destination, partial(self._page, name))
        return lane

    @property
    def tail(self) -> Tail[Waiting]:
        """What waits for the hub."""
        return self.lanes[HUB].tail

    def _read_again(self) -> None:
        for lane in self.lanes.values():
            lane.tail.read_again()

    # --- storing -------------------------------------------------------------------------------------------------

    async def put(self, messages: Sequence[Outgoing]) -> None:
        """Stores messages in one transaction; returns when that is committed. Raises SpoolError when nothing can be.

        Where it is cancelled they are stored, and sent, or they are not.
        """
        await self._stored(self._work(messages, None))

    async def store(self, messages: Sequence[Outgoing], also: Work[None]) -> None:
        """As ``put``, and does something else to the file in that transaction."""
        await self._stored(self._work(messages, also))

    async def _stored(self, work: Work[Stored]) -> None:
        """Returns when there was room for what is to be stored."""
        while (await self._store.run(work, self._put_in_line)).full:
            await self._room.wait()

    def _put_in_line(self, stored: Stored) -> None:
        if stored.full:
            self._room.clear()
            return
        for (output, destination, cause), count in stored.lost.items():
            self.count_lost(output, destination, cause, count)
        self.count_trimmed(stored.trimmed)
        for destination, dropped in stored.dropped.items():
            self._tail(destination).gone(dropped)
        for row in stored.rows:
            if row.id not in stored.dropped[row.destination]:
                self._tail(row.destination).add([row])

    def _tail(self, destination: str) -> Tail[Waiting]:
        return self.lanes[destination].tail

    def _work(self, messages: Sequence[Outgoing], also: Work[None] | None) -> Work[Stored]:
        checked = [(each, head_of(each.message, each.ttl), self._refusal(each)) for each in messages]

        def work(connection: sqlite3.Connection) -> Stored:
            stored = Stored(
                full=any(self._must_wait(outgoing, head) for outgoing, head, refusal in checked if not refusal)
            )
            if stored.full:
                return stored
            for outgoing, head, refusal in checked:
                if refusal:
                    cause = "too_large" if isinstance(refusal, TooLarge) else "refused"
                    self._bury_unsent(connection, stored, outgoing, head, str(refusal), cause)
                else:
                    self._insert(connection, stored, outgoing, head)
            if also is not None:
                also(connection)
            return stored

        return work

    def _refusal(self, outgoing: Outgoing) -> HubError | None:
        """Why a message is never taken, where that can be told beforehand."""
        try:
            self.lanes[outgoing.destination].destination.check(outgoing.message)
        except (TooLarge, Refused) as error:
            return error
        return None

    def _fits(self, size: int, destination: str) -> bool:
        """Each destination has the bounds for itself: what waits for one that is away costs no other a message."""
        messages, bytes_ = self.totals.of(destination)
        return messages < self._bounds.max_messages and bytes_ + size <= self._bounds.max_bytes

    def _has_room(self, destination: str) -> bool:
        """Whether less waits for it than half of what may."""
        messages, bytes_ = self.totals.of(destination)
        return 2 * messages < self._bounds.max_messages and 2 * bytes_ < self._bounds.max_bytes

    def _must_wait(self, outgoing: Outgoing, head: bytes) -> bool:
        policy = outgoing.when_full or self._bounds.when_full
        size = len(head) + len(outgoing.message.body) + ABOUT
        waits = policy == "block" and not self._fits(size, outgoing.destination)
        return waits and self.totals.of(outgoing.destination)[0] > 0

    def _insert(self, connection: sqlite3.Connection, stored: Stored, outgoing: Outgoing, head: bytes) -> None:
        message, output = outgoing.message, outgoing.message.output_name
        size = len(head) + len(message.body) + ABOUT
        policy = outgoing.when_full or self._bounds.when_full
        if policy == "drop_oldest":
            self._make_room(connection, stored, outgoing, size)
        if not self._fits(size, outgoing.destination) and policy == "dead_letter":
            messages, bytes_ = self.totals.of(outgoing.destination)
            reason = f"the outbox is full: {messages} messages, {bytes_} bytes"
            self._bury_unsent(connection, stored, outgoing, head, reason, "dead_letter")
            return
        if not self._fits(size, outgoing.destination) and policy != "block":
            stored.lost[output, outgoing.destination, "full"] += 1
            return
        now = self._store.clock.now()
        expires = now + min(self._bounds.max_age if outgoing.ttl is None else outgoing.ttl, self._bounds.max_age)
        number = connection.execute(
            "INSERT INTO outbox (output, head, body, size, stored, expires, destination) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (output, head, message.body, size, now, expires, outgoing.destination),
        ).lastrowid
        self.totals.add(output, outgoing.destination, size)
        has_ttl = outgoing.ttl is not None
        stored.rows.append(Waiting(number or 0, output, size, expires, message, outgoing.destination, has_ttl))

    def _make_room(self, connection: sqlite3.Connection, stored: Stored, outgoing: Outgoing, size: int) -> None:
        """Removes the oldest messages of an output until one of ``size`` bytes fits; none where that would not help."""
        output = outgoing.message.output_name
        own, there = self.totals.by_output.get(output, [0, 0]), self.totals.of(outgoing.destination)
        if there[0] - own[0] >= self._bounds.max_messages or there[1] - own[1] + size > self._bounds.max_bytes:
            return
        oldest = "SELECT id, size FROM outbox WHERE output = ? AND destination = ? ORDER BY id LIMIT 1"
        wanted = outgoing.destination
        while (
            not self._fits(size, wanted)
            and (row := connection.execute(oldest, (output, wanted)).fetchone()) is not None
        ):
            connection.execute("DELETE FROM outbox WHERE id = ?", (row[0],))
            self.totals.add(output, wanted, -row[1], -1)
            stored.dropped[wanted].add(row[0])
            stored.lost[output, wanted, "full"] += 1

    def _bury_unsent(
        self, connection: sqlite3.Connection, stored: Stored, outgoing: Outgoing, head: bytes, reason: str, cause: str
    ) -> None:
        now, message = self._store.clock.now(), outgoing.message
        body = message.body
        if len(body) > self._options.dead_letters.max_bytes // 4:
            body, reason = b"", f"{reason} (its body of {len(message.body)} bytes is not kept)"
            head = without_body(head)
        bury_unsent(connection, outgoing, head, body, now, reason)
        stored.trimmed += trim(connection, self._options.dead_letters, now)
        stored.lost[message.output_name, outgoing.destination, cause] += 1

    def count_lost(self, output: str, destination: str, cause: str, count: int = 1) -> None:
        """Counts messages that were not kept; the first of each cause is told."""
        self._lost.labels(output, cause).inc(count)
        if cause in BURIED:
            self._dead.labels("outbox").inc(count)
        if (output, cause) not in self._told and cause in LOST:
            self._told.add((output, cause))
            log.warning("%s", LOST[cause].format(output=output, whom=destination or "the hub"))

    def count_trimmed(self, count: int) -> None:
        """Counts dead letters that had to go; the first are told."""
        if not count:
            return
        if ("", "trimmed") not in self._told:
            self._told.add(("", "trimmed"))
            log.warning("There are too many dead letters, or too old ones: the oldest go; see edgefn dead-letter list")
        self._trimmed.inc(count)

    # --- without a store -----------------------------------------------------------------------------------------

    def pass_by(self, message: EdgeMessage, destination: str = HUB) -> asyncio.Future[None] | None:
        """Sends a message that may be lost straight to its destination, where that takes it at once.

        What comes of it, for those who look; None where it is lost already.
        """
        output, lane = message.output_name, self.lanes[destination]
        if len(lane.flying) >= lane.destination.window:
            self.count_lost(output, destination, "busy")
            return None
        future = asyncio.ensure_future(lane.destination.publish(message, None))
        lane.flying.add(future)
        future.add_done_callback(lambda done: self._landed(done, output, destination))
        return future

    def _landed(self, future: asyncio.Future[None], output: str, destination: str) -> None:
        self.lanes[destination].flying.discard(future)
        error = None if future.cancelled() else future.exception()
        if isinstance(error, HubError):
            self.count_lost(output, destination, "offline")
        elif error is not None:
            log.error("A message for output '%s' was not sent: %r", output, error)

    # --- for the sender ------------------------------------------------------------------------------------------

    async def _page(self, destination: str, after: int, count: int) -> list[Waiting]:
        query = (
            "SELECT id, output, size, expires, head, body FROM outbox "
            "WHERE destination = ? AND id > ? ORDER BY id LIMIT ?"
        )

        def work(connection: sqlite3.Connection) -> tuple[list[tuple[Any, ...]], int]:
            asked = (destination, after, count)
            rows, damaged = readable(connection, "outbox", query, asked, self._store.clock.now())
            if damaged:
                self.totals.count(connection)
            return rows, damaged

        rows, damaged = await self._store.run(work)
        if damaged:
            self._dead.labels("outbox").inc(damaged)
            log.error("%d messages in the outbox are damaged, and dead letters; see edgefn dead-letter list", damaged)
        return [
            Waiting(number, output, size, expires, message, destination, has_ttl(head))
            for number, output, size, expires, head, _, message in rows
        ]

    def left(self, row: Waiting) -> float:
        """Seconds until a message is worth nothing any more."""
        return row.expires - self._store.clock.now()

    async def drop_expired(self, of: Sequence[str] = ()) -> None:
        """Removes and counts what is worth nothing any more, for some destinations or for all; raises SpoolError."""
        where = "expires <= ?" + (f" AND destination IN ({', '.join('?' * len(of))})" if of else "")

        def work(connection: sqlite3.Connection) -> list[tuple[str, str, int]]:
            now = self._store.clock.now()
            query = f"SELECT output, destination, count(*) FROM outbox WHERE {where} GROUP BY output, destination"
            expired = connection.execute(query, (now, *of)).fetchall()
            if expired:
                connection.execute(f"DELETE FROM outbox WHERE {where}", (now, *of))
                self.totals.count(connection)
            return expired

        for output, destination, count in await self._store.run(work):
            self.count_lost(output, destination, "expired", count)
        self._room.set()

    def remove(self, rows: Sequence[Waiting]) -> None:
        """Deletes messages that the hub has, or that are worth nothing any more; later, where that can not be now.

        It may wait for the next message to be stored, unless those that are there already stand in its way.
        """

        def work(connection: sqlite3.Connection) -> None:
            for row in rows:
                if connection.execute("DELETE FROM outbox WHERE id = ?", (row.id,)).rowcount:
                    self.totals.add(row.output, row.destination, -row.size, -1)

        has_room = all(self._has_room(destination) for destination in {row.destination for row in rows})
        self._store.run(work, may_wait=has_room).add_done_callback(partial(self._removed, rows))

    def _removed(self, rows: Sequence[Waiting], removal: asyncio.Future[None]) -> None:
        if not removal.cancelled() and removal.exception() is not None:
            if not self._left_over:
                asyncio.get_running_loop().call_later(AGAIN, self._remove_again)
            self._left_over.extend(rows)
            return
        for row in rows:
            tail = self._tail(row.destination)
            tail.done([row])
            tail.arrived.set()
        self._room.set()

    def _remove_again(self) -> None:
        rows, self._left_over = self._left_over, []
        self.remove(rows)

    @property
    def is_clogged(self) -> bool:
        """Whether so many messages have arrived and can not be removed that no more should be sent."""
        return len(self._left_over) >= MOST_LEFT_OVER

    async def bury(self, row: Waiting, attempts: int, reason: str, cause: str) -> None:
        """Makes a dead letter of a message that the hub does not take; raises SpoolError, and then takes it back."""

        def work(connection: sqlite3.Connection) -> int:
            now = self._store.clock.now()
            if bury_output(connection, row.id, now, attempts, reason):
                self.totals.add(row.output, row.destination, -row.size, -1)
            return trim(connection, self._options.dead_letters, now)

        try:
            self.count_trimmed(await self._store.run(work))
        except SpoolError:
            self._tail(row.destination).back([row])
            raise
        self._tail(row.destination).done([row])
        self.count_lost(row.output, row.destination, cause)
        log.error("A message for output '%s' is a dead letter: %s", row.output, reason)

    def status(self) -> Mapping[str, Any]:
        totals = self.totals
        by_output = {output or "messages": counts[0] for output, counts in totals.by_output.copy().items() if counts[0]}
        return {"messages": totals.messages, "bytes": totals.bytes, "outputs": by_output}
