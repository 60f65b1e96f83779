"""Models by gRPC: what clients hear when something is wrong, and another host of edgefn as the client."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton

from edgefn.contracts import Task
from edgefn.errors import ModelError, SettingError
from edgefn.images import encoded
from edgefn.metrics import Metrics
from edgefn.protocols import open_inference_grpc as over_grpc
from edgefn.protocols import tensorflow
from edgefn.protocols.messages import message
from edgefn.sessions.kserve import KserveKind
from tests.conftest import AppIn
from tests.sessions.conftest import declared
from tests.web.conftest import Site, served
from tests.web.serving.conftest import CODE, ServeModels, host_json, session

GRPC = {"grpcPort": 0}


async def ask(
    site: Site, method: str, content: bytes, *metadata: tuple[str, str], service: str = over_grpc.SERVICE
) -> Any:
    """What a call gives; raises grpc.RpcError. It runs on a thread, as another program would."""

    def call() -> Any:
        with grpc.insecure_channel(f"127.0.0.1:{site.web.grpc_port}") as channel:
            return channel.unary_unary(f"/{service}/{method}")(content, metadata=metadata, timeout=20)

    return await asyncio.to_thread(call)


async def refused(site: Site, method: str, content: bytes, **more: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as found:
        await ask(site, method, content, **more)
    return found.value.code().name, found.value.details()


def infer(picture: Any, model: str = "light-classifier", name: str = "image") -> bytes:
    jpeg = np.array([encoded(picture, ".jpg", 90)], object)
    return over_grpc.write_call(model, "", {name: jpeg}, [])


async def test_what_is_wrong_is_told_with_what_would_be_right(serve_models: ServeModels, picture: Any) -> None:
    site = await serve_models(GRPC)
    listed = (
        "its inputs: image UINT8 [-1,64,64,3] (whole numbers, 0 to 255, BGR; or BYTES: JPEG, PNG, WebP, BMP, GIF, TIFF)"
    )
    assert await refused(site, "ModelInfer", infer(picture, name="imag")) == (
        "INVALID_ARGUMENT",
        f"model 'light-classifier' has no input 'imag'; did you mean 'image'?; {listed}",
    )
    floats = over_grpc.write_call("light-classifier", "", {"image": np.zeros((1, 3, 64, 64), np.float32)}, [])
    assert await refused(site, "ModelInfer", floats) == (
        "INVALID_ARGUMENT",
        f"input 'image' of model 'light-classifier' can not be FP32 [1,3,64,64]; {listed}",
    )
    assert (await refused(site, "ModelInfer", infer(picture, model="none")))[0] == "NOT_FOUND"
    assert (await refused(site, "ModelInfer", b"\xff"))[0] == "INVALID_ARGUMENT"
    assert (await refused(site, "ModelExplain", b""))[0] == "UNIMPLEMENTED"


async def test_predict_chooses_outputs_and_knows_versions_and_signatures(
    serve_models: ServeModels, picture: Any
) -> None:
    site = await serve_models(GRPC)
    request = message("tensorflow", "PredictRequest")(output_filter=["scores"])
    request.model_spec.name = "street-detector"
    request.inputs["image"].CopyFrom(tensorflow.write_tensor(np.array([encoded(picture, ".jpg", 90)], object)))
    answer = await ask(site, "Predict", request.SerializeToString(), service=tensorflow.PREDICTION)
    response = message("tensorflow", "PredictResponse").FromString(answer)
    assert list(response.outputs) == ["scores"]
    assert (response.model_spec.name, response.model_spec.version.value) == ("street-detector", 1)
    for change, code in (({"version_label": "stable"}, "NOT_FOUND"), ({"signature_name": "other"}, "INVALID_ARGUMENT")):
        wrong = message("tensorflow", "PredictRequest")()
        wrong.CopyFrom(request)
        wrong.model_spec.MergeFrom(message("tensorflow", "ModelSpec")(**change))
        told = await refused(site, "Predict", wrong.SerializeToString(), service=tensorflow.PREDICTION)
        assert told[0] == code


async def test_tensors_that_the_model_has_not_are_refused_before_they_are_read(serve_models: ServeModels) -> None:
    site = await serve_models(GRPC)
    request = message("tensorflow", "PredictRequest")()
    request.model_spec.name = "light-classifier"
    request.inputs["other"].dtype = 99  # it could not be read; some bytes of another may be a million numbers
    told = await refused(site, "Predict", request.SerializeToString(), service=tensorflow.PREDICTION)
    assert told[0] == "INVALID_ARGUMENT"
    assert "has no input 'other'" in told[1]


async def test_a_request_counts_until_it_ends_also_when_its_client_has_left(
    serve_models: ServeModels, picture: Any
) -> None:
    site = await serve_models({"grpcPort": 0, "maxConcurrentRequests": 1})
    slots = session(site, "light", "classifier")._model.requests
    held = [slots.take() for _ in slots.slots]  # so that the request waits
    registry = site.host.app.services.metrics.registry
    async with grpc.aio.insecure_channel(f"127.0.0.1:{site.web.grpc_port}") as channel:
        left = channel.unary_unary(f"/{over_grpc.SERVICE}/ModelInfer")(infer(picture))
        while registry.get_sample_value("edgefn_serving_outstanding") != 1:  # noqa: ASYNC110  it watches other threads
            await asyncio.sleep(0.005)
        left.cancel()
        labels = {"model": "light-classifier", "protocol": "open-inference-grpc"}
        while not registry.get_sample_value("edgefn_serving_seconds_count", labels):  # noqa: ASYNC110  gRPC tells it
            await asyncio.sleep(0.005)
    assert (await refused(site, "ModelInfer", infer(picture)))[0] == "RESOURCE_EXHAUSTED"
    for slot in held:
        slots.give(slot)
    while registry.get_sample_value("edgefn_serving_outstanding"):  # noqa: ASYNC110  it watches other threads
        await asyncio.sleep(0.005)


async def test_too_much_at_once_is_refused(serve_models: ServeModels, picture: Any) -> None:
    site = await serve_models({"grpcPort": 0, "maxConcurrentRequests": 1, "maxRequestBytes": 100_000})
    assert (await refused(site, "ModelInfer", bytes(100_001)))[0] == "RESOURCE_EXHAUSTED"
    slots = session(site, "light", "classifier")._model.requests
    held = [slots.take() for _ in slots.slots]  # so that the first request waits
    first = asyncio.create_task(ask(site, "ModelInfer", infer(picture)))
    registry = site.host.app.services.metrics.registry
    while registry.get_sample_value("edgefn_serving_outstanding") != 1:  # noqa: ASYNC110  it watches other threads
        await asyncio.sleep(0.005)
    with pytest.raises(grpc.RpcError) as found:
        await ask(site, "ModelInfer", infer(picture))
    assert found.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert ("grpc-retry-pushback-ms", "1000") in found.value.trailing_metadata()
    for slot in held:
        slots.give(slot)
    assert await first


async def test_a_key_of_the_host_is_asked_for_where_keys_are(serve_models: ServeModels, picture: Any) -> None:
    site = await serve_models({**GRPC, "maxRequestBytes": 100_000}, enable_auth=True)
    key = site.web.keys.listed("keys")[0]["value"]  # type: ignore[index]
    assert await ask(site, "ServerReady", b"")
    assert (await refused(site, "ModelInfer", infer(picture)))[0] == "UNAUTHENTICATED"
    assert (await refused(site, "ModelInfer", bytes(100_001)))[0] == "UNAUTHENTICATED"  # not read, so not too large
    for metadata in (("x-functions-key", key), ("authorization", f"Bearer {key}")):
        assert await ask(site, "ModelInfer", infer(picture), metadata)


async def test_until_the_model_is_open_it_is_unavailable(app_of: AppIn, picture: Any) -> None:
    app = app_of({"host.json": host_json(GRPC), "function_app.py": CODE})
    async with served(app, started=False) as site:
        assert await refused(site, "ModelInfer", infer(picture)) == (
            "UNAVAILABLE",
            "model 'light-classifier' is not ready: the host is starting",
        )

        def ready() -> tuple[bool, bool]:
            with triton.InferenceServerClient(f"127.0.0.1:{site.web.grpc_port}") as client:
                return client.is_server_ready(), client.is_model_ready("light-classifier")

        assert await asyncio.to_thread(ready) == (False, False)


async def test_a_port_that_is_taken_stops_the_host(serve_models: ServeModels) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SettingError, match=r"extensions\.serving\.grpcPort: can not listen on 127\.0\.0\.1:"):
            await serve_models({"grpcPort": taken.getsockname()[1]})


async def test_without_the_extra_its_name_is_told(serve_models: ServeModels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(SettingError, match=r"grpcPort: gRPC is not installed; right would be: pip install 'edgefn\["):
        await serve_models(GRPC)


@pytest.fixture
def remote(tmp_path: Any) -> Any:
    kind = KserveKind(tmp_path, Metrics())
    options = {"timeout": 20, "retries": 0, "circuitFailures": 2, "circuitPause": 60}
    yield lambda url, task: kind.open(declared(kind, model=url, **options), task)
    kind.close()


async def test_a_host_scores_on_the_models_of_another_one(
    serve_models: ServeModels, picture: Any, remote: Callable[..., Any]
) -> None:
    site = await serve_models({"grpcPort": 0, "http": True})
    for function, parameter, model, task in (
        ("light", "classifier", "light-classifier", Task.CLASSIFICATION),
        ("street", "detector", "street-detector", Task.DETECTION),
    ):
        here = session(site, function, parameter).infer(picture)
        for url in (f"grpc://127.0.0.1:{site.web.grpc_port}/{model}", f"http://127.0.0.1:{site.web.port}/{model}"):
            there = await asyncio.to_thread(remote, url, task)
            found = await there.infer_async(picture)
            assert [(each.index, each.score) for each in found] == [(each.index, each.score) for each in here]


async def test_the_circuit_opens_when_the_other_host_is_gone(
    app_of: AppIn, picture: Any, remote: Callable[..., Any]
) -> None:
    async with served(app_of({"host.json": host_json(GRPC), "function_app.py": CODE})) as site:
        url = f"grpc://127.0.0.1:{site.web.grpc_port}/light-classifier"
        there = await asyncio.to_thread(remote, url, Task.CLASSIFICATION)
        assert await there.infer_async(picture)
    for _ in range(2):
        with pytest.raises(ModelError, match="UNAVAILABLE"):
            await there.infer_async(picture)
    with pytest.raises(ModelError, match="is not asked"):
        await there.infer_async(picture)
