"""What survives the hub, whatever kills it: one SQLite file that is committed before anything is acknowledged.

Everything that arrives in one turn of the event loop is one transaction. ``upstream`` is what went to IoT Hub, in
order of arrival: the truth that tests compare with.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from edgefn.errors import HubError

log = logging.getLogger("edgefn.standin")

SCHEMA_VERSION = 1
PATIENCE = 1.0
"""Seconds to wait for another writer; there should be none."""
SCHEMA = """
CREATE TABLE upstream (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- of arrival, from 1 on, never given twice
    time REAL NOT NULL, -- of arrival, seconds since the epoch
    device TEXT NOT NULL,
    module TEXT NOT NULL, -- empty for a leaf device
    output TEXT NOT NULL,
    message_id TEXT NOT NULL,
    content_type TEXT NOT NULL,
    properties TEXT NOT NULL, -- JSON object of the application properties
    system TEXT NOT NULL, -- JSON object of the system properties, by edgeHub's names
    body BLOB NOT NULL,
    size INTEGER NOT NULL);
CREATE TABLE queued ( -- messages on their way to inputs of modules
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    module TEXT NOT NULL,
    input TEXT NOT NULL,
    priority INTEGER NOT NULL,
    expires REAL, -- seconds since the epoch, NULL for never
    time REAL NOT NULL,
    properties TEXT NOT NULL, -- as they are in the topic
    body BLOB NOT NULL);
CREATE INDEX queued_next ON queued (module, priority, number);
CREATE TABLE identities (
    client TEXT PRIMARY KEY, device TEXT NOT NULL, module TEXT NOT NULL, key TEXT NOT NULL, generation TEXT NOT NULL);
CREATE TABLE sessions (client TEXT PRIMARY KEY, filters TEXT NOT NULL); -- JSON object: topic filter to QoS
CREATE TABLE twins (
    client TEXT PRIMARY KEY, desired TEXT NOT NULL, reported TEXT NOT NULL,
    desired_version INTEGER NOT NULL, reported_version INTEGER NOT NULL);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""

