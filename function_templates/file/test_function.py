"""The message of a picture, with recorded answers in place of the model."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import edgefn
import numpy as np

from functions.__NAME__ import __NAME__


class Recorded:
    """A session that sees night, and perhaps dusk."""

    def infer(self, data: Any) -> list[edgefn.Candidate]:
        return [edgefn.Candidate(2, "night", 0.8), edgefn.Candidate(1, "dusk", 0.2)]

    async def infer_async(self, data: Any) -> list[edgefn.Candidate]:
        return self.infer(data)

    def status(self) -> Mapping[str, Any]:
        return {}


def test_the_message_names_the_picture_and_what_it_shows() -> None:
    image = np.zeros((360, 640, 3), np.uint8)
    picture = edgefn.VideoFrame(image, 0, datetime.now(UTC), 0.0, "__FOLDER__", 0.0, item="night.jpg")
    assert __NAME__(picture, Recorded()) == {"picture": "night.jpg", "label": "night", "score": 0.8}
