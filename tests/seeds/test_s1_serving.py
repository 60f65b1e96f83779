"""Rows S1.3 and S1.6 of SEEDS.md: models are served by the protocols of model servers, and tensors are named right."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from ovmsclient import make_grpc_client, make_http_client

from edgefn.images import decoded
from tests.end_to_end.apps import FRUITS, SQUEEZENET
from tests.end_to_end.conftest import HEAD, Load, play_app
from tests.web.conftest import Site, served

SERVING = {"http": True, "grpcPort": 0}
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


async def same_numbers(site: Site, test_data: Path, score: Callable[[str, bytes], Any]) -> None:
    """Whether a client gets the function's numbers for every picture; it runs on a thread, as another program would."""
    given = pictures(test_data)
    found = await asyncio.to_thread(lambda: [score(model, jpeg) for model, jpeg in given])
    for (model, jpeg), scores in zip(given, found, strict=True):
        compare(site, model, jpeg, scores)


async def test_s1_3_tritonclient_over_http_gets_the_numbers_of_the_function(host: Site, test_data: Path) -> None:
    def score(model: str, jpeg: bytes) -> Any:
        with triton_http.InferenceServerClient(f"127.0.0.1:{host.web.port}") as client:
            assert client.is_server_ready()
            assert client.is_model_ready(model)
            metadata = client.get_model_metadata(model)
            given = triton_http.InferInput(metadata["inputs"][0]["name"], [1], "BYTES")
            given.set_data_from_numpy(np.array([jpeg], object))
            name = metadata["outputs"][0]["name"]
            binary, plain = (
                client.infer(model, [given], outputs=[triton_http.InferRequestedOutput(name, binary_data=is_binary)])
                for is_binary in (True, False)
            )
            assert np.allclose(binary.as_numpy(name), plain.as_numpy(name))
            return binary.as_numpy(name)

    await same_numbers(host, test_data, score)


async def test_s1_3_tritonclient_over_grpc_gets_the_numbers_of_the_function(host: Site, test_data: Path) -> None:
    def score(model: str, jpeg: bytes) -> Any:
        with triton_grpc.InferenceServerClient(f"127.0.0.1:{host.web.grpc_port}") as client:
            assert client.is_server_live()
            assert client.is_server_ready()
            assert client.is_model_ready(model)
            metadata = client.get_model_metadata(model, as_json=True)
            given = triton_grpc.InferInput(metadata["inputs"][0]["name"], [1], "BYTES")
            given.set_data_from_numpy(np.array([jpeg], object))
            reply = client.infer(model, [given], request_id="7")
            assert reply.get_response().id == "7"
            return reply.as_numpy(metadata["outputs"][0]["name"])

    await same_numbers(host, test_data, score)


@pytest.mark.parametrize("way", ["grpc", "http"])
async def test_s1_3_ovmsclient_gets_the_numbers_of_the_function(host: Site, test_data: Path, way: str) -> None:
    """TensorFlow Serving's Predict, with JPEG in a string tensor, as the seed's client sent it."""
    make, port = {"grpc": (make_grpc_client, host.web.grpc_port), "http": (make_http_client, host.web.port)}[way]
    client = make(f"127.0.0.1:{port}")

    def score(model: str, jpeg: bytes) -> Any:
        assert client.get_model_status(model)[1]["state"] == "AVAILABLE"
        metadata = client.get_model_metadata(model)
        ((name, described),) = metadata["inputs"].items()
        assert (described["dtype"], described["shape"]) == ("DT_UINT8", [-1, 227, 227, 3])
        return client.predict({name: jpeg}, model)

    await same_numbers(host, test_data, score)
    (client.channel if way == "grpc" else client.session).close()


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
