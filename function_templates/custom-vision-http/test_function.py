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

    def infer(self, data: Any) -> list[edgefn.Candidate]:
        assert data.shape == (36, 64, 3)
        return [edgefn.Candidate(0, "apple", 0.98)]

    async def infer_async(self, data: Any) -> list[edgefn.Candidate]:
        return self.infer(data)

    def status(self) -> Mapping[str, Any]:
        return {}


def answer(body: bytes, content_type: str = "application/octet-stream", method: str = "POST") -> tuple[int, Any]:
    request = func.HttpRequest(method, ADDRESS, headers={"content-type": content_type}, body=body)
    reply = __NAME__(request, Recorded())
    return reply.status_code, json.loads(reply.get_body())


def test_a_picture_is_answered_field_for_field() -> None:
    status, document = answer(PNG)
    assert (status, document.keys()) == (200, FIELDS)
    (prediction,) = document["predictions"]
    assert (prediction["tagName"], prediction["probability"], prediction["boundingBox"]) == ("apple", 0.98, None)
    assert prediction["tagId"] == answer(PNG)[1]["predictions"][0]["tagId"]


def test_a_picture_may_be_a_part_of_a_form() -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="imageData"; filename="a.png"\r\n\r\n'
    status, document = answer(head + PNG + b"\r\n--x--\r\n", "multipart/form-data; boundary=x")
    assert (status, len(document["predictions"])) == (200, 1)


@pytest.mark.parametrize(
    ("body", "method", "status"),
    [(b"", "POST", 400), (b"no picture", "POST", 400), (b"0" * (4 * 1024 * 1024 + 1), "POST", 413), (b"", "GET", 405)],
)
def test_anything_else_is_refused_with_the_reason(body: bytes, method: str, status: int) -> None:
    found, document = answer(body, method=method)
    assert (found, document.keys()) == (status, {"code", "message"})
