"""The file of the spool: its tables, their versions, and what happens to a file that can not be used.

One SQLite file, ``spool.db``, in WAL mode. ``inbox`` holds messages for functions, one row a function; ``outbox``
messages for the hub and for brokers; ``dead`` those that failed for good; ``seen`` tells what may be delivered again;
``arrivals`` are the files that functions have had. ``id`` counts up and is never used again.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from edgefn.errors import SpoolError

log = logging.getLogger("edgefn.spool")

FILE = "spool.db"
RESCUE = "spool.rescue.db"
"""What is made of a damaged file, until it is whole."""
ENDINGS = ("", "-wal", "-shm")
"""Of a file and its journals."""
BUSY = 5.0
"""Seconds that a transaction waits for another process to end its own."""

MIGRATIONS = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE inbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, function TEXT NOT NULL, input TEXT NOT NULL,
        size INTEGER NOT NULL, stored REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
        crashes INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '',
        head BLOB NOT NULL, body BLOB NOT NULL);
    CREATE INDEX inbox_of_function ON inbox (function, id);
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, output TEXT NOT NULL,
        size INTEGER NOT NULL, stored REAL NOT NULL, expires REAL NOT NULL,
        head BLOB NOT NULL, body BLOB NOT NULL);
    CREATE INDEX outbox_of_output ON outbox (output, id);
    CREATE TABLE dead (
        id INTEGER PRIMARY KEY AUTOINCREMENT, box TEXT NOT NULL, function TEXT NOT NULL, name TEXT NOT NULL,
        size INTEGER NOT NULL, stored REAL NOT NULL, died REAL NOT NULL,
        attempts INTEGER NOT NULL, reason TEXT NOT NULL, traceback TEXT NOT NULL,
        head BLOB NOT NULL, body BLOB NOT NULL);
    CREATE TABLE recent (slot INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL, connection TEXT NOT NULL);
    CREATE TABLE listeners (function TEXT PRIMARY KEY, input TEXT NOT NULL, begun INTEGER NOT NULL) WITHOUT ROWID;
    """,
    """
    CREATE TABLE arrivals (
        id INTEGER PRIMARY KEY AUTOINCREMENT, function TEXT NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL,
        modified INTEGER NOT NULL, seen REAL NOT NULL, wish TEXT NOT NULL DEFAULT '', UNIQUE (function, path));
    """,
    """
    ALTER TABLE outbox ADD COLUMN destination TEXT NOT NULL DEFAULT '';
    ALTER TABLE dead ADD COLUMN destination TEXT NOT NULL DEFAULT '';
    CREATE INDEX outbox_of_destination ON outbox (destination, id);
    CREATE TABLE seen (
        id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL,
        fingerprint BLOB NOT NULL, connection TEXT NOT NULL);
    CREATE INDEX seen_of_source ON seen (source, id);
    INSERT INTO seen (source, fingerprint, connection) SELECT '', fingerprint, connection FROM recent;
    DROP TABLE recent;
    """,
)
"""How a file of each version becomes one of the next; a new file goes through all of them."""

VERSION = len(MIGRATIONS)
TABLES = ("inbox", "outbox", "dead")
"""Those that hold messages."""
BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_broken(error: sqlite3.Error) -> bool:
    """Whether an error says that the file itself is damaged, not that it can not be reached or written."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in BROKEN


def is_held(error: sqlite3.Error | None) -> bool:
    """Whether an error says that another process has not ended its transaction."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in HELD


def open_file(folder: Path, *, power: bool) -> tuple[sqlite3.Connection, str]:
    """The spool of a state folder, made or brought to this version; and a note when the old file was set aside.

    Raises SpoolError when there can be none: no permission, a full disk, a file of a later version.
    """
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _take_rescued(path)
        with contextlib.suppress(_Damaged):
            return _opened(path, power=power), ""
        connection, aside, saved = rescued(path, power=power)
        return connection, f"{path} was damaged: it is kept as {aside.name}, and {saved} messages of it were saved"
    except (sqlite3.Error, OSError) as error:
        raise SpoolError(f"{path}: the spool can not be opened: {error}; {remedy(error)}") from None


