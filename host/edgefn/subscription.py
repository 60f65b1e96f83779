"""A function's share of a video source: the frames that wait for it, and what became of the others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgefn.contracts import VideoFrame
from edgefn.gates import MotionGate
from edgefn.pacing import Spacing

if TYPE_CHECKING:
    from edgefn.video import Source


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which frames a subscription takes, and how many it keeps."""

    capacity: int = 1
    holds: bool = False
    """When ``capacity`` frames wait: True holds the reader back, False drops the oldest of them."""
    max_fps: float | None = None
    every_nth: int = 1
    max_age: float | None = None
    """Seconds; a frame that is older when it would be taken is dropped."""
    motion: float = 0.0
    """The share of the picture that has to change; 0.0 for all frames, still ones too."""
    motion_hold: float = 0.0
    """Seconds of media for which frames are taken after the last motion."""


@dataclass(slots=True)
class Run:
    """One life of the reader thread. ``over`` is set when no further frame comes, ``end`` when the thread has ended."""

    over: bool = False
    end: Future[None] = field(default_factory=Future)
    served: set[Subscription] = field(default_factory=set)
    """Those whose frames it reads, or has read: also one that joins only after a short clip has ended."""


class Subscription:
    """A function's share of a source. Made at once, joined when its listener listens, left when that ends.

    Each frame that was read for it was taken, or dropped and counted by cause, or still waits.
    """

    def __init__(
        self, source: Source, wanted: Wanted, count_dropped: Callable[[str], Any] = lambda cause: None
    ) -> None:
        self.source = source
        self.wanted = wanted
        self.frames = 0
        self.taken = 0
        self.dropped: dict[str, int] = {}
        self.joined = False
        self.left = False
        self._run = Run()
        self._queue: deque[tuple[float, VideoFrame]] = deque()
        self._takers: deque[asyncio.Future[None]] = deque()
        self._count_dropped = count_dropped
        self._spacing = Spacing(wanted.max_fps) if wanted.max_fps else None
        self._motion = MotionGate()
        source.admit(self)

    # On the event loop.

    def join(self) -> None:
        """Takes part from now on, or from the first frame if the reader has not started."""
        self.joined, self.left = True, False
        self._run = self.source.join(self)

    def leave(self) -> None:
        """Takes no further frame: ``take`` gives nothing from now on, and frames that wait count as ``stopped``."""
        self.source.leave(self)
        self.wake()

    async def take(self, most: int = 1) -> list[VideoFrame]:
        """The next frames, at least one, oldest first; none when there can be no further one.

        What the caller does before its next await is done in the order of the frames.
        """
        while True:
            with self.source.changed:
                if frames := self._fresh(most):
                    self.taken += len(frames)
                    return frames
                if self._over:
                    return []
                woken = asyncio.get_running_loop().create_future()
                self._takers.append(woken)
            await woken

    async def ended(self) -> None:
        """Waits for the reader's end and raises its error, if it ended by one."""
        await asyncio.wrap_future(self._run.end)

    def wake(self) -> None:
        """Lets as many takers look as there is something to see."""
        looking = len(self._takers) if self._over else len(self._queue)
        while self._takers and looking > 0:
            woken = self._takers.popleft()
            if not woken.done():
                woken.set_result(None)
                looking -= 1

    @property
    def _over(self) -> bool:
        return self.left or self._run.over

    def _fresh(self, most: int) -> list[VideoFrame]:
        frames: list[VideoFrame] = []
        waiting = bool(self._queue)
        while self._queue and len(frames) < most:
            read_at, frame = self._queue.popleft()
            if self.wanted.max_age is not None and self.source.clock() - read_at > self.wanted.max_age:
                self.drop("age")
            else:
                frames.append(frame)
        if waiting and len(self._queue) <= self.wanted.capacity // 2:  # the reader goes on for several frames, not one
            self.source.changed.notify_all()
        return frames

    def want(self, wanted: Wanted) -> None:
        """Takes other frames from the next one on; those that wait stay."""
        with self.source.changed:
            if wanted.max_fps != self.wanted.max_fps:
                self._spacing = Spacing(wanted.max_fps) if wanted.max_fps else None
            self.wanted = wanted

    # On the reader's thread, or with ``changed`` held.

    def wants(self, number: int, at: float, interval: float) -> bool:
        """Whether the frame passes the rate options; counts it. Decided before the frame is decoded."""
        self.frames += 1
        nth, spacing = self.wanted.every_nth, self._spacing
        if number % nth == 0 and (spacing is None or spacing.wants(at, interval * nth)):
            return True
        self.drop("rate")
        return False

    def stirs(self, frame: VideoFrame) -> bool:
        """Whether enough moves in the frame, where that is asked for; a still one is dropped, and holds nobody back."""
        wanted, gate = self.wanted, self._motion
        if not wanted.motion:
            return True
        gate.fraction, gate.hold = wanted.motion, wanted.motion_hold
        if gate.feed(frame.image, frame.position):
            return True
        self.drop("still")
        return False

    @property
    def holds(self) -> bool:
        """Whether the reader has to wait for this function."""
        return self.wanted.holds and len(self._queue) >= self.wanted.capacity and not self.left

    def put(self, read_at: float, frame: VideoFrame) -> bool:
        """Adds a frame; True when somebody waits for it."""
        if self.left or self.holds:
            self.drop("stopped")
            return False
        if len(self._queue) >= self.wanted.capacity:
            self._queue.popleft()
            self.drop("busy")
        self._queue.append((read_at, frame))
        return bool(self._takers)

    def clear(self) -> None:
        while self._queue:
            self._queue.popleft()
            self.drop("stopped")

    def drop(self, cause: str) -> None:
        self.dropped[cause] = self.dropped.get(cause, 0) + 1
        self._count_dropped(cause)

    def status(self) -> dict[str, Any]:
        """The state of the source, and this function's own numbers."""
        shared = self.source.status()
        if self.left and shared["state"] != "ended":
            shared["state"] = "stopped"
        return {**shared, "frames": self.frames, "emitted": self.taken, "dropped": dict(self.dropped)}
