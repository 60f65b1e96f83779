"""TensorFlow Serving's REST: rows and columns, bytes and numbers."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from edgefn.images import encoded
from tests.web.serving.conftest import ServeModels, session

PREDICT = "/v1/models/light-classifier:predict"


async def test_rows_and_columns_give_the_scores_of_the_function(serve_models: ServeModels, picture: Any) -> None:
    site = await serve_models()
    png = {"b64": base64.b64encode(encoded(picture, ".png", 0)).decode()}
    expected = {c.index: c.score for c in session(site, "light", "classifier").infer(picture)}
    scores = pytest.approx([expected[index] for index in range(3)], abs=1e-6)
    for body, reply in (
        ({"instances": [png]}, {"predictions": [scores]}),
        ({"instances": [{"image": png}, {"image": png}]}, {"predictions": [scores, scores]}),
        ({"inputs": {"image": [png]}}, {"outputs": [scores]}),
        ({"inputs": png, "signature_name": "serving_default"}, {"outputs": [scores]}),
    ):
        assert (await site.client.post(PREDICT, json=body)).json() == reply
    numbers = np.full((1, 64, 64, 3), 9, np.uint8)
    raw = session(site, "light", "classifier").tensors.infer({"image": numbers})["probabilities"]
    found = (await site.client.post(PREDICT, json={"instances": numbers.tolist()})).json()["predictions"]
    assert found == pytest.approx(raw, abs=1e-6)


async def test_several_outputs_have_their_names(serve_models: ServeModels, picture: Any) -> None:
    site = await serve_models()
    png = {"b64": base64.b64encode(encoded(picture, ".png", 0)).decode()}
    path = "/v1/models/street-detector/versions/1:predict"
    (row,) = (await site.client.post(path, json={"instances": [png]})).json()["predictions"]
    assert {name: np.shape(values) for name, values in row.items()} == {"boxes": (960, 4), "scores": (960, 3)}
    columns = (await site.client.post(path, json={"inputs": png})).json()["outputs"]
    assert {name: np.shape(values) for name, values in columns.items()} == {"boxes": (1, 960, 4), "scores": (1, 960, 3)}


async def test_what_is_wrong_is_told(serve_models: ServeModels) -> None:
    site = await serve_models()
    for body, words in (
        ([], "an object with 'instances', a list of rows, or with 'inputs'"),
        ({"instances": []}, "'instances' should be a list with an element for each row"),
        ({"instances": [{"b64": "?"}]}, "tensor 'image': its b64 is not base64"),
        ({"instances": ["text"]}, "tensor 'image': its data should be numbers, or objects"),
        ({"instances": [[1], [1, 2]]}, "nor lists of equal length"),
        ({"instances": [{"image": 1}, {"other": 1}]}, "should have the same names in every row"),
        ({"inputs": {"imag": [1]}}, "has no input 'imag'; did you mean 'image'?"),
        ({"inputs": 1, "signature_name": "x"}, "there is no signature 'x'; signatures: serving_default"),
    ):
        reply = await site.client.post(PREDICT, json=body)
        assert (reply.status_code, words in reply.json()["error"]) == (400, True), reply.text
    assert (await site.client.get("/v1/models/none/metadata")).status_code == 404
    assert (await site.client.get("/v1/models/light-classifier/other")).status_code == 404
    assert (await site.client.get(PREDICT)).headers["allow"] == "POST"
