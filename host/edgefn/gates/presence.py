"""Enter and leave: what comes into the picture, and what has been gone for long enough to be gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from edgefn.gates.elapsed import Elapsed
from edgefn.gates.sightings import class_names, sightings


@dataclass
class PresenceEvent:
    """A class that entered or left. Serialises to JSON as ``{"event", "name", "at", "since"}``."""

    event: Literal["enter", "leave"]
    name: str
    at: float
    """When it was seen first, or last: as it was given to ``feed``."""
    since: float
    """When it was seen first."""


class Presence(NamedTuple):
    """A class that is there."""

    since: float
    last: float
    elapsed: float
    """The time of the last sighting that never goes back."""


class PresenceGate:
    """Opens when a class enters the picture, and when it leaves.

    A class is there from its first detection with a score of at least ``threshold`` until a picture lacks it, and it
    was not seen for longer than ``hold`` seconds. Each of ``classes`` counts on its own; all that is found where none
    are named.
    """

    def __init__(
        self,
        classes: str | Iterable[str] = (),
        threshold: float = 0.5,
        hold: float = 2.0,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.classes = class_names(classes)
        self.threshold = threshold
        self.hold = hold
        self._clock = clock
        self._elapsed = Elapsed()
        self._present: dict[str, Presence] = {}
        self._last = 0.0

    @property
    def present(self) -> list[str]:
        """The classes that are there, in the order in which they entered."""
        return list(self._present)

    def feed(self, detections: Any, at: float | None = None) -> list[PresenceEvent]:
        """Who has left, then who has entered. ``detections`` are all of a picture, also none; ``at`` in seconds.

        What has left is told with the first picture after the hold time; no picture, no event. Raises TypeError for
        what is no result.
        """
        position = self._clock() if at is None else at
        now, seen = self._elapsed.at(position), self._seen(detections)
        present = {name: each for name, each in self._present.items() if not self._has_left(name, each, now, seen)}
        events = [
            PresenceEvent("leave", name, each.last, each.since)
            for name, each in self._present.items()
            if name not in present
        ]
        for name in seen:
            if name not in present:
                events.append(PresenceEvent("enter", name, position, position))
            since = present[name].since if name in present else position
            present[name] = Presence(since, position, now)
        self._present, self._last = present, now
        return events

    def _has_left(self, name: str, each: Presence, now: float, seen: list[str]) -> bool:
        """Whether it was missing for long enough; in two pictures that follow each other nothing was missing."""
        return now - each.elapsed > self.hold and not (name in seen and each.elapsed == self._last)

    def _seen(self, detections: Any) -> list[str]:
        names = (each.name for each in sightings(detections) if each.score >= self.threshold)
        return list(dict.fromkeys(name for name in names if not self.classes or name in self.classes))
