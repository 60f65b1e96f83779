"""Custom Vision services: what is posted to them, and what becomes of their predictions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefn.contracts import Box, Candidate, Detection, PixelBox, Task
from edgefn.errors import ModelError
from edgefn.images import decoded
from edgefn.metrics import Metrics
from edgefn.sessions.custom_vision import CustomVisionKind
from tests.sessions.conftest import declared
from tests.sessions.far_server import FarServer, far_server

Open = Callable[..., Any]
PICTURE = np.full((60, 100, 3), (200, 30, 30), np.uint8)
BANANA = {"probability": 0.9, "tagId": "a", "tagName": "banana", "boundingBox": None}
APPLE = {"probability": 0.95, "tagId": "b", "tagName": "apple", "boundingBox": None}
PLACE = {"left": 0.1, "top": 0.25, "width": 0.5, "height": 0.9}


@pytest.fixture
def service() -> Iterator[FarServer]:
    with far_server() as server:
        yield server


@pytest.fixture
def opened_on(service: FarServer, tmp_path: Path) -> Iterator[Open]:
    """Opens a session on a service that answers with these predictions."""
    kind = CustomVisionKind(tmp_path, Metrics())

    def open_session(predictions: Any, task: str, path: str = "/image", **options: Any) -> Any:
        service.documents[path] = {"id": "1", "predictions": predictions}
        model = f"http://127.0.0.1:{service.port}{path}"
        return kind.open(declared(kind, model=model, **{"timeout": 20, "backoff": 0.01, **options}), Task(task))

    yield open_session
    kind.close()


def test_a_picture_is_posted_whole_as_jpeg(opened_on: Open, service: FarServer) -> None:
    session = opened_on([], "raw", "/image?mode=fast", headers={"Prediction-Key": "open"})
    assert session.infer(PICTURE) == {"id": "1", "predictions": []}
    ((headers, body),) = service.bodies
    assert (headers["content-type"], headers["prediction-key"]) == ("application/octet-stream", "open")
    assert decoded(body).shape == PICTURE.shape
    assert abs(decoded(body).astype(int) - PICTURE).max() < 8


def test_tags_are_classes_best_first(opened_on: Open, tmp_path: Path) -> None:
    assert opened_on([BANANA, APPLE], "classification").infer(PICTURE) == [
        Candidate(-1, "apple", 0.95),
        Candidate(-1, "banana", 0.9),
    ]
    (tmp_path / "labels.txt").write_text("apple\nbanana\n")
    session = opened_on([BANANA, APPLE], "classification", topN=1, labels="labels.txt")
    assert session.infer(PICTURE) == [Candidate(0, "apple", 0.95)]


def test_boxes_are_in_the_coordinates_of_the_picture(opened_on: Open) -> None:
    predictions = [{**BANANA, "boundingBox": PLACE}, {**APPLE, "probability": 0.4, "boundingBox": PLACE}]
    assert opened_on(predictions, "detection").infer(PICTURE) == [
        Detection(-1, "banana", 0.9, Box(0.1, 0.25, 0.6, 1.0), PixelBox(10, 15, 60, 60))
    ]


def test_names_of_older_services_are_read(opened_on: Open, service: FarServer) -> None:
    session = opened_on([], "classification")
    service.documents["/image"] = {"Predictions": [{"TagId": "a", "Tag": "banana", "Probability": 0.9}]}
    assert session.infer(PICTURE) == [Candidate(-1, "banana", 0.9)]


@pytest.mark.parametrize("predictions", [None, [{}], [{"probability": "high", "tagName": "x"}], [BANANA]])
def test_what_holds_no_predictions_is_an_error(opened_on: Open, predictions: Any) -> None:
    with pytest.raises(ModelError, match="gave no predictions for task 'detection'; right would be"):
        opened_on(predictions, "detection").infer(PICTURE)


async def test_results_come_in_the_order_of_the_calls(opened_on: Open) -> None:
    session = opened_on([APPLE], "classification")
    found = await asyncio.gather(*(session.infer_async(PICTURE) for _ in range(8)))
    assert found == [[Candidate(-1, "apple", 0.95)]] * 8
    assert session.status()["inferences"] == 8


def test_failures_are_tried_again_and_open_the_circuit(opened_on: Open, service: FarServer) -> None:
    session = opened_on([APPLE], "classification", retries=1, circuitFailures=2)
    service.mood = "500"
    with pytest.raises(ModelError, match="answered 500"):
        session.infer(PICTURE)
    assert service.calls == 2
    assert session.status()["circuit"]["state"] == "open"


@pytest.mark.parametrize(
    ("model", "words"),
    [("grpc://host/image", "is no address of HTTP"), ("http:///image", "names no host")],
)
def test_an_address_that_is_none_is_refused(tmp_path: Path, model: str, words: str) -> None:
    kind = CustomVisionKind(tmp_path, Metrics())
    with pytest.raises(ModelError, match=words):
        kind.open(declared(kind, model=model), Task.RAW)
