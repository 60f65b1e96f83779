"""The spool: what waits, on disk, between the hub and the functions.

    hub -> Inbox.on_input -> (commit) -> acknowledged        Subscription.take -> function -> done + outputs (commit)
    output -> Outbox.put -> (commit) -> invocation done      Sender -> Destination.publish -> acknowledged -> removed

``Store`` is the one writer of the file, ``spool.db`` in the state folder; ``Tail`` hands its rows out in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgefn.contracts import Destination, Hub, HubState
from edgefn.errors import SpoolError
from edgefn.metrics import Metrics
from edgefn.spool import dead_letters
from edgefn.spool.arrivals import Arrivals
from edgefn.spool.dead_letters import DeadLetter
from edgefn.spool.inbox import RECENT, Inbox
from edgefn.spool.lanes import HUB
from edgefn.spool.lock import FolderLock
from edgefn.spool.options import SpoolOptions, spool_options
from edgefn.spool.outbox import Outbox
from edgefn.spool.schema import FILE, connect
from edgefn.spool.sender import Sender
from edgefn.spool.settlement import Together
from edgefn.spool.store import Store
from edgefn.spool.subscription import Subscription
from edgefn.spool.unserved import Unserved
from edgefn.supervision import for_ever
from edgefn.traces import Traces

__all__ = ["FILE", "DeadLetter", "Inbox", "Outbox", "Spool", "SpoolOptions", "Subscription", "connect", "spool_options"]

log = logging.getLogger("edgefn.spool")

BOXES = ("inbox", "outbox", "dead")


class Spool:
    """Inbox, outbox, dead letters, and the files that functions have had, of one host."""

    def __init__(
        self, state: Path, options: SpoolOptions, hub: Hub, metrics: Metrics, traces: Traces | None = None
    ) -> None:
        self._lock = FolderLock(state)
        self._store = Store(state, power=options.durability == "power")
        self._options = options
        self.outbox = Outbox(self._store, options, hub, metrics)
        self.inbox = Inbox(self._store, self.outbox, options, metrics, getattr(hub, "unacknowledged", RECENT))
        self.arrivals = Arrivals(self._store)
        self._metrics = metrics
        self._traces = traces or Traces()
        self.sender = Sender(self.outbox, self.outbox.lanes[HUB], metrics, self._traces)
        self._senders: dict[str, Sender] = {HUB: self.sender}
        self._sends = False
        self.begun = False
        """Whether what comes in can be stored, and what an earlier run left has been settled."""
        self.beginning: list[Callable[[], None]] = []
        """Called once when that is so."""
        self._measured: dict[str, list[float]] = {box: [0, 0, 0.0] for box in BOXES}
        self._changes = -1
        self._functions: Sequence[str] | None = None
        self._opened = asyncio.Event()
        self._store.changed.append(self._opened.set)
        self._beginning: asyncio.Task[None] | None = None
        self._unserved = Unserved(self.outbox, metrics)
        self._looking: asyncio.Task[None] | None = None
        self._store.measure = self._measure
        self._gauges(metrics)

    def _gauges(self, metrics: Metrics) -> None:
        count = metrics.gauge("edgefn_spool_messages", "Messages in the spool", ("box",))
        size = metrics.gauge("edgefn_spool_bytes", "Bytes in the spool", ("box",))
        age = metrics.gauge("edgefn_spool_oldest_seconds", "Age of the oldest message in the spool", ("box",))
        usable = metrics.gauge("edgefn_spool_usable", "1 while messages can be stored, else 0")
        for box, known in self._measured.items():
            count.labels(box).set_function(lambda known=known: known[0])  # type: ignore[misc]
            size.labels(box).set_function(lambda known=known: known[1])  # type: ignore[misc]
            age.labels(box).set_function(lambda known=known: self._age(known[2]))  # type: ignore[misc]
        usable.set_function(lambda: 0.0 if self._store.fault else 1.0)

    def _age(self, oldest: float) -> float:
        return max(0.0, self._store.clock.now() - oldest) if oldest else 0.0

    def _measure(self, connection: sqlite3.Connection) -> None:
        """Looks how much there is; once a second, in the writer's thread."""
        totals = {"inbox": self.inbox.totals(), "outbox": (self.outbox.totals.messages, self.outbox.totals.bytes)}
        for box, (messages, size) in totals.items():
            oldest = connection.execute(f"SELECT stored FROM {box} ORDER BY id LIMIT 1").fetchone()
            self._measured[box][:] = [messages, size, oldest[0] if oldest else 0.0]
        if connection.total_changes != self._changes:
            self._changes = connection.total_changes
            query = "SELECT count(*), coalesce(sum(size), 0), coalesce(min(died), 0) FROM dead"
            self._measured["dead"][:] = connection.execute(query).fetchone()

    # --- lifetime ------------------------------------------------------------------------------------------------

    def take(self) -> None:
        """Takes the state folder for this process; raises EdgefnError when another host has it."""
        self._lock.take()

    async def open(self) -> None:
        """Takes the state folder and opens the file; where that can not be, it is tried again, and nothing is stored.

        Raises EdgefnError when another host has the folder.
        """
        self.take()
        await self._store.open()

    async def begin(self, functions: Sequence[str] | None) -> None:
        """Begins to send, and settles what an earlier run left for functions that are not there any more.

        ``functions`` are all that the app declares; None when some may be missing, since a part of it is in error.
        """
        self._functions = functions
        await self._begin()
        self._sends = True
        for sender in self._senders.values():
            sender.start()

    async def _begin(self) -> None:
        try:
            await self.inbox.begin(self._functions)
            if self._functions is not None:
                await self.arrivals.begin(self._functions)
            await self.outbox.drop_expired()  # also what was for a broker that nobody names any more
        except SpoolError:
            self._beginning = asyncio.create_task(self._begin_when_open(), name="begin spool")
            return
        self.begun = True
        for call in self.beginning:
            call()

    async def _begin_when_open(self) -> None:
        """Begins late, where the file could not be opened at the start of the host."""
        self._opened.clear()
        await self._opened.wait()
        await self._begin()

    def follow_unserved(self) -> None:
        """Tells, from now on, what waits for brokers that no function sends to; to be called when all are opened."""
        self._looking = asyncio.create_task(for_ever(self._unserved.run, log, "The outbox"), name="unserved")

    async def close(self) -> None:
        """Stops sending, and closes the file; everything in it stays."""
        if self._looking is not None:
            self._looking.cancel()
        for sender in self._senders.values():
            await sender.stop()
        if self._beginning is not None:
            self._beginning.cancel()
        with contextlib.suppress(SpoolError):
            await self.inbox.end()
        await self._store.close()
        self._lock.release()

    @property
    def functions(self) -> Sequence[str] | None:
        """All that the app declares; None while some may be missing."""
        return self._functions

    def serve(self, name: str, destination: Destination) -> Sender:
        """Sends what waits for a destination beside the hub, from now on; who calls tells when that comes and goes."""
        found = self._senders.get(name)
        if found is None:
            lane = self.outbox.open_lane(name, destination)
            found = self._senders[name] = Sender(self.outbox, lane, self._metrics, self._traces)
            if self._sends:
                found.start()
        return found

    def together(self) -> Together:
        """For what one invocation sends by several outputs: stored with one transaction, all of it or nothing."""
        return Together(self.outbox)

    async def idle(self) -> None:
        """Returns when every message that came in has been worked off, and every one that goes out has arrived."""
        while True:
            await self.inbox.idle()
            await self.sent()
            if self.inbox.is_idle:
                return

    async def sent(self) -> None:
        """Returns when every message that goes out has arrived, or its destination takes none."""
        for sender in list(self._senders.values()):
            await sender.idle()

    def on_state(self, state: HubState) -> None:
        """The hub came or went."""
        if state is not HubState.ONLINE:
            self.inbox.disconnected()
        self.sender.on_state(state)

    @property
    def fault(self) -> str:
        """Why nothing can be stored at present; empty when all is well."""
        return self._store.fault

    def status(self) -> Mapping[str, Any]:
        """How much waits, and how that goes, as JSON values."""
        dead = self._measured["dead"]
        return {
            "state": "unusable" if self.fault else "open",
            **({"fault": self.fault} if self.fault else {}),
            "damaged_files": self._store.damaged,
            "inbox": {**self.inbox.status(), "oldest_seconds": round(self._age(self._measured["inbox"][2]), 1)},
            "outbox": {
                **self.outbox.status(),
                "oldest_seconds": round(self._age(self._measured["outbox"][2]), 1),
                **self.sender.status(),
                **({"brokers": others} if (others := self._others()) else {}),
                **({"unserved": dict(waiting)} if (waiting := self._unserved.waiting()) else {}),
            },
            "dead_letters": {"messages": dead[0], "bytes": dead[1]},
        }

    def _others(self) -> dict[str, Any]:
        return {name: dict(sender.status()) for name, sender in self._senders.items() if name != HUB}

    # --- dead letters --------------------------------------------------------------------------------------------

    async def dead_letters(self, limit: int = 100, before: int = 0) -> list[DeadLetter]:
        """The newest first."""
        return await self._store.run(lambda connection: dead_letters.letters(connection, limit, before))

    async def replay(self, number: int) -> bool:
        """Puts a dead letter back where it was; False when there is none of that number, or its body was not kept."""
        age = self._options.outbox.max_age
        found = await self._store.run(
            lambda connection: dead_letters.replay(connection, number, self._store.clock.now(), age)
        )
        self._store.recount()
        return found

    async def discard(self, number: int) -> bool:
        """Removes a dead letter; False when there is none of that number."""
        return await self._store.run(lambda connection: dead_letters.discard(connection, number))
