"""A folder with a picture and something else, with recorded answers in place of the model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import edgefn
import edgefn.testing
import numpy as np

from functions.__NAME__ import __NAME__


class Recorded:
    """A session that sees a bus in each picture."""

    def infer(self, data: Any) -> list[edgefn.Candidate]:
        return [edgefn.Candidate(779, "school bus", 0.98)]

    async def infer_async(self, data: Any) -> list[edgefn.Candidate]:
        return self.infer(data)

    def status(self) -> Mapping[str, Any]:
        return {}


def test_each_picture_is_told_and_what_is_none_is_passed_over(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "bus.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "readme.txt").write_text("no picture")
    (message,) = __NAME__(edgefn.testing.Tick(), Recorded(), str(tmp_path))
    assert (message["image"], message["label"], message["confidence"]) == ("bus.png", "school bus", 0.98)
    assert 0 < message["inference_ms"] < message["total_ms"]