class _Damaged(Exception):
    """The file is no database, or a damaged one."""


def _opened(path: Path, *, power: bool) -> sqlite3.Connection:
    connection = connect(path)
    try:
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if power else 'NORMAL'}")
        connection.execute("PRAGMA journal_size_limit=16777216")
        if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise _Damaged
        migrate(connection, path)
    except sqlite3.Error as error:
        connection.close()
        if is_broken(error):
            raise _Damaged from error
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def connect(path: Path) -> sqlite3.Connection:
    """A connection without transactions of its own making, usable in whichever thread has it."""
    return sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Brings the file to this version, in one transaction; raises SpoolError for one of a later version."""
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > VERSION:
        raise SpoolError(
            f"{path}: written by a later edgefn (version {found} of the file, this one knows {VERSION}); "
            "install that edgefn again, or name another folder with --state"
        )
    if found == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    for step in MIGRATIONS[found:]:
        for statement in step.split(";"):
            connection.execute(statement)
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('id', ?)", (secrets.token_hex(8),))
    connection.execute(f"PRAGMA user_version={VERSION}")
    connection.execute("COMMIT")


def rescued(path: Path, *, power: bool) -> tuple[sqlite3.Connection, Path, int]:
    """Another file in the place of a damaged one, with what can be read of it; where that is kept, and how many
    messages were saved. Raises sqlite3.Error and OSError.

    A kill at any moment leaves the damaged file where it is, or the other one whole.
    """
    fresh = path.with_name(RESCUE)
    for ending in ENDINGS:
        fresh.with_name(fresh.name + ending).unlink(missing_ok=True)
    with contextlib.closing(_opened(fresh, power=power)) as connection:
        saved = salvage(path, connection)
    aside = set_aside(path)
    _take_rescued(path)
    return _opened(path, power=power), aside, saved


def _take_rescued(path: Path) -> None:
    """Takes a file into use that was made of a damaged one, where that is not in its place any more."""
    fresh = path.with_name(RESCUE)
    if fresh.exists() and not path.exists():
        set_aside(path)  # its journals, where a kill has left them: they are of the damaged file
        fresh.rename(path)


def set_aside(path: Path) -> Path:
    """Renames a damaged file, with the journals that belong to it; it is never deleted."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    number = 0
    while (aside := path.with_name(f"{path.stem}.damaged-{stamp}{f'-{number}' if number else ''}.db")).exists():
        number += 1
    for ending in ENDINGS:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(aside.with_name(aside.name + ending))
    return aside


def salvage(damaged: Path, connection: sqlite3.Connection) -> int:
    """Copies what can still be read of a damaged file; how many messages that were."""
    saved = 0
    with contextlib.suppress(sqlite3.Error), contextlib.closing(connect(damaged)) as source:
        for table in TABLES:
            saved += _copied(source, connection, table)
        for table in ("arrivals", "seen", "meta"):  # what is known, and by which clock times are
            _copied(source, connection, table)
    return saved


def _copied(source: sqlite3.Connection, connection: sqlite3.Connection, table: str) -> int:
    known = {row[1] for row in source.execute(f"PRAGMA table_info({table})")}  # it may be of an earlier version
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] in known]
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    saved = 0
    for row in _readable(source, f"SELECT {names} FROM {table} ORDER BY 1"):
        with contextlib.suppress(sqlite3.IntegrityError):
            connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", row)
            saved += 1
    return saved


def _readable(source: sqlite3.Connection, query: str) -> Iterator[tuple[object, ...]]:
    """The rows up to the first that can not be read."""
    with contextlib.suppress(sqlite3.Error):
        yield from source.execute(query)


def remedy(error: sqlite3.Error | OSError) -> str:
    """What the user can do about an error of the disk."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or getattr(error, "errno", 0) == 28:
        return "make room on that disk: inputs wait at the hub, and nothing is stored meanwhile"
    if code == sqlite3.SQLITE_IOERR:
        return "that disk may be full, or damaged: make room, and look at it"
    if code in HELD:
        return "another process holds the file; end it"
    return "make the folder writable for this user, or name another one with --state"
