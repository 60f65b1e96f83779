"""How far two sessions agree over pictures, and how often each is right where the pictures say what they show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgefn.contracts import Box, Candidate, Detection, Session, Task

SAME_PLACE = 0.5
"""Of the area that two boxes have together, the part that they share at least."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture, and the name of what it shows, where that is known."""

    image: Any
    label: str = ""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What two sessions made of the same pictures."""

    pictures: int
    what: str
    """What is counted by ``same``."""
    same: float
    """The share on which both agree, 0 to 1."""
    difference: float
    """The largest one of two scores, or of two numbers of the outputs as a share of the largest number."""
    labelled: int = 0
    """How many pictures say what they show."""
    right_before: float | None = None
    right_after: float | None = None
    """Shares of those, for the one and for the other session."""


def compare(before: Session, after: Session, task: Task, pictures: Sequence[Shown]) -> Agreement:
    """Runs each picture through both."""
    pairs = [(before.infer(shown.image), after.infer(shown.image)) for shown in pictures]
    if task is Task.CLASSIFICATION:
        return _classes(pairs, pictures)
    return _objects(pairs) if task is Task.DETECTION else _tensors(pairs)


Pairs = Sequence[tuple[Any, Any]]


def _classes(pairs: Pairs, pictures: Sequence[Shown]) -> Agreement:
    same = [one[0].index == other[0].index for one, other in pairs]
    gaps = [abs(a - b) for one, other in pairs for a, b in _scores(one, other)]
    known = [(pair, shown.label) for pair, shown in zip(pairs, pictures, strict=True) if shown.label]
    right = [[_is(answer[0], label) for answer in pair] for pair, label in known]
    shares = [float(np.mean(column)) for column in zip(*right, strict=True)] if right else [None, None]
    return Agreement(len(pairs), "the best class", float(np.mean(same)), max(gaps), len(known), *shares)


def _scores(one: Sequence[Candidate], other: Sequence[Candidate]) -> Iterator[tuple[float, float]]:
    found = {candidate.index: candidate.score for candidate in other}
    yield from ((candidate.score, found[candidate.index]) for candidate in one if candidate.index in found)


def _is(candidate: Candidate, label: str) -> bool:
    return label.lower() in (candidate.name.lower(), str(candidate.index))


def _objects(pairs: Pairs) -> Agreement:
    matched, gaps, total = 0, [0.0], 0
    for one, other in pairs:
        left = list(other)
        for detection in one:
            twin = next((each for each in left if _is_same(detection, each)), None)
            if twin is not None:
                left.remove(twin)
                matched += 1
                gaps.append(abs(detection.score - twin.score))
        total += len(one) + len(other)
    return Agreement(len(pairs), "the objects", 2 * matched / total if total else 1.0, max(gaps))


def _is_same(one: Detection, other: Detection) -> bool:
    return one.index == other.index and _overlap(one.box, other.box) >= SAME_PLACE


def _overlap(one: Box, other: Box) -> float:
    width = min(one.x_max, other.x_max) - max(one.x_min, other.x_min)
    height = min(one.y_max, other.y_max) - max(one.y_min, other.y_min)
    shared = max(width, 0.0) * max(height, 0.0)
    areas = sum((box.x_max - box.x_min) * (box.y_max - box.y_min) for box in (one, other))
    return shared / (areas - shared) if areas > shared else 0.0


def _tensors(pairs: Pairs) -> Agreement:
    close, gaps = [], [0.0]
    for one, other in pairs:
        for name, array in one.items():
            largest = float(np.abs(array).max()) or 1.0
            gap = np.abs(array.astype(np.float64) - other[name].astype(np.float64)) / largest
            close.append(float((gap <= 0.01).mean()))
            gaps.append(float(gap.max()))
    return Agreement(len(pairs), "numbers within 1%", float(np.mean(close)), max(gaps))
