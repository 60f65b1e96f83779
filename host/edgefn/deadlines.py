"""The time-out of a function's invocations, for the price of a dict entry each.

All invocations of a function may take equally long, so they are due in the order in which they began, and one timer for
the oldest is enough. ``asyncio.timeout`` makes and cancels one for each, which is half of what an invocation of a small
function costs.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """Cancels the task that entered it when it is due; ``passed`` tells that, and the cancellation is then taken back.

    Used as a context manager. What a due block raises is up to the caller: a CancelledError comes out of it, with
    ``passed`` set, unless the task was cancelled by somebody else too.
    """

    __slots__ = ("_cancelling", "_deadlines", "_task", "at", "passed")

    def __init__(self, deadlines: Deadlines, task: asyncio.Task[object], at: float) -> None:
        self._deadlines = deadlines
        self._task = task
        self._cancelling = task.cancelling()
        self.at = at
        self.passed = False

    def __enter__(self) -> Deadline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadlines.forget(self)
        if self.passed and self._task.uncancel() > self._cancelling:
            self.passed = False  # somebody else wants the task to end: that counts

    def expire(self) -> None:
        self.passed = True
        self._task.cancel()


class Deadlines:
    """The open deadlines of one function, the oldest first; belongs to the event loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._open: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> Deadline:
        """A deadline for what the running task does next."""
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        deadline = Deadline(self, task, loop.time() + self._seconds)
        self._open[deadline] = None
        if self._timer is None:
            self._timer = loop.call_at(deadline.at, self._look)
        return deadline

    def forget(self, deadline: Deadline) -> None:
        self._open.pop(deadline, None)

    def _look(self) -> None:
        """Lets those expire that are due, and looks again when the oldest of the others is."""
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        for deadline in list(self._open):
            if deadline.at > now:
                self._timer = loop.call_at(deadline.at, self._look)
                return
            self.forget(deadline)
            deadline.expire()
