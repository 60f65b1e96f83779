"""On change of label: the same thing shown for a minute is one event, shown again later it is another one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from edgefn.gates.elapsed import Elapsed
from edgefn.gates.sightings import class_names, sightings


class LabelGate:
    """Opens when the best label of a picture is another one than the last.

    Scores below ``threshold`` are ignored. The label is forgotten when a ``background`` label is seen (an empty hand, a
    bare table), and when it was not seen for longer than ``timeout`` seconds; None for never.
    """

    def __init__(
        self,
        threshold: float = 0.95,
        background: str | Iterable[str] = (),
        timeout: float | None = 5.0,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.threshold = threshold
        self.background = class_names(background)
        self.timeout = timeout
        self._clock = clock
        self._elapsed = Elapsed()
        self._label: str | None = None
        self._seen = 0.0

    def feed(self, candidates: Any, at: float | None = None) -> str | None:
        """The label when it has changed, else None. ``candidates`` is one result or a list; ``at`` in seconds.

        Raises TypeError for what is no result.
        """
        now = self._elapsed.at(self._clock() if at is None else at)
        if self.timeout is not None and now - self._seen > self.timeout:
            self._label = None
        sure = (each for each in sightings(candidates) if each.score >= self.threshold)
        best = max(sure, key=lambda each: each.score, default=None)
        if best is None:
            return None
        if best.name in self.background:
            self._label = None
            return None
        changed = best.name != self._label
        self._label, self._seen = best.name, now
        return best.name if changed else None
