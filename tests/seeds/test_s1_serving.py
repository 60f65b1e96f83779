"""Rows S1.3 and S1.6 of SEEDS.md: models are served by the protocols of model servers, and tensors are named right."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefn.images import decoded
from tests.end_to_end.apps import FRUITS, SQUEEZENET
from tests.end_to_end.conftest import HEAD, Load, play_app
from tests.web.conftest import Site, served

SERVING = {"http": True}
CODE = f"""{HEAD}
@app.direct_method_trigger("payload", "classify")
@app.inference_session("squeezenet", "{SQUEEZENET}", precision="f32")
@app.inference_session("fruits", "{FRUITS}", precision="f32", resize="custom-vision", input_size=[227, 227])
def classify(payload, squeezenet: edgefn.ClassificationSession, fruits: edgefn.ClassificationSession):
    return None
"""


@pytest.fixture
async def host(load: Load) -> AsyncIterator[Site]:
    models = {"squeezenet1.1": "classify.squeezenet", "fruits": "classify.fruits"}
    host_json = {"version": "2.0", "extensions": {"serving": {**SERVING, "models": models}}}
    async with served(load({"host.json": json.dumps(host_json), "functions/classify.py": CODE})) as site:
        yield site


def pictures(test_data: Path) -> list[tuple[str, bytes]]:
    """Each picture that is scored, with the name of its model."""
    imagenet = sorted((test_data / "images" / "imagenet").glob("*.jpeg"))[:4]
    fruits = sorted((test_data / "images" / "fruits").rglob("*.jpg"))[::9]
    return [
        (model, path.read_bytes())
        for model, paths in (("squeezenet1.1", imagenet), ("fruits", fruits))
        for path in paths
    ]


def of_function(site: Site, model: str, jpeg: bytes) -> dict[int, float]:
    """What the function's own session gives for a picture: scores by class."""
    running = site.host.running[0]
    session = running.inputs["fruits" if model == "fruits" else "squeezenet"].session  # type: ignore[attr-defined]
    return {candidate.index: candidate.score for candidate in session.infer(decoded(jpeg))}


def compare(site: Site, model: str, jpeg: bytes, scores: Any) -> None:
    expected = of_function(site, model, jpeg)
    flat = np.asarray(scores).reshape(-1)
    assert {index: flat[index] for index in expected} == pytest.approx(expected, abs=1e-5)
    assert flat.argmax() == next(iter(expected))


async def test_s1_3_tritonclient_over_http_gets_the_numbers_of_the_function(host: Site, test_data: Path) -> None:
    import tritonclient.http as triton

    def score(model: str, jpeg: bytes) -> Any:
        with triton.InferenceServerClient(f"127.0.0.1:{host.web.port}") as client:
            assert client.is_server_ready()
            assert client.is_model_ready(model)
            metadata = client.get_model_metadata(model)
            given = triton.InferInput(metadata["inputs"][0]["name"], [1], "BYTES")
            given.set_data_from_numpy(np.array([jpeg], object))
            name = metadata["outputs"][0]["name"]
            binary, plain = (
                client.infer(model, [given], outputs=[triton.InferRequestedOutput(name, binary_data=is_binary)])
                for is_binary in (True, False)
            )
            assert np.allclose(binary.as_numpy(name), plain.as_numpy(name))
            return binary.as_numpy(name)

    for model, jpeg in pictures(test_data):
        compare(host, model, jpeg, await asyncio.to_thread(score, model, jpeg))


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ('input_name="dat"', "has no input 'dat'; did you mean 'data'?; its inputs: data [1,3,227,227] f32"),
        ('output_names="porb"', "has no output 'porb'; did you mean 'prob'?; its outputs: prob [1,1000,1,1] f32"),
    ],
)
async def test_s1_6_a_wrong_tensor_name_is_an_error_at_start_that_lists_the_real_names(
    load: Load, option: str, said: str
) -> None:
    code = CODE.replace('precision="f32"', f'precision="f32", {option}', 1)
    played = await play_app(load({"functions/classify.py": code}))
    (error,) = played.functions["classify"]["errors"]
    assert said in error
