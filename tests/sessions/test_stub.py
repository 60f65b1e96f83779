from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgefn.contracts import Box, Candidate, Detection, PixelBox, Task
from edgefn.errors import ModelError
from edgefn.sessions.stub import StubKind

CAR = {"index": 1, "name": "car", "score": 0.9, "box": [0.1, 0.2, 0.5, 0.6]}
PICTURE = np.zeros((100, 200, 3), np.uint8)


@pytest.fixture
def answering(tmp_path: Path, declared: Callable[..., Any]) -> Callable[..., Any]:
    """Opens a session with these recorded answers."""

    def open_session(task: Task, answers: Any, model: str = "stub:answers.json") -> Any:
        (tmp_path / "answers.json").write_text(json.dumps(answers))
        kind = StubKind(tmp_path)
        return kind.open(declared(kind, model=model, threshold=0.5), task)

    return open_session


def test_objects_are_given_in_the_coordinates_of_the_picture(answering: Callable[..., Any]) -> None:
    session = answering(Task.DETECTION, [[CAR], []])
    car = Detection(1, "car", 0.9, Box(0.1, 0.2, 0.5, 0.6), PixelBox(20, 20, 100, 60))
    assert [session.infer(PICTURE) for _ in range(3)] == [[car], [], [car]]


def test_a_frame_gets_the_answer_of_its_number(answering: Callable[..., Any]) -> None:
    session = answering(Task.CLASSIFICATION, [[[0, "day", 0.9]], [{"index": 1, "score": 0.8}]])
    third = SimpleNamespace(image=PICTURE, id=3)
    assert session.infer(third) == session.infer(third) == [Candidate(1, "1", 0.8)]


async def test_raw_answers_are_arrays_of_the_callers_own(answering: Callable[..., Any]) -> None:
    session = answering(Task.RAW, [{"prob": [[0.25, 0.75]]}], model="answers.json")
    found = await session.infer_async(PICTURE)
    found["prob"][:] = 0
    assert session.infer(PICTURE)["prob"].tolist() == [[0.25, 0.75]]
    assert session.status()["inferences"] == 2


def test_a_recorded_error_is_raised(answering: Callable[..., Any]) -> None:
    with pytest.raises(ModelError, match="the camera is covered"):
        answering(Task.DETECTION, [{"error": "the camera is covered"}]).infer(PICTURE)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([], "a JSON list with an answer for each frame"),
        ({"frames": []}, "a JSON list with an answer for each frame"),
        ([[], [{"index": 1}]], r"answer 1 is none for task 'detection' \(it has no 'score'\)"),
        ([[{**CAR, "box": [1, 2]}]], "answer 0 is none for task 'detection'"),
        ([3], "answer 0 is none for task 'detection'"),
    ],
)
def test_wrong_answers_fail_when_the_session_opens(answering: Callable[..., Any], answers: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        answering(Task.DETECTION, answers)


def test_a_missing_file_is_named(tmp_path: Path, declared: Callable[..., Any]) -> None:
    kind = StubKind(tmp_path)
    with pytest.raises(ModelError, match=r"nowhere\.json' can not be used"):
        kind.open(declared(kind, model="stub:nowhere.json"), Task.RAW)
