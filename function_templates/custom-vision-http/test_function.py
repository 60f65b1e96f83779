"""The contract of Custom Vision, with recorded answers in place of the model."""

import json
from collections.abc import Mapping
from typing import Any

import azure.functions as func
import cv2
import edgefn
import numpy as np
import pytest

from functions.__NAME__ import __NAME__

ADDRESS = "http://localhost:7071/api/image"
FIELDS = {"id", "project", "iteration", "created", "predictions"}
PNG = cv2.imencode(".png", np.zeros((36, 64, 3), np.uint8))[1].tobytes()


class Recorded:
    """A session that sees an apple in each picture."""

    def infer(self, data: Any) -> Any:
        assert data.shape == (36, 64, 3)
        return [edgefn.Candidate(0, "apple", 0.98)]

    async def infer_async(self, data: Any) -> Any:
        return self.infer(data)

    def status(self) -> Mapping[str, Any]:
        return {}


def answer(body: bytes, method: str = "POST", path: str = "image") -> tuple[int, Any]:
    request = func.HttpRequest(method, ADDRESS, route_params={"path": path}, body=body)
    reply = __NAME__(request, Recorded(), hosts="")
    return reply.status_code, json.loads(reply.get_body())


def test_a_picture_is_answered_field_for_field() -> None:
    status, document = answer(PNG)
    assert (status, document.keys()) == (200, FIELDS)
    (prediction,) = document["predictions"]
    assert (prediction["tagName"], prediction["probability"], prediction["boundingBox"]) == ("apple", 0.98, None)


@pytest.mark.parametrize(
    ("body", "method", "path", "status"),
    [
        (b"", "POST", "image", 400),
        (b"no picture", "POST", "image", 400),
        (b"0" * (4 * 1024 * 1024 + 1), "POST", "image", 413),
        (PNG, "GET", "image", 405),
        (b'{"url": "http://localhost/"}', "POST", "url", 404),
    ],
)
def test_anything_else_is_refused_with_the_reason(body: bytes, method: str, path: str, status: int) -> None:
    found, document = answer(body, method, path)
    assert (found, document.keys()) == (status, {"code", "message"})
