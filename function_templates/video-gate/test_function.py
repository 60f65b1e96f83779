"""A car that comes, hides for a moment, and goes, with recorded answers in place of the model."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import edgefn
import numpy as np
import pytest

from functions import __NAME__ as module

CAR = edgefn.Detection(0, "car", 0.9, edgefn.Box(0.1, 0.2, 0.5, 0.6), edgefn.PixelBox(64, 72, 320, 216))
DOG = edgefn.Detection(1, "dog", 0.9, edgefn.Box(0.1, 0.2, 0.5, 0.6), edgefn.PixelBox(64, 72, 320, 216))


class Recorded:
    """A session that finds what it is told to."""

    def __init__(self, *found: edgefn.Detection) -> None:
        self.found = list(found)

    def infer(self, data: Any) -> list[edgefn.Detection]:
        return self.found

    async def infer_async(self, data: Any) -> list[edgefn.Detection]:
        return self.found

    def status(self) -> Mapping[str, Any]:
        return {}


def events(seconds: float, *found: edgefn.Detection) -> list[str]:
    """What is told of the frame at this time, with these objects in it."""
    image = np.zeros((360, 640, 3), np.uint8)
    frame = edgefn.VideoFrame(image, int(seconds * 10), datetime.now(UTC), position=seconds, source="test", fps=10.0)
    return [message["event"] for message in asyncio.run(module.__NAME__(frame, Recorded(*found)))]


@pytest.fixture(autouse=True)
def _empty_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins with nothing in the picture."""
    monkeypatch.setattr(module, "gate", edgefn.PresenceGate("car", threshold=0.6, hold=1.0))


def test_a_car_enters_once_and_leaves_once() -> None:
    assert events(0.0, CAR) == ["enter"]
    assert events(0.5, CAR) == []
    assert events(1.0) == []
    assert events(2.0) == ["leave"]


def test_a_car_that_hides_for_a_moment_has_not_left() -> None:
    assert events(0.0, CAR) == ["enter"]
    assert events(0.5) == []
    assert events(0.9, CAR) == []


def test_others_do_not_count() -> None:
    assert events(0.0, DOG) == []
