"""Daemon threads for synchronous functions.

concurrent.futures is not enough here: its threads can not be given up, and hold the process at its end. A call that
runs for too long keeps its thread, and another one takes its place; a process that leaves does not wait for it.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any


class Job:
    """One call on a thread; ``future`` ends with it."""

    __slots__ = ("call", "context", "future", "given_up", "has_begun", "has_ended", "is_dropped", "thread_id")

    def __init__(self, call: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.call = call
        self.context = contextvars.copy_context()
        self.future = future
        self.thread_id = 0
        self.given_up: Callable[[], None] | None = None
        self.has_begun = self.has_ended = self.is_dropped = False


class Threads:
    """At most ``count`` threads at work, started when they are needed; calls beyond that wait.

    All methods belong to the event loop that the object was made on.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._started = 0
        self._busy = 0
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._ended: deque[tuple[Job, Any, BaseException | None]] = deque()
        self._waking = False
        self._lock = threading.Lock()
        """Held by who decides whether a job has begun, has ended, or is given up."""
        self._loop = asyncio.get_running_loop()

    def run(self, call: Callable[[], Any]) -> Job:
        """Runs the call on a thread, in a copy of the current context."""
        job = Job(call, self._loop.create_future())
        self._jobs.put(job)
        self._busy += 1
        self._start_missing()
        return job

    def give_up(self, job: Job, returned: Callable[[], None]) -> bool:
        """Replaces the thread of a job that takes too long; ``returned`` is called on the loop when it comes back.

        False where it holds none: the job has ended already, though the loop may not have heard of it yet; or it has
        not begun, and never will.
        """
        with self._lock:
            if job.has_ended:
                return False
            job.is_dropped = not job.has_begun
            job.given_up = None if job.is_dropped else returned
        self._busy -= 1
        if job.is_dropped:
            return False
        self._started -= 1
        self._start_missing()
        return True

    def close(self) -> None:
        """Ends the threads that have nothing to do; the others end with their call."""
        for _ in range(self._started):
            self._jobs.put(None)

    def _start_missing(self) -> None:
        if self._busy > self._started and self._started < self._count:
            self._started += 1
            # started outside of any invocation: what a thread logs belongs to the job that it runs
            thread = threading.Thread(target=self._work, name="edgefn-function", daemon=True)
            contextvars.Context().run(thread.start)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            with self._lock:
                if job.is_dropped:
                    continue
                job.has_begun = True
            job.thread_id = threading.get_ident()
            ended: tuple[Job, Any, BaseException | None]
            try:
                ended = (job, job.context.run(job.call), None)
            except BaseException as error:
                ended = (job, None, error)
            with self._lock:
                job.has_ended = True
                is_replaced = job.given_up is not None
            self._ended.append(ended)
            if not self._waking:
                self._waking = True
                try:
                    self._loop.call_soon_threadsafe(self._finish)
                except RuntimeError:  # the loop is closed: nobody waits any more
                    return
            if is_replaced:
                return

    def _finish(self) -> None:
        """Hands over everything that ended since the loop was woken."""
        self._waking = False  # before the queue is looked at, so that what is added from now on wakes again
        while self._ended:
            job, value, error = self._ended.popleft()
            if job.given_up:
                job.given_up()
                continue
            self._busy -= 1
            if job.future.done():
                continue
            if error is None:
                job.future.set_result(value)
            else:
                job.future.set_exception(error)
