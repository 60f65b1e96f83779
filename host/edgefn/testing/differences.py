"""What differs between two JSON values, place by place."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

MISSING = "(nothing)"
INDEX = re.compile(r"\[\d+\]")
TOLERANCE = 1e-4
LONGEST = 120
"""Characters of a value that a line shows."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two values are not the same."""

    path: str
    """``detections[0].objects[1].score``"""
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path}: {_shown(self.before)} -> {_shown(self.after)}"


def differences(before: Any, after: Any, path: str = "", tolerance: float = TOLERANCE) -> Iterator[Difference]:
    """The places in the order of the first value; one that only one of them has is missing in the other.

    Numbers of which one has a fraction are the same when they differ by at most ``tolerance``, as a share of the larger
    one or by itself; whole numbers only when they are equal.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*before, *(name for name in after if name not in before)]:
            inner = f"{path}.{name}" if path else str(name)
            yield from differences(before.get(name, MISSING), after.get(name, MISSING), inner, tolerance)
    elif isinstance(before, list) and isinstance(after, list):
        for number in range(max(len(before), len(after))):
            one, other = (each[number] if number < len(each) else MISSING for each in (before, after))
            yield from differences(one, other, f"{path}[{number}]", tolerance)
    elif not _same(before, after, tolerance):
        yield Difference(path, before, after)


def _same(before: Any, after: Any, tolerance: float) -> bool:
    is_float = float in (type(before), type(after))
    if is_float and {type(before), type(after)} <= {int, float}:
        return math.isclose(before, after, rel_tol=tolerance, abs_tol=tolerance)
    return type(before) is type(after) and bool(before == after)


def is_ignored(path: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern names the place or one that it lies in: ``detections.objects.score``, ``*.timestamp``."""
    parts = INDEX.sub("", path).split(".")
    places = [".".join(parts[: count + 1]) for count in range(len(parts))]
    return any(fnmatchcase(place, pattern) for place in places for pattern in patterns)


def _shown(value: Any) -> str:
    text = value if value is MISSING else repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
