"""Time that never goes back, made of media time, which does."""

from __future__ import annotations


class Elapsed:
    """Seconds since the first frame. A clip that begins again, or a camera that is reopened, goes on from there."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._last: float | None = None

    def at(self, position: float) -> float:
        """The seconds that have passed when the media, or the clock, is at ``position``."""
        if self._last is not None and position > self._last:
            self._seconds += position - self._last
        self._last = position
        return self._seconds
