"""The one writer of the spool: a thread that puts what came together into one transaction.

``run`` and ``submit`` hand it a piece of work, a function of the connection; each piece is told its result after the
commit. When a transaction fails its pieces are run again one by one, so that a bad one fails alone. A piece that may
wait goes along with the next one that does not, or for itself a little later.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from edgefn.errors import SpoolError
from edgefn.spool.schema import FILE, is_broken, is_held, open_file, remedy, rescued
from edgefn.spool.steady import SteadyClock

log = logging.getLogger("edgefn.spool")

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
TICK = 1.0
"""Seconds between looks at the clock, at what other processes wrote, and, when it can not be opened, at the file."""
NOT_THE_FILE = (sqlite3.ProgrammingError, sqlite3.InterfaceError)
"""Errors of what was to be stored, such as a value that no column takes; they say nothing of the file."""
GROUP = 500
"""Pieces of work from which on a transaction takes no further ones."""
LINGER = 0.02
"""Seconds that a piece waits at most for another one to go along with."""


@dataclass(slots=True)
class Piece(Generic[T]):
    """A piece of work, and whom to tell."""

    work: Work[T]
    future: asyncio.Future[T] | None
    then: Callable[[T], None] | None = None
    result: Any = None
    error: BaseException | None = None


async def to_its_end(storing: Coroutine[Any, Any, T]) -> T:
    """Stores also where who waits for it is cancelled meanwhile: what is in the file must come into its line."""
    return await asyncio.shield(asyncio.ensure_future(storing))


class Store:
    """See the module's text. Made on the event loop that is told; ``open`` starts the thread."""

    def __init__(self, folder: Path, *, power: bool) -> None:
        self._folder = folder
        self._power = power
        self._queue: SimpleQueue[list[Piece[Any]] | None] = SimpleQueue()
        self._handed: list[Piece[Any]] = []
        """Pieces of this turn of the loop."""
        self._waiting: deque[Piece[Any]] = deque()
        self._lingers = False
        self._connection: sqlite3.Connection | None = None
        self._thread: threading.Thread | None = None
        self._version = 0
        self.clock = SteadyClock()
        self.fault = ""
        """Why nothing can be stored at present; empty when all is well."""
        self.damaged = 0
        """Files that were set aside since the start."""
        self.commits = 0
        self.opened: list[Work[None]] = []
        """Called with the connection in the writer's thread, whenever totals must be counted anew."""
        self.measure: Work[None] = lambda connection: None
        """Called with the connection once a second."""
        self.changed: list[Callable[[], None]] = []
        """Called on the loop when the rows are not what was handed out: another process wrote, a file was replaced."""

    async def open(self) -> None:
        """Opens the file; a file that can not be opened is tried again for as long as the store lives.

        What needs the file fails with SpoolError meanwhile.
        """
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._try_to_open)
        self._thread = threading.Thread(target=self._write, name="edgefn-spool", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Commits what was handed over, and closes the file."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._hand_over()
            self._queue.put(None)
            await asyncio.to_thread(thread.join, 5.0)

    def run(
        self, work: Work[T], then: Callable[[T], None] | None = None, *, may_wait: bool = False
    ) -> asyncio.Future[T]:
        """Runs a piece of work in the next transaction; its result after the commit. Raises SpoolError.

        ``then`` gets the result, on the loop, also where who waits for it was cancelled meanwhile.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._thread is None:
            future.set_exception(SpoolError("the spool is closed: the host has stopped, or was not started"))
        elif may_wait:
            self._waiting.append(Piece(work, future, then))
            if not self._lingers:
                self._lingers = True
                self._loop.call_later(LINGER, self._no_longer)
        else:
            self._hand(Piece(work, future, then))
        return future

    def _hand(self, piece: Piece[Any]) -> None:
        """Gives a piece to the writer's thread, together with all of this turn of the loop: it is woken once."""
        self._handed.append(piece)
        if len(self._handed) == 1:
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        if self._handed:
            self._queue.put(self._handed)
            self._handed = []

    def _no_longer(self) -> None:
        """What still waits has waited long enough."""
        self._lingers = False
        if self._waiting:
            self.submit(lambda connection: None)

    def submit(self, work: Work[Any]) -> None:
        """Runs a piece of work in the next transaction, whose result nobody waits for."""
        self._hand(Piece(work, None))

    def recount(self) -> None:
        """Counts anew, and tells those that hold rows, after rows were moved between tables."""

        def work(connection: sqlite3.Connection) -> None:
            self._recount(connection)
            self._say_changed()

        self.submit(work)

    # --- the writer's thread -------------------------------------------------------------------------------------

    def _write(self) -> None:
        ending = False
        ticked = time.monotonic()
        while not ending:
            pieces, ending = self._taken(max(0.0, ticked + TICK - time.monotonic()))
            if pieces:
                self._guarded(functools.partial(self._group, pieces), pieces)
                self._tell(pieces)
            if time.monotonic() - ticked >= TICK:
                ticked = time.monotonic()
                self._guarded(self._tick, [])
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()

    def _guarded(self, step: Callable[[], None], pieces: list[Piece[Any]]) -> None:
        """Runs a step; a fault of ours in it is told, and must not end the thread: all wait for it."""
        try:
            step()
        except Exception as error:
            log.exception("The writer of the spool broke in a way that was not foreseen, and goes on; please report it")
            for piece in pieces:
                piece.error = piece.error or SpoolError(
                    f"the writer of the spool broke: {type(error).__name__}: {error}"
                )

    def _taken(self, patience: float) -> tuple[list[Piece[Any]], bool]:
        """What is there, after waiting for the first, behind what goes along; and whether the end was asked for."""
        pieces: list[Piece[Any]] = []
        ending = False
        with contextlib.suppress(Empty):
            handed = self._queue.get(timeout=patience)
            while handed is not None:
                pieces += handed
                if len(pieces) >= GROUP:
                    break
                handed = self._queue.get_nowait()
            ending = handed is None
        if pieces or ending:
            pieces[:0] = [self._waiting.popleft() for _ in range(len(self._waiting))]
        return pieces, ending

    def _group(self, pieces: list[Piece[Any]]) -> None:
        """Runs pieces in one transaction; each on its own when that fails."""
        if self._connection is None:
            for piece in pieces:
                piece.error = SpoolError(self.fault)
            return
        error = self._transaction(self._connection, pieces)
        if error is not None and is_broken(error):
            self._replace(self._connection, error)
            if self._connection is not None:
                error = self._transaction(self._connection, pieces)
        if error is None:
            return
        for piece in pieces:
            piece.error = None
            if self._connection is not None and not is_held(error):  # who holds it is waited for once, for all
                error = self._transaction(self._connection, [piece])
            if error is not None:
                self._fail(piece, error)

    def _transaction(self, connection: sqlite3.Connection, pieces: list[Piece[Any]]) -> sqlite3.Error | None:
        """Runs pieces in one transaction; gives what the file failed with, and then nothing was changed."""
        try:
            connection.execute("BEGIN IMMEDIATE")
            for piece in pieces:
                piece.result = piece.work(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back(connection)
            if len(pieces) > 1 or not isinstance(error, NOT_THE_FILE):
                return error
            pieces[0].error = error
        except Exception as error:  # a fault of ours in one piece must not take the others with it
            self._roll_back(connection)
            if len(pieces) > 1:
                return sqlite3.Error(str(error))
            pieces[0].error = error
        else:
            self.commits += 1
            self.fault = ""
        return None

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        with contextlib.suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._recount(connection)

    def _fail(self, piece: Piece[Any], error: sqlite3.Error) -> None:
        text = f"{self._folder / FILE}: {error}; {remedy(error)}"
        if not self.fault:
            log.error("Nothing can be stored: %s", text)
        self.fault = text
        piece.error = SpoolError(text)

    def _recount(self, connection: sqlite3.Connection) -> None:
        for count in self.opened:
            count(connection)

    def _tell(self, pieces: list[Piece[Any]]) -> None:
        told = [piece for piece in pieces if piece.future is not None or piece.error is not None]
        if told:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(_settle, told)

    def _tick(self) -> None:
        if self._connection is None:
            self._try_to_open()
            return
        try:
            self.clock.keep(self._connection)
            self.measure(self._connection)
            free = self._connection.execute("PRAGMA freelist_count").fetchone()[0]
            if free > 256:
                self._connection.executescript(f"PRAGMA incremental_vacuum({min(free, 2048)})")  # a step for each page
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as error:
            if is_broken(error):
                self._replace(self._connection, error)
            return
        if version != self._version:
            self._version = version
            self._recount(self._connection)
            self._say_changed()

    # --- the file ------------------------------------------------------------------------------------------------

    def _try_to_open(self) -> None:
        try:
            connection, note = open_file(self._folder, power=self._power)
        except SpoolError as error:
            if self.fault != str(error):
                log.error("%s", error)
            self.fault = str(error)
            return
        if note:
            self.damaged += 1
            log.error("%s", note)
        if self.fault:
            log.info("The spool is open: %s", self._folder / FILE)
        self._use(connection)

    def _replace(self, connection: sqlite3.Connection, error: sqlite3.Error) -> None:
        """A file that turns out to be damaged while it is in use is set aside, and another one begun."""
        with contextlib.suppress(sqlite3.Error):
            connection.close()
        self._connection = None
        self.damaged += 1
        path = self._folder / FILE
        try:
            fresh, aside, saved = rescued(path, power=self._power)
        except (OSError, sqlite3.Error, SpoolError) as fault:
            self.fault = str(fault)
            log.error("%s is damaged (%s), and no other one can be made: %s", path, error, fault)
            return
        log.error("%s was damaged (%s): it is kept as %s, %d messages of it were saved", path, error, aside.name, saved)
        self._use(fresh)

    def _use(self, connection: sqlite3.Connection) -> None:
        """Begins with a file that was opened; where that fails it is opened again later, as one that can not be."""
        try:
            self.clock.open(connection)
            self._version = connection.execute("PRAGMA data_version").fetchone()[0]
            self._recount(connection)
            self.measure(connection)
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                connection.close()
            text = f"{self._folder / FILE}: the spool can not be used: {error}; {remedy(error)}"
            if self.fault != text:
                log.error("%s", text)
            self.fault = text
            return
        self._connection, self.fault = connection, ""
        self._say_changed()

    def _say_changed(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(functools.partial(_call, self.changed))


def _settle(pieces: list[Piece[Any]]) -> None:
    """Who waits goes on a turn of the loop later, when ``then`` was called for all."""
    for piece in pieces:
        if piece.future is None:
            if not isinstance(piece.error, SpoolError):
                log.error("A piece of work of the spool failed: %r", piece.error)
        elif piece.future.done():
            continue
        elif piece.error is not None:
            piece.future.set_exception(piece.error)
        else:
            piece.future.set_result(piece.result)
    for piece in pieces:
        if piece.then is not None and piece.error is None:
            piece.then(piece.result)


def _call(several: list[Callable[[], None]]) -> None:
    for each in several:
        each()
