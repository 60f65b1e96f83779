"""Arithmetic of time for video: which frames to take, how long to wait, how fast they come. No clock inside."""

from __future__ import annotations

import random
from dataclasses import dataclass

JITTER = 0.001  # seconds


class Spacing:
    """Thins frames out to at most ``rate`` a second, on an even grid of time."""

    def __init__(self, rate: float) -> None:
        self._interval = 1 / rate
        self._due: float | None = None

    def wants(self, at: float, frame: float) -> bool:
        """Whether to take the frame of second ``at``; ``frame`` is the time between two frames, 0.0 when unknown.

        The frame nearest to each point of the grid is taken, so jitter does not accumulate and nothing is made up
        for after a gap.
        """
        if self._due is None:
            self._due = at
        early = min(max(frame / 2, JITTER), self._interval / 2)
        if at < self._due - early:
            return False
        missed = max(0, int((at - self._due) / self._interval))
        self._due += (missed + 1) * self._interval
        return True


class Pacer:
    """Tells how long to wait so that media time runs as fast as the clock; a late frame shifts no later one."""

    def __init__(self) -> None:
        self._start: float | None = None

    def delay(self, media: float, now: float) -> float:
        if self._start is None:
            self._start = now - media
        return self._start + media - now

    def restart(self) -> None:
        """Forgets the time so far: the next frame is on time."""
        self._start = None


@dataclass(slots=True)
class BackOff:
    """Seconds to wait before each attempt: from ``first`` doubling to ``longest``, less up to a third at random."""

    first: float = 0.5
    longest: float = 30.0
    attempts: int = 0

    def next(self) -> float:
        delay = min(self.first * 2.0 ** min(self.attempts, 30), self.longest)
        self.attempts += 1
        return max(self.first, delay * random.uniform(0.67, 1.0))


class MeasuredRate:
    """Frames a second, measured over the last second; over a shorter time at the beginning."""

    def __init__(self) -> None:
        self.fps = 0.0
        self._since: float | None = None
        self._frames = 0

    def frame(self, at: float) -> None:
        """Counts a frame that came at second ``at``."""
        if self._since is None:
            self._since = at
            return
        self._frames += 1
        if (passed := at - self._since) >= (1.0 if self.fps else 0.1):
            self.fps = self._frames / passed
            self._since, self._frames = at, 0
