"""The files that functions have had: noted together with the messages that they became, so that each runs once."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from edgefn.spool.store import Store, Work

FORGOTTEN = 30 * 86400.0
"""Seconds after which files of functions that the app does not have any more are forgotten."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file as it was when its message was stored; one that changed is another arrival."""

    path: str
    size: int
    modified: int
    """Time of its last change, in nanoseconds, as the file system has it."""
    wish: str = ""
    """What is still to be done with the file, where its message has ended."""


class Arrivals:
    """See the module's text. All works belong into the writer's transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def known(self, function: str) -> dict[str, Arrival]:
        """The files that a function has had, by their paths, oldest first; raises SpoolError."""
        query = "SELECT path, size, modified, wish FROM arrivals WHERE function = ? ORDER BY id"
        rows = await self._store.run(lambda connection: connection.execute(query, (function,)).fetchall())
        return {row[0]: Arrival(*row) for row in rows}

    def noted(self, function: str, arrival: Arrival) -> Work[None]:
        """Notes a file, or what is still to be done with it."""
        row = (function, arrival.path, arrival.size, arrival.modified, self._store.clock.now(), arrival.wish)

        def work(connection: sqlite3.Connection) -> None:
            columns = "function, path, size, modified, seen, wish"
            connection.execute(f"INSERT OR REPLACE INTO arrivals ({columns}) VALUES (?, ?, ?, ?, ?, ?)", row)

        return work

    def forgotten(self, function: str, arrivals: Sequence[Arrival]) -> Work[None]:
        """Forgets files, as long as they were not noted otherwise since."""
        rows = [(function, each.path, each.size, each.modified) for each in arrivals]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "DELETE FROM arrivals WHERE function = ? AND path = ? AND size = ? AND modified = ?", rows
            )

        return work

    def forget(self, function: str, arrivals: Sequence[Arrival]) -> None:
        """Forgets files soon; where that can not be stored they are forgotten another time."""
        self._store.submit(self.forgotten(function, arrivals))

    async def begin(self, functions: Sequence[str]) -> None:
        """Forgets the files of functions that the app has not had for long; raises SpoolError."""
        before = self._store.clock.now() - FORGOTTEN
        marks = ", ".join("?" * len(functions)) or "''"
        query = (
            f"DELETE FROM arrivals WHERE function NOT IN ({marks}) AND function NOT IN "
            "(SELECT function FROM arrivals WHERE seen > ?)"
        )
        await self._store.run(lambda connection: connection.execute(query, (*functions, before)).rowcount)
