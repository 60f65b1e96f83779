"""Motion: whether enough of a picture has changed. OpenCV is imported when the first picture comes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgefn.gates.elapsed import Elapsed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

WIDTH, HEIGHT = 80, 45
"""The grey picture that is compared, whatever the size of the camera's: so a fraction is one at any resolution."""
ROWS = 2  # rows of the camera's picture in one of the grey one: all of them would tell the same, at 7 times the cost
LEVEL = 25  # of 255, that a point has to differ: well above the noise of a camera, of which a point is an average
MEMORY = 10.0  # seconds after which the background has taken up 63 % of what stays: slower than what passes by


class MotionGate:
    """Open for pictures of which at least ``fraction`` differs from the background, and for ``hold`` seconds after.

    The background is what the camera saw of late: it adapts slowly, so that a change of daylight is no motion, and a
    car that has parked is part of it after some 15 s. The first picture opens the gate, as there is nothing to compare
    it with.
    """

    def __init__(
        self, fraction: float = 0.01, hold: float = 0.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.fraction = fraction
        self.hold = hold
        self.changed = 0.0
        """The share of the last picture that differs from the background; 1.0 for the first one."""
        self._clock = clock
        self._elapsed = Elapsed()
        self._now = 0.0
        self._moved = -math.inf
        self._background: NDArray[np.float32] | None = None

    def feed(self, image: Picture, at: float | None = None) -> bool:
        """Whether the gate is open for a picture (H x W x 3 BGR or H x W grey, uint8); ``at`` in seconds."""
        now = self._elapsed.at(self._clock() if at is None else at)
        self.changed = self._compare(image, now - self._now)
        self._now = now
        if self.changed >= self.fraction:
            self._moved = now
            return True
        return now - self._moved < self.hold

    def _compare(self, image: Picture, passed: float) -> float:
        import cv2

        small = _small(image)
        if self._background is None:
            self._background = small.astype("float32")
            return 1.0
        difference = cv2.absdiff(small, cv2.convertScaleAbs(self._background))
        moved = cv2.countNonZero(cv2.threshold(difference, LEVEL, 255, cv2.THRESH_BINARY)[1])
        cv2.accumulateWeighted(small, self._background, 1 - math.exp(-passed / MEMORY))
        return moved / (WIDTH * HEIGHT)


def _small(image: Picture) -> Picture:
    import cv2

    rows = image[:: max(1, image.shape[0] // (HEIGHT * ROWS))]
    small = cv2.resize(rows, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_BGR2GRAY) if small.ndim == 3 else small  # type: ignore[return-value]
