"""Threshold: whether something was found that the model is sure of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from edgefn.gates.sightings import Sighting, class_names, sightings


class ThresholdGate:
    """Open for results of which one has a score of at least ``threshold``; of ``classes``, where there are any."""

    def __init__(self, threshold: float = 0.5, classes: str | Iterable[str] = ()) -> None:
        self.threshold = threshold
        self.classes = class_names(classes)

    def feed(self, results: Any, at: float | None = None) -> list[Sighting]:
        """Those that count, in their order; none when the gate stays closed. Time means nothing to it.

        Raises TypeError for what is no result.
        """
        return [
            each
            for each in sightings(results)
            if each.score >= self.threshold and (not self.classes or each.name in self.classes)
        ]
