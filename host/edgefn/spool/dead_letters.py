"""Messages that failed for good: kept with the reason, listed, shown, replayed and discarded.

All functions here work on a connection, inside its transaction, so that the host and the command line use the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgefn.contracts import EdgeMessage, Outgoing
from edgefn.spool.options import DeadLetterOptions
from edgefn.spool.records import ABOUT, UNREADABLE, head_of, is_whole, message_of, without_body

COLUMNS = "id, box, function, name, destination, stored, died, attempts, reason, traceback, size, head, body"
DAMAGED = "what is known of it can not be read: the file is damaged"
TRACEBACK = 16_384
"""Characters of a traceback that are kept, the last ones."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that failed for good."""

    id: int
    box: str
    """``inbox`` for a message that a function failed on, ``outbox`` for one that the hub, or a broker, did not take."""
    function: str
    name: str
    """The input it came by, or the output it was for."""
    destination: str
    """The broker that it was for; empty for the hub, and for what a function failed on."""
    stored: float
    """When it came, seconds since the epoch."""
    died: float
    attempts: int
    reason: str
    traceback: str
    size: int
    message: EdgeMessage
    is_whole: bool = True
    """Whether all of it was kept; else it can not be replayed."""


def _of_row(row: Sequence[Any]) -> DeadLetter:
    *known, head, body = row
    try:
        message, whole = message_of(head, body), is_whole(head)
    except UNREADABLE:
        message, whole = EdgeMessage(body), False
    return DeadLetter(*known, message, whole)  # type: ignore[arg-type,call-arg,unused-ignore]


def letters(connection: sqlite3.Connection, limit: int = 100, before: int = 0) -> list[DeadLetter]:
    """The newest first, at most ``limit``; those older than the letter ``before`` where one is given."""
    query = f"SELECT {COLUMNS} FROM dead WHERE ? = 0 OR id < ? ORDER BY id DESC LIMIT ?"
    return [_of_row(row) for row in connection.execute(query, (before, before, limit))]


def letter(connection: sqlite3.Connection, number: int) -> DeadLetter | None:
    row = connection.execute(f"SELECT {COLUMNS} FROM dead WHERE id = ?", (number,)).fetchone()
    return None if row is None else _of_row(row)


def bury_input(
    connection: sqlite3.Connection, number: int, now: float, attempts: int, reason: str, traceback: str = ""
) -> None:
    """Copies a message of the inbox to the dead letters; the caller removes it there."""
    connection.execute(
        "INSERT INTO dead (box, function, name, head, body, size, stored, died, attempts, reason, traceback) "
        "SELECT 'inbox', function, input, head, body, size, stored, ?, ?, ?, ? FROM inbox WHERE id = ?",
        (now, attempts, reason, traceback[-TRACEBACK:], number),
    )


def bury_output(connection: sqlite3.Connection, number: int, now: float, attempts: int, reason: str) -> int:
    """Makes a dead letter of a message in the outbox; how many that were, since another may have taken it away."""
    made = connection.execute(
        "INSERT INTO dead (box, function, name, head, body, size, stored, died, attempts, reason, traceback, "
        "destination) SELECT 'outbox', '', output, head, body, size, stored, ?, ?, ?, '', destination "
        "FROM outbox WHERE id = ?",
        (now, attempts, reason, number),
    ).rowcount
    connection.execute("DELETE FROM outbox WHERE id = ?", (number,))
    return made


def bury_unsent(
    connection: sqlite3.Connection, outgoing: Outgoing, head: bytes, body: bytes, now: float, reason: str
) -> None:
    """Makes a dead letter of a message that was never stored; with another body where that is not to be kept."""
    output, size = outgoing.message.output_name, len(head) + len(body) + ABOUT
    connection.execute(
        "INSERT INTO dead (box, function, name, head, body, size, stored, died, attempts, reason, traceback, "
        "destination) VALUES ('outbox', '', ?, ?, ?, ?, ?, ?, 0, ?, '', ?)",
        (output, head, body, size, now, now, reason, outgoing.destination),
    )


def readable(
    connection: sqlite3.Connection, box: str, query: str, given: Sequence[Any], now: float
) -> tuple[list[tuple[Any, ...]], int]:
    """The rows of a query that ends with head and body, each with its message behind that; and how many there were that
    can not be read, which are dead letters now: they would hold up all others.
    """
    buried = 0
    while True:
        found, damaged = [], []
        for row in connection.execute(query, given).fetchall():
            try:
                found.append((*row, message_of(*row[-2:])))
            except UNREADABLE:
                damaged.append(row[0])
        if not damaged:
            return found, buried
        bury = bury_input if box == "inbox" else bury_output
        for number in damaged:
            bury(connection, number, now, 0, DAMAGED)
            letter_id = connection.execute("SELECT max(id) FROM dead").fetchone()[0]
            connection.execute("UPDATE dead SET head = ? WHERE id = ?", (without_body(b"{}"), letter_id))
        connection.executemany(f"DELETE FROM {box} WHERE id = ?", [(number,) for number in damaged])
        buried += len(damaged)


def trim(connection: sqlite3.Connection, options: DeadLetterOptions, now: float) -> int:
    """Removes the oldest beyond the bounds; how many that were."""
    gone = connection.execute("DELETE FROM dead WHERE died < ?", (now - options.max_age,)).rowcount
    count, size = connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM dead").fetchone()
    while count > options.max_messages or (size > options.max_bytes and count > 1):
        number, bytes_ = connection.execute("SELECT id, size FROM dead ORDER BY id LIMIT 1").fetchone()
        connection.execute("DELETE FROM dead WHERE id = ?", (number,))
        count, size, gone = count - 1, size - bytes_, gone + 1
    return gone


def replay(connection: sqlite3.Connection, number: int, now: float, max_age: float) -> bool:
    """Puts a letter back where it was, as a new message that was never tried; False when there is none that is whole.

    Who replays it says that it is worth something: where its output declared for how long that is, this counts no more.
    """
    found = letter(connection, number)
    if found is None or not found.is_whole:
        return False
    if found.box == "inbox":
        connection.execute(
            "INSERT INTO inbox (function, input, head, body, size, stored) "
            "SELECT function, name, head, body, size, ? FROM dead WHERE id = ?",
            (now, number),
        )
    else:
        connection.execute(
            "INSERT INTO outbox (output, head, body, size, stored, expires, destination) "
            "SELECT name, ?, body, size, ?, ?, destination FROM dead WHERE id = ?",
            (head_of(found.message), now, now + max_age, number),
        )
    connection.execute("DELETE FROM dead WHERE id = ?", (number,))
    return True


def discard(connection: sqlite3.Connection, number: int) -> bool:
    """Removes a letter; False when there is none."""
    return connection.execute("DELETE FROM dead WHERE id = ?", (number,)).rowcount > 0
