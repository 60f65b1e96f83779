"""Models over Open Inference by HTTP: what clients without a library of their own send, and what they get."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx
import numpy as np
import pytest

from edgefn.errors import SettingError
from edgefn.images import encoded
from edgefn.protocols.open_inference import HEADER_LENGTH, read_reply, write_call
from edgefn.protocols.tensors import objects
from tests.conftest import AppIn
from tests.sessions.conftest import Open
from tests.sessions.far_server import far_server
from tests.web.conftest import Site, served
from tests.web.serving.conftest import CODE, SAMPLE, ServeModels, host_json, session

INFER = "/v2/models/light-classifier/infer"
HUGE, LARGE = (
    b"\x89PNG\r\n\x1a\n" + bytes([0, 0, 0, 13]) + b"IHDR" + side.to_bytes(4, "big") * 2 + bytes(9)
    for side in (30000, 8000)
)
INPUT = "image UINT8 [-1,64,64,3] (whole numbers, 0 to 255, BGR; or BYTES: JPEG, PNG, WebP, BMP, GIF, TIFF)"


async def call(site: Site, inputs: Any, outputs: Any = (), path: str = INFER) -> dict[str, Any]:
    """The outputs of a call with all tensors in binary."""
    body, length = write_call(inputs, list(outputs))
    reply = await site.client.post(path, content=body, headers={HEADER_LENGTH: str(length)})
    assert reply.status_code == 200, reply.text
    return read_reply(reply.content, reply.headers.get(HEADER_LENGTH))


def tensor(data: Any, **more: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "image", "shape": [1, 64, 64, 3], "datatype": "UINT8", "data": data, **more}]}


async def test_nothing_is_served_unless_host_json_asks_for_it(serve_models: ServeModels) -> None:
    site = await serve_models({})
    assert (await site.client.get("/v2")).status_code == 404
    assert (await site.client.get("/v2/health/live")).status_code == 404


async def test_server_and_models_describe_themselves(serve_models: ServeModels) -> None:
    site = await serve_models()
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/light-classifier/versions/1/ready"):
        assert (await site.client.get(path)).status_code == 200
    assert (await site.client.get("/v2")).json()["extensions"] == ["binary_tensor_data"]
    assert (await site.client.get("/v2/models")).json() == {"models": ["light-classifier", "street-detector"]}
    assert (await site.client.get("/v2/models/light-classifier")).json() == {
        "name": "light-classifier",
        "versions": ["1"],
        "platform": "edgefn",
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, 64, 64, 3]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}],
    }


async def test_pictures_get_the_preparation_and_the_scores_of_the_function(
    serve_models: ServeModels, picture: Any
) -> None:
    site = await serve_models()
    png = encoded(picture, ".png", 0)
    expected = {c.name: c.score for c in session(site, "light", "classifier").infer(picture)}
    found = await call(site, {"image": objects([png], (1,), "")}, ["probabilities"])
    assert dict(zip(("day", "dusk", "night"), found["probabilities"][0], strict=True)) == pytest.approx(
        expected, abs=1e-6
    )
    text = base64.b64encode(png).decode()
    in_json = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [text]}
    reply = await site.client.post(
        INFER, json={"id": "7", "inputs": [{**in_json, "parameters": {"content_type": "base64"}}]}
    )
    assert (reply.json()["id"], reply.json()["model_version"]) == ("7", "1")
    assert reply.json()["outputs"][0]["data"] == pytest.approx(found["probabilities"][0].tolist())
    alone = await site.client.post(INFER, content=png, headers={HEADER_LENGTH: "0"})
    assert alone.json()["outputs"][0]["data"] == pytest.approx(found["probabilities"][0].tolist())


async def test_several_pictures_give_a_row_each(serve_models: ServeModels, picture: Any) -> None:
    site = await serve_models()
    files = [encoded(image, ".png", 0) for image in (picture, picture // 4)]
    both = (await call(site, {"image": objects(files, (2,), "")}))["probabilities"]
    alone = [(await call(site, {"image": objects([file], (1,), "")}))["probabilities"] for file in files]
    assert np.array_equal(both, np.concatenate(alone))


async def test_tensors_of_the_models_own_shape_pass_as_they_are(serve_models: ServeModels) -> None:
    site = await serve_models()
    values = np.random.default_rng(1).integers(0, 255, (1, 64, 64, 3), np.uint8)
    expected = session(site, "light", "classifier").tensors.infer({"image": values})["probabilities"]
    for given in (values, values.astype(np.float32), values.astype(np.int64)):
        assert np.array_equal((await call(site, {"image": given}))["probabilities"], expected)
    reply = await site.client.post(INFER, json=tensor(values.tolist()))
    assert reply.json()["outputs"] == [
        {"name": "probabilities", "shape": [1, 3], "datatype": "FP32", "data": pytest.approx(expected[0].tolist())}
    ]


async def test_outputs_come_as_they_are_asked_for(serve_models: ServeModels, picture: Any) -> None:
    site = await serve_models()
    path = "/v2/models/street-detector/infer"
    found = await call(site, {"image": objects([encoded(picture, ".png", 0)], (1,), "")}, ["scores"], path)
    assert {name: array.shape for name, array in found.items()} == {"scores": (1, 960, 3)}


UNFIT: list[tuple[Any, str]] = [
    ({}, "'inputs' should be a list of objects"),
    ({"inputs": [{"name": "image"}]}, "tensor 'image': there is no datatype None; types: BOOL, UINT8"),
    (tensor([1, 2, 3]), "has 3 elements; right for shape [1,64,64,3] would be 12288"),
    (tensor([256] * 12288), "holds a number that type UINT8 can not"),
    (tensor(["x"] * 12288), "its data is not all of type UINT8"),
    (tensor(None), "has no data"),
    (tensor([], shape=[-1]), "its shape is [-1]; right would be a list of whole numbers"),
    (
        tensor([1], shape=[1]),
        f"input 'image' of model 'light-classifier' can not be UINT8 [1]; its inputs: {INPUT}",
    ),
    (tensor([1], name="imag", shape=[1]), f"has no input 'imag'; did you mean 'image'?; its inputs: {INPUT}"),
    (tensor([0.5], datatype="FP32", shape=[1, 1, 1, 1]), "can not be FP32 [1,1,1,1]"),
    (tensor(["no picture"], datatype="BYTES", shape=[1]), "element 0 of input 'image' is no picture"),
    (
        tensor([base64.b64encode(HUGE).decode()], datatype="BYTES", shape=[1], parameters={"content_type": "base64"}),
        "element 0 of input 'image' is a picture of 30000 x 30000 pixels; up to 100000000 in all are decoded",
    ),
    (
        tensor(
            [base64.b64encode(LARGE).decode()] * 2, datatype="BYTES", shape=[2], parameters={"content_type": "base64"}
        ),
        "element 1 of input 'image' is a picture of 8000 x 8000 pixels; up to 100000000 in all are decoded",
    ),
    (tensor([], datatype="BYTES", shape=[0]), "can not be BYTES [0]"),
    (tensor(["x"] * 33, datatype="BYTES", shape=[33]), "the request holds 33 pictures; 32 at once are the most"),
    (
        {**tensor([0] * 12288), "outputs": [{"name": "scores"}]},
        "no output 'scores'; its outputs: probabilities FP32 [-1,3]",
    ),
    ({**tensor([0] * 12288), "outputs": [{"name": "a", "parameters": {"classification": 1}}]}, "is not supported"),
]


async def test_what_does_not_fit_is_told_with_what_would(serve_models: ServeModels) -> None:
    site = await serve_models()
    for document, words in UNFIT:
        reply = await site.client.post(INFER, json=document)
        assert (reply.status_code, words in reply.json()["error"]) == (400, True), reply.text


BROKEN: list[tuple[bytes, str | None, str]] = [
    (b"no json", None, "the body is no JSON"),
    (b"{}", "9", "Inference-Header-Content-Length is '9', and the body has 2 bytes"),
    (b"{}", "1" * 5000, "Inference-Header-Content-Length is '11111111111111111111'"),
    (b"{}", "-1", "Inference-Header-Content-Length is '-1'"),
    (b'{"inputs":[{"name":"image","parameters":{"binary_data_size":9}}]}..', "65", "binary_data_size is 9, and 2"),
    (b'{"inputs":[{"name":"a","shape":[1],"datatype":"BOOL","data":[true]}]}....', "69", "4 bytes behind the JSON"),
]


async def test_a_body_that_is_cut_or_mixed_up_is_refused(serve_models: ServeModels) -> None:
    site = await serve_models()
    for body, length, words in BROKEN:
        reply = await site.client.post(INFER, content=body, headers={} if length is None else {HEADER_LENGTH: length})
        assert (reply.status_code, words in reply.json()["error"]) == (400, True), reply.text


async def test_other_paths_methods_models_and_versions_are_answered(serve_models: ServeModels) -> None:
    site = await serve_models()
    for path, status in (
        ("/v2/models/none", 404),
        ("/v2/models/light-classifier/versions/2", 404),
        ("/v2/models/light-classifier/explain", 404),
        (INFER, 405),
        ("/api/other", 404),
    ):
        assert (await site.client.get(path)).status_code == status
    assert (await site.client.post("/v2/models/light-classifier", json={})).headers["allow"] == "GET, HEAD"
    missing = (await site.client.get("/v2/models/light-classifer")).json()["error"]
    assert missing.startswith("there is no model 'light-classifer'; did you mean 'light-classifier'?; models: light-c")


async def test_a_body_that_is_no_text_is_the_fault_of_whoever_sent_it(serve_models: ServeModels) -> None:
    site = await serve_models()
    for path in (INFER, "/v1/models/light-classifier:predict"):
        assert (await site.client.post(path, content=b'{"inputs": "\xff"}')).status_code == 400


async def test_the_pixels_of_one_request_are_as_many_as_host_json_says(serve_models: ServeModels, picture: Any) -> None:
    png = encoded(picture, ".png", 0)
    height, width = picture.shape[:2]
    site = await serve_models({"http": True, "maxPixels": width * height})
    assert (await site.client.post(INFER, content=png, headers={HEADER_LENGTH: "0"})).status_code == 200
    two = tensor(
        [base64.b64encode(png).decode()] * 2, datatype="BYTES", shape=[2], parameters={"content_type": "base64"}
    )
    refused = await site.client.post(INFER, json=two)
    assert refused.status_code == 400
    assert f"up to {width * height} in all are decoded" in refused.json()["error"]


async def test_too_much_at_once_is_refused_and_counted(serve_models: ServeModels, picture: Any) -> None:
    site = await serve_models({"http": True, "maxConcurrentRequests": 1, "maxRequestBytes": 100_000})
    assert (await site.client.post(INFER, content=bytes(100_001))).status_code == 413
    slots = session(site, "light", "classifier")._model.requests
    held = [slots.take() for _ in slots.slots]  # so that the first request waits
    png = encoded(picture, ".png", 0)
    first = asyncio.create_task(site.client.post(INFER, content=png, headers={HEADER_LENGTH: "0"}))
    metric = "edgefn_serving_outstanding 1.0"
    while metric not in (await site.client.get("/metrics")).text:  # noqa: ASYNC110  it watches the other side
        await asyncio.sleep(0.005)
    second = await site.client.post(INFER, content=png, headers={HEADER_LENGTH: "0"})
    assert (second.status_code, second.headers["retry-after"]) == (503, "1")
    for slot in held:
        slots.give(slot)
    assert (await first).status_code == 200
    text = (await site.client.get("/metrics")).text
    for status in ("ok", "busy"):
        line = f'model="light-classifier",protocol="open-inference-http",status="{status}"'
        assert f"edgefn_serving_requests_total{{{line}}} 1.0" in text


async def test_a_key_of_the_host_is_asked_for_where_keys_are(serve_models: ServeModels) -> None:
    site = await serve_models(enable_auth=True)
    key = site.web.keys.listed("keys")[0]["value"]  # type: ignore[index]
    assert (await site.client.get("/v2/health/ready")).status_code == 200
    assert (await site.client.get("/v2/models")).status_code == 401
    for headers in ({"x-functions-key": key}, {"authorization": f"Bearer {key}"}):
        assert (await site.client.get("/v2/models", headers=headers)).status_code == 200


async def test_anonymous_models_need_no_key(serve_models: ServeModels) -> None:
    site = await serve_models({"http": True, "authLevel": "anonymous"}, enable_auth=True)
    assert (await site.client.get("/v2/models")).status_code == 200


async def test_until_the_model_is_open_it_is_not_ready(app_of: AppIn) -> None:
    app = app_of({"host.json": host_json({"http": True}), "function_app.py": CODE})
    async with served(app, started=False) as site:
        for path in ("/v2/health/ready", "/v2/models/light-classifier/ready", "/v2/models/light-classifier"):
            reply = await site.client.get(path)
            assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
        reply = await site.client.post(INFER, json=tensor([0]))
        assert (reply.status_code, reply.json()) == (
            503,
            {"error": "model 'light-classifier' is not ready: the host is starting"},
        )


async def test_a_function_in_error_leaves_the_other_models_served(serve_models: ServeModels) -> None:
    site = await serve_models(code=CODE.replace("street-detector.xml", "gone.xml"))
    assert (await site.client.get("/v2/health/ready")).status_code == 200
    reply = await site.client.get("/v2/models/gone")
    assert (reply.status_code, reply.json()["error"]) == (
        503,
        "model 'gone' is not ready: function 'street' is in error",
    )


async def test_a_model_of_another_server_is_served_on(serve_models: ServeModels, opened: Open, picture: Any) -> None:
    path = "/v2/models/net/infer"
    png = {"content": encoded(picture, ".png", 0), "headers": {HEADER_LENGTH: "0"}}
    code = CODE.replace('.xml", precision="f32", cache=False', '", retries=0, circuit_failures=99', 1)
    with far_server(opened("sample/light-classifier.xml").tensors) as server:
        url = f"http://127.0.0.1:{server.port}"
        expected = server.model.tensors.infer({"image": picture})["probabilities"]  # type: ignore[union-attr]
        server.mood = "503"
        site = await serve_models(code=code.replace(f"{SAMPLE}/light-classifier", f"{url}/net"))
        assert (await site.client.get("/v2/health/ready")).status_code == 200
        reply = await site.client.post(path, **png)
        assert (reply.status_code, reply.json()["error"]) == (
            503,
            "model 'net' is not ready: the server that it is on was not reached yet",
        )
        server.mood = "well"
        await session(site, "light", "classifier").infer_async(picture)
        found = (await site.client.post(path, **png)).json()["outputs"][0]["data"]
    assert found == pytest.approx(expected[0].tolist(), abs=1e-6)


async def test_models_are_named_in_host_json(serve_models: ServeModels, caplog: pytest.LogCaptureFixture) -> None:
    site = await serve_models({"http": True, "models": {"sky": "light.classifier", "lost": "light.classifer"}})
    assert (await site.client.get("/v2/models")).json() == {"models": ["sky"]}
    assert "there is no such session; did you mean 'light.classifier'?; sessions: light.classifier, " in caplog.text


async def test_one_session_may_have_several_names(serve_models: ServeModels) -> None:
    site = await serve_models({"http": True, "models": {"sky": "light.classifier", "lamp": "light.classifier"}})
    assert (await site.client.get("/v2/models")).json() == {"models": ["sky", "lamp"]}
    answers = [await site.client.get(f"/v2/models/{name}/ready") for name in ("sky", "lamp")]
    assert [answer.status_code for answer in answers] == [200, 200]


@pytest.mark.parametrize(("more", "differ"), [("", False), (', resize="crop"', True)])
async def test_two_models_of_one_name_are_told_apart_in_the_log(
    serve_models: ServeModels, caplog: pytest.LogCaptureFixture, more: str, differ: bool
) -> None:
    code = CODE.replace("street-detector.xml", "light-classifier.xml").replace("DetectionS", "ClassificationS")
    site = await serve_models(code=code.replace("cache=False", f"cache=False{more}", 1))
    assert (await site.client.get("/v2/models")).json() == {"models": ["light-classifier"]}
    assert ("'light.classifier' and 'street.detector' differ, and would both be served" in caplog.text) is differ


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"htp": True},
            "extensions.serving.htp: unknown option; did you mean 'http'?; known options: http, grpcPort",
        ),
        ({"maxRequestBytes": 0}, "maxRequestBytes: Input should be greater than or equal to 1, found 0"),
        ({"models": ["a"]}, "models: Input should be a valid dictionary"),
    ],
)
async def test_wrong_options_stop_the_host(serve_models: ServeModels, options: Any, words: str) -> None:
    with pytest.raises(SettingError) as found:
        await serve_models(options)
    assert words in str(found.value)


async def test_the_same_model_serves_function_and_clients_at_once(serve_models: ServeModels, picture: Any) -> None:
    site = await serve_models()
    png = encoded(picture, ".png", 0)
    expected = session(site, "light", "classifier").infer(picture)

    async def ask() -> httpx.Response:
        return await site.client.post(INFER, content=png, headers={HEADER_LENGTH: "0"})

    replies, own = await asyncio.gather(
        asyncio.gather(*(ask() for _ in range(8))),
        asyncio.gather(*(session(site, "light", "classifier").infer_async(picture) for _ in range(8))),
    )
    assert own == [expected] * 8
    assert len({json.dumps(reply.json()) for reply in replies}) == 1
    assert session(site, "light", "classifier").status()["inferences"] == 17
