"""The infer requests of one compiled model, and the threads that run them for coroutines.

A thread that owns a request and runs a frame to its end is faster than callbacks (docs/architecture.md), so
``infer_async`` is ``infer`` on one of these threads; its results reach the event loop in the order of the calls, with
one wake-up for all that are finished.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from edgefn.errors import ModelError

GRACE = 2.0
"""Seconds that closing waits for running inferences; what takes longer ends by itself."""
PATIENCE = 0.015
"""Seconds that a result in a long line waits at most for those after it, as they have come lately."""

T = TypeVar("T")


class Ticket:
    """One ``infer_async`` call: its place in the line, and its result when there is one."""

    __slots__ = ("data", "done", "error", "future", "line", "run", "value")

    def __init__(self, line: Line, run: Callable[[Any], Any], data: Any) -> None:
        self.line, self.run, self.data = line, run, data
        self.future: asyncio.Future[Any] = line.loop.create_future()
        self.value: Any = None
        self.error: Exception | None = None
        self.done = False

    def work(self) -> None:
        """Runs the inference; in a thread of the pool. Whoever was cancelled meanwhile is skipped."""
        try:
            if not self.future.cancelled():
                self.value = self.run(self.data)
        except Exception as error:  # any error belongs to the coroutine that waits
            self.error = error
        self.data = None
        self.done = True
        self.line.finished()

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.value)


class Line:
    """The ``infer_async`` calls of one session on one event loop, in their order."""

    def __init__(self, loop: asyncio.AbstractEventLoop, requests: int) -> None:
        self.loop = loop
        self._requests = requests
        self._tickets: deque[Ticket] = deque()
        self._woken = False
        self._finished = time.perf_counter()
        self._pace = PATIENCE
        """Seconds from one result to the next, lately."""

    def join(self, run: Callable[[Any], Any], data: Any) -> Ticket:
        """A place at the end of the line; on the event loop."""
        ticket = Ticket(self, run, data)
        self._tickets.append(ticket)
        return ticket

    def finished(self) -> None:
        """Wakes the loop, unless it is about to look anyway, or another result is still to come before this one.

        A wake-up costs as much as a resize where the loop sleeps on another processor, and what comes together is
        stored and sent together. So in a line that keeps every request busy meanwhile, the first result waits for the
        next ones, which run already, or are the next to run, where those come soon.

        Called in any thread, after ``ticket.done`` was set; ``_deliver`` looks at the flags in the opposite order.
        """
        now = time.perf_counter()
        self._pace = (self._pace + now - self._finished) / 2
        self._finished = now
        if self._woken or not self._is_due():
            return
        self._woken = True
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self.loop.call_soon_threadsafe(self._deliver)

    def _is_due(self) -> bool:
        line = self._tickets
        several = min(len(line) - self._requests, 1 + int(PATIENCE / max(self._pace, 1e-6)))
        try:
            return line[0].done and (several < 2 or line[several - 1].done)
        except IndexError:  # delivered since it was done
            return False

    def _deliver(self) -> None:
        self._woken = False
        while self._tickets and self._tickets[0].done:
            self._tickets.popleft().settle()


class Requests(Generic[T]):
    """A pool of infer requests with one thread each, which start with the first ``submit``.

    The threads end when the pool is closed or forgotten.
    """

    def __init__(self, name: str, slots: Sequence[T]) -> None:
        self.slots = tuple(slots)
        self._name = name
        self._free: SimpleQueue[T | None] = SimpleQueue()
        for slot in slots:
            self._free.put(slot)
        self._jobs: SimpleQueue[Ticket | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closed = False

    def take(self) -> T:
        """A request of one's own until it is given back; waits for one. Raises ModelError when closed."""
        slot = self._free.get()
        if slot is None:
            self._free.put(None)
            raise ModelError(f"model '{self._name}' is closed; right would be to use a session while its function runs")
        return slot

    def give(self, slot: T) -> None:
        self._free.put(slot)

    def submit(self, ticket: Ticket) -> None:
        """Has the ticket's work done in a thread, in the order of the calls; at once, and in vain, when closed."""
        with self._lock:
            if not self._closed:
                self._threads = self._threads or self._started()
                self._jobs.put(ticket)
                return
        ticket.work()

    def _started(self) -> list[threading.Thread]:
        names = (f"infer {self._name} {number}" for number in range(len(self.slots)))
        threads = [threading.Thread(target=_serve, args=(self._jobs,), name=name, daemon=True) for name in names]
        for thread in threads:
            thread.start()
        weakref.finalize(self, _stop, self._jobs, threads)
        return threads

    def close(self) -> None:
        """Waits for the running inferences; later ones raise ModelError."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        until = time.monotonic() + GRACE
        with contextlib.suppress(Empty):
            for _ in self.slots:
                self._free.get(timeout=max(0.0, until - time.monotonic()))
        self._free.put(None)
        _stop(self._jobs, self._threads, until)
        self.slots = ()


def _serve(jobs: SimpleQueue[Ticket | None]) -> None:
    while (ticket := jobs.get()) is not None:
        ticket.work()
        del ticket


def _stop(jobs: SimpleQueue[Ticket | None], threads: Sequence[threading.Thread], until: float = 0.0) -> None:
    """Ends the threads, and waits for them until that time of the monotonic clock."""
    for _ in threads:
        jobs.put(None)
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(max(0.0, until - time.monotonic()))
