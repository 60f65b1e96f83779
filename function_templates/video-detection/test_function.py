"""The message of a frame, with recorded answers in place of the model."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import edgefn
import numpy as np

from functions.__NAME__ import __NAME__

CAR = edgefn.Detection(0, "car", 0.9, edgefn.Box(0.1, 0.2, 0.5, 0.6), edgefn.PixelBox(64, 72, 320, 216))


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


def frame(number: int) -> edgefn.VideoFrame:
    image = np.zeros((360, 640, 3), np.uint8)
    return edgefn.VideoFrame(image, number, datetime.now(UTC), position=number / 10, source="test", fps=10.0)


def test_the_message_names_the_frame_and_what_is_in_it() -> None:
    message = asyncio.run(__NAME__(frame(7), Recorded(CAR)))
    assert message["frame_id"] == 7
    assert [found.name for found in message["objects"]] == ["car"]


def test_an_empty_frame_is_told_too() -> None:
    assert asyncio.run(__NAME__(frame(8), Recorded()))["objects"] == []
