"""The messages of a frame, with recorded answers in place of the models."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import edgefn
import edgefn.testing
import numpy as np

from functions.__NAME__ import __NAME__, __NAME___classes

CAR = edgefn.Detection(0, "car", 0.9, edgefn.Box(0.1, 0.2, 0.5, 0.6), edgefn.PixelBox(64, 72, 320, 216))
ABOUT = {"frame_id", "timestamp", "source", "inference_fps", "model"}
FRAME = edgefn.VideoFrame(
    np.zeros((360, 640, 3), np.uint8), 7, datetime.now(UTC), position=0.7, source="test", fps=10.0
)


class Recorded:
    """A session that sees what it is told to."""

    def __init__(self, *seen: Any) -> None:
        self.seen = list(seen)

    def infer(self, data: Any) -> Any:
        return self.seen

    async def infer_async(self, data: Any) -> Any:
        return self.seen

    def status(self) -> Mapping[str, Any]:
        return {"model": "recorded.xml"}


def test_a_detection_is_told_and_drawn_on_a_copy() -> None:
    detections, picture = edgefn.testing.Out(), edgefn.testing.Out()
    asyncio.run(__NAME__(FRAME, Recorded(CAR), detections, picture))
    assert detections.value.keys() == {"detections", *ABOUT}
    assert (detections.value["detections"], detections.value["frame_id"]) == ([CAR], 7)
    assert picture.value.any()
    assert not FRAME.image.any()


def test_the_classes_are_told_with_the_frame() -> None:
    message = asyncio.run(__NAME___classes(FRAME, Recorded(edgefn.Candidate(1, "dusk", 0.8))))
    assert message.keys() == {"candidates", *ABOUT}
    assert message["model"] == "recorded.xml"
