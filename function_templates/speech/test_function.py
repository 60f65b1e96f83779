"""What is said, with recorded answers in place of the model."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import edgefn
import numpy as np
import pytest

from functions import __NAME__ as module


class Recorded:
    """A session that sees what it is told to."""

    def __init__(self, label: str, score: float) -> None:
        self.seen = [edgefn.Candidate(0, label, score)]

    def infer(self, data: Any) -> list[edgefn.Candidate]:
        return self.seen

    async def infer_async(self, data: Any) -> list[edgefn.Candidate]:
        return self.seen

    def status(self) -> Mapping[str, Any]:
        return {}


def said(seconds: float, label: str, score: float = 0.99) -> str | None:
    image = np.zeros((360, 640, 3), np.uint8)
    frame = edgefn.VideoFrame(image, int(seconds * 2), datetime.now(UTC), position=seconds, source="test", fps=2.0)
    return asyncio.run(module.__NAME__(frame, Recorded(label, score)))


@pytest.fixture(autouse=True)
def _nothing_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins with nothing seen."""
    monkeypatch.setattr(module, "gate", edgefn.LabelGate(threshold=0.9))


def test_a_label_is_said_once() -> None:
    assert said(0.0, "dusk") == "It is dusk."
    assert said(0.5, "dusk") is None
    assert said(1.0, "night") == "It is night."


def test_what_is_not_sure_is_not_said() -> None:
    assert said(0.0, "dusk", score=0.5) is None
