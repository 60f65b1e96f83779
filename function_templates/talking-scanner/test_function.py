"""What is said and sent, with recorded answers in place of the model."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import edgefn
import edgefn.testing
import numpy as np
import pytest

from functions import __NAME__ as module

WORDS = {"banana": "A banana"}


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


def scanned(
    seconds: float, label: str, score: float = 0.99, body: Literal["predictions", "tags"] = "predictions"
) -> tuple[Any, str | None]:
    """What is sent, and what is said."""
    image = np.zeros((36, 64, 3), np.uint8)
    frame = edgefn.VideoFrame(image, int(seconds * 2), datetime.now(UTC), position=seconds, source="test", fps=2.0)
    sent, said = edgefn.testing.Out(), edgefn.testing.Out()
    asyncio.run(module.__NAME__(frame, Recorded(label, score), 0.95, WORDS, body, sent, said))
    return sent.value, said.value


@pytest.fixture(autouse=True)
def _nothing_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins with nothing seen."""
    monkeypatch.setattr(module, "gate", edgefn.LabelGate(background="Hand"))


def test_a_label_is_said_once_in_the_words_of_the_map() -> None:
    assert scanned(0.0, "banana")[1] == "A banana"
    assert scanned(0.5, "banana") == (None, None)
    assert scanned(1.0, "pear")[1] == "You scanned pear"


def test_after_a_hand_it_is_said_again_and_what_is_not_sure_never() -> None:
    assert scanned(0.0, "banana", score=0.9) == (None, None)
    assert scanned(0.5, "banana")[0]["label"] == "banana"
    assert scanned(1.0, "Hand") == (None, None)
    assert scanned(1.5, "banana")[0]["label"] == "banana"


def test_the_body_of_old_is_one_message_with_tags() -> None:
    message = scanned(0.0, "banana", body="tags")[0]
    assert json.loads(message.body) == [{"Tag": "banana", "Probability": 0.99}]
