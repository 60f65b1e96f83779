"""The message of a frame, with recorded answers in place of the model."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import edgefn
import numpy as np

from functions.__NAME__ import __NAME__


class Recorded:
    """A session that sees what it is told to."""

    def __init__(self, *seen: edgefn.Candidate) -> None:
        self.seen = list(seen)

    def infer(self, data: Any) -> list[edgefn.Candidate]:
        return self.seen

    async def infer_async(self, data: Any) -> list[edgefn.Candidate]:
        return self.seen

    def status(self) -> Mapping[str, Any]:
        return {}


def frame(number: int) -> edgefn.VideoFrame:
    image = np.zeros((360, 640, 3), np.uint8)
    return edgefn.VideoFrame(image, number, datetime.now(UTC), position=float(number), source="test", fps=1.0)


def test_the_label_is_that_of_the_best_candidate() -> None:
    session = Recorded(edgefn.Candidate(1, "dusk", 0.8), edgefn.Candidate(0, "day", 0.2))
    message = asyncio.run(__NAME__(frame(3), session))
    assert (message["label"], message["frame_id"]) == ("dusk", 3)
    assert [candidate.name for candidate in message["candidates"]] == ["dusk", "day"]
