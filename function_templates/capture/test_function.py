"""The message of a frame, with recorded answers in place of the model."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import edgefn
import numpy as np

from functions.__NAME__ import __NAME__


class Recorded:
    """A session that sees an apple, and keeps what it was given."""

    def infer(self, data: Any) -> list[edgefn.Candidate]:
        self.given = data
        return [edgefn.Candidate(0, "apple", 0.98)]

    async def infer_async(self, data: Any) -> list[edgefn.Candidate]:
        return self.infer(data)

    def status(self) -> Mapping[str, Any]:
        return {}


IMAGE = np.full((36, 64, 3), (10, 100, 200), np.uint8)
FRAME = edgefn.VideoFrame(IMAGE, 7, datetime.now(UTC), position=0.7, source="test", fps=10.0)


def test_the_message_has_the_frame_and_custom_visions_words() -> None:
    message = asyncio.run(__NAME__(FRAME, Recorded(), gray=False, width=0, height=0))
    assert message["frame_id"] == 7
    assert [(each["tagName"], each["probability"]) for each in message["predictions"]] == [("apple", 0.98)]


def test_the_picture_is_made_gray_and_smaller_when_that_is_asked_for() -> None:
    session = Recorded()
    asyncio.run(__NAME__(FRAME, session, gray=True, width=32, height=18))
    assert session.given.shape == (18, 32, 3)
    assert (session.given[..., 0] == session.given[..., 2]).all()