_ADD_UPSTREAM = (
    "INSERT INTO upstream (time, device, module, output, message_id, content_type, properties, system, body, size)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ADD_QUEUED = (
    "INSERT INTO queued (module, input, priority, expires, time, properties, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_COUNT = "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_OLDEST = "SELECT number, size FROM upstream ORDER BY number LIMIT 1000"
_NEXT = "SELECT number, input, expires, properties, body FROM queued WHERE module = ? ORDER BY priority, number LIMIT 1"


class Upstream(NamedTuple):
    """A row of the table ``upstream`` without its number."""

    time: float
    device: str
    module: str
    output: str
    message_id: str
    content_type: str
    properties: str
    system: str
    body: bytes
    size: int


class Queued(NamedTuple):
    """A row of the table ``queued`` without its number."""

    module: str
    input: str
    priority: int
    expires: float | None
    time: float
    properties: str
    body: bytes


class Waiting(NamedTuple):
    """The next message of a module."""

    number: int
    input: str
    expires: float | None
    properties: str
    body: bytes


Then = Callable[[bool], None]
"""Told after a commit whether it succeeded."""


class Store:
    """The only writer of its file.

    ``soon`` runs a call when the work at hand is done, once for all that this work adds. ``arrived`` is called when
    more went upstream.
    """

    def __init__(
        self,
        path: Path,
        max_upstream_bytes: int,
        soon: Callable[[Callable[[], None]], object],
        arrived: Callable[[], None],
    ) -> None:
        self._path = path
        self._limit = max_upstream_bytes
        self._soon = soon
        self._arrived = arrived
        self._database: sqlite3.Connection | None = None
        self._size = 0
        self._upstream: list[Upstream] = []
        self._queued: list[Queued] = []
        self._error: sqlite3.Error | None = None
        self._then: list[Then] = []
        self._scheduled = False
        self._saved: dict[str, int] = {}
        self.counters: Counter[str] = Counter()

    # --- life ----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Raises HubError for a file that is no store of this version."""
        try:
            self._database = sqlite3.connect(self._path, timeout=PATIENCE, isolation_level=None)
            self._path.chmod(0o600)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the newest, as on edgeHub
            self._database.execute("PRAGMA wal_autocheckpoint = 4000")  # pages; a third faster for bodies of 10 KB
            self._make_tables()
            self._recount()
        except (sqlite3.Error, OSError) as error:
            if self._database is not None:
                self._database.close()
                self._database = None
            text = f"{self._path}: can not be used as the store: {error}; move it away, or name another --dir"
            raise HubError(text) from None

    def _make_tables(self) -> None:
        version = self.database.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self.database.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT")
        elif version != SCHEMA_VERSION:
            raise sqlite3.DatabaseError(f"it has version {version}, this hub has {SCHEMA_VERSION}")

    def close(self) -> None:
        if self._database is not None:
            self.commit()
            self._database.close()
            self._database = None

    @property
    def database(self) -> sqlite3.Connection:
        assert self._database is not None
        return self._database

    # --- writing -------------------------------------------------------------------------------------------------

    def add_upstream(self, row: Upstream) -> None:
        self._upstream.append(row)
        self._schedule()

    def add_queued(self, row: Queued) -> None:
        self._queued.append(row)
        self._schedule()

    def change(self, statement: str, *parameters: Any) -> bool:
        """A statement of the next transaction; what is read here sees it at once. False where that can not be."""
        self._schedule()
        try:
            self._begin()
            self.database.execute(statement, parameters)
        except sqlite3.Error as error:
            self._error = error
        return self._error is None

    def remove_queued(self, number: int) -> bool:
        """Gives whether the message is out of the way."""
        return self.change("DELETE FROM queued WHERE number = ?", number)

    def forget_expired(self, now: float) -> None:
        """Removes the queued messages that are past their time, and counts them."""
        query = "SELECT number FROM queued WHERE expires <= ?"
        for (number,) in self.database.execute(query, (now,)).fetchall():
            if self.remove_queued(number):
                self.counters["dropped.ttl_expiry"] += 1

    def on_commit(self, then: Then) -> None:
        """Calls back after the commit of all that was added until now."""
        self._then.append(then)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._soon(self.commit)

    def commit(self) -> None:
        """Writes what was added, tells those who wait for it. What could not be written is lost, and said to be."""
        self._scheduled = False
        then, self._then = self._then, []
        written = self._write()
        for call in then:
            call(written)

    def _write(self) -> bool:
        upstream, self._upstream = self._upstream, []
        queued, self._queued = self._queued, []
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
            self._begin()
            self.database.executemany(_ADD_QUEUED, queued)
            self.database.executemany(_ADD_UPSTREAM, upstream)
            self._count(queued, upstream)
            self.database.execute("COMMIT")
        except sqlite3.Error as fault:
            log.error("%s: not written, so not acknowledged: %s", self._path, fault)
            if self.database.in_transaction:
                self.database.execute("ROLLBACK")
            self._recount()
            return False
        if upstream:
            self._arrived()
        return True

    def _begin(self) -> None:
        if not self.database.in_transaction:
            self.database.execute("BEGIN IMMEDIATE")

    def _count(self, queued: list[Queued], upstream: list[Upstream]) -> None:
        self.counters["queued"] += len(queued)
        if upstream:
            self.counters["upstream"] += len(upstream)
            self._size += sum(row.size for row in upstream)
            self._make_room()
        changed = [(name, value) for name, value in self.counters.items() if self._saved.get(name, 0) != value]
        self.database.executemany(_COUNT, changed)
        self._saved.update(changed)

    def _recount(self) -> None:
        """After a transaction that was rolled back: the figures of the last one."""
        self._size = self.database.execute("SELECT COALESCE(SUM(size), 0) FROM upstream").fetchone()[0]
        self._saved = dict(self.database.execute("SELECT name, value FROM counters"))
        self.counters = Counter(self._saved)

    def _make_room(self) -> None:
        """Forgets the oldest messages beyond the limit: a tenth more than needed, so as not to do it each time."""
        if self._size <= self._limit:
            return
        if not self.counters["forgotten"]:
            text = "%s: more than %d bytes went upstream; the oldest are forgotten, which is counted (--max-upstream)"
            log.warning(text, self._path, self._limit)
        while self._size > self._limit * 0.9:
            rows = self.database.execute(_OLDEST).fetchall()
            if not rows:
                break
            self._forget(rows)

    def _forget(self, rows: list[tuple[int, int]]) -> None:
        last = rows[0][0]
        for number, size in rows:
            if self._size <= self._limit * 0.9:
                break
            last, self._size = number, self._size - size
            self.counters["forgotten"] += 1
        self.database.execute("DELETE FROM upstream WHERE number <= ?", (last,))

    # --- reading, of what is committed ---------------------------------------------------------------------------

    def next_queued(self, module: str) -> Waiting | None:
        """The most urgent message of a module, the oldest of these first."""
        row = self.database.execute(_NEXT, (module,)).fetchone()
        return Waiting(*row) if row else None

    def upstream(self, after: int, limit: int) -> Iterator[tuple[int, Upstream]]:
        """Messages in order of arrival, with their numbers."""
        query = "SELECT * FROM upstream WHERE number > ? ORDER BY number LIMIT ?"
        for number, *row in self.database.execute(query, (after, limit)):
            yield number, Upstream(*row)

    def before_last(self, count: int) -> int:
        """The number of the message before the last so many; 0 where there are no more."""
        query = "SELECT number FROM upstream ORDER BY number DESC LIMIT 1 OFFSET ?"
        row = self.database.execute(query, (count,)).fetchone()
        return row[0] if row else 0

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self.database.execute(query, parameters).fetchall()

    def sizes(self) -> Mapping[str, int]:
        """How many messages wait for each module."""
        return dict(self.database.execute("SELECT module, COUNT(*) FROM queued GROUP BY module"))
