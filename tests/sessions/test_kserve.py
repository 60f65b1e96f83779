"""Models on another server: the same results, and what happens when it does not answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import orjson
import pytest
from openvino import opset13 as ops

from edgefn.contracts import Task
from edgefn.errors import ModelError
from edgefn.metrics import Metrics
from edgefn.sessions.kserve import KserveKind
from edgefn.sessions.links import place_of
from tests.sessions.conftest import declared
from tests.sessions.far_server import FarServer, far_server

Open = Callable[..., Any]
DETECTOR, LIGHT = "sample/street-detector.xml", "sample/light-classifier.xml"
STREET = np.random.default_rng(1).integers(0, 255, (90, 160, 3), np.uint8)
QUICK = {"timeout": 20, "retries": 0, "backoff": 0.01, "circuitFailures": 5, "circuitPause": 60}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def remote(tmp_path: Path, metrics: Metrics) -> Iterator[Open]:
    """Opens a session on the model at an address: ``remote(url, task="raw", **options)``."""
    kind = KserveKind(tmp_path, metrics)

    def open_session(url: str, task: str = "raw", **options: Any) -> Any:
        return kind.open(declared(kind, model=url, **options), Task(task))

    yield open_session
    kind.close()


@pytest.fixture
def serving(opened: Open) -> Iterator[Callable[..., FarServer]]:
    """Serves a model of the repository by a server on this machine."""
    with contextlib.ExitStack() as stack:
        yield lambda model=LIGHT, **options: stack.enter_context(far_server(opened(model, **options).tensors))


def test_results_are_those_of_the_model_here(opened: Open, remote: Open, serving: Callable[..., FarServer]) -> None:
    for model, task in ((LIGHT, "classification"), (DETECTOR, "detection"), (DETECTOR, "raw")):
        here = opened(model, task, threshold=0.1).infer(STREET)
        there = remote(serving(model).url, task, threshold=0.1, labels=None).infer(STREET)
        if task == "raw":
            assert {name: array.tolist() for name, array in there.items()} == {n: a.tolist() for n, a in here.items()}
        else:
            assert [(each.index, each.score) for each in there] == [(each.index, each.score) for each in here]
            assert len(here) > 0


async def test_results_come_in_the_order_of_the_calls(
    opened: Open, remote: Open, serving: Callable[..., FarServer]
) -> None:
    pictures = [STREET // number for number in (1, 2, 3, 4, 5, 6)]
    expected = [opened(LIGHT, "classification", labels=None).infer(picture)[0].score for picture in pictures]
    session = remote(serving().url, "classification", labels=None)
    order: list[int] = []

    async def ask(number: int) -> float:
        found = await session.infer_async(pictures[number])
        order.append(number)
        return found[0].score  # type: ignore[no-any-return]

    assert await asyncio.gather(*map(ask, range(6))) == expected
    assert order == sorted(order)


def test_a_picture_is_prepared_here_as_it_would_be_folded_into_a_model(
    opened: Open, remote: Open, serving: Callable[..., FarServer], tmp_path: Path
) -> None:
    """The server has the model as it is, NCHW in floats; layout, colour order, mean and scale are declared."""
    image = ops.parameter([1, 3, 8, 8], np.float32, name="image")
    image.output(0).set_names({"image"})
    same = ops.add(image, np.float32(0))
    same.output(0).set_names({"same"})
    openvino.save_model(openvino.Model([same], [image], "same"), tmp_path / "same.xml")
    options = {"colorOrder": "rgb", "mean": [1, 2, 3], "scale": [4, 5, 6]}
    expected = opened(tmp_path / "same.xml", precision="f32", cache=False, **options).infer(STREET)["same"]
    server = serving(tmp_path / "same.xml", prepare=False, precision="f32", cache=False)
    found = remote(server.url, **options).infer(STREET)["same"]
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"inputName": "imag"},
            r"model 'net' has no input 'imag'; did you mean 'image'\?; its inputs: image \[1,64,64,3\] u8",
        ),
        ({"outputNames": "p"}, r"model 'net' has no output 'p'; its outputs: probabilities \[1,3\] f32"),
        ({"head": "ssd"}, "are not those of head 'ssd'"),
        ({}, "are those of no head that is known"),
    ],
)
def test_a_wrong_name_is_an_error_at_start(
    remote: Open, serving: Callable[..., FarServer], options: dict[str, Any], words: str
) -> None:
    task = "raw" if "names" in words or "has no" in words else "detection"
    with pytest.raises(ModelError, match=words):
        remote(serving().url, task, **options)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("http://host:8000", "names no model; right would be http://host:8000/name"),
        ("http://:8000/net", "names no host; right would be http://host:port/name"),
        ("http://host:port/net", "is no address; right would be http://host:port/name"),
        ("http://me:secret/secret@host/net", r"model 'http://\*\*\*@host/net' is no address; right would be \S+$"),
        ("http://me:secret@host/net", r"model 'http://\*\*\*@host' holds a password; declare 'headers' instead"),
    ],
)
def test_an_address_that_is_none_is_refused(remote: Open, model: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        remote(model)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
@pytest.mark.parametrize("headers", [{"Key": "s3cr3t \N{EURO SIGN}"}, {"My key": "s3cr3t"}, {"Key": "s3cr3t\r\nX: 1"}])
def test_headers_that_can_not_be_sent_are_refused_without_their_values(
    remote: Open, scheme: str, headers: dict[str, str]
) -> None:
    with pytest.raises(ModelError, match=r"headers: .* would be right") as found:
        remote(f"{scheme}://host/net", headers=headers)
    assert "s3cr3t" not in str(found.value)


@pytest.mark.parametrize("document", [b'{"inputs":[{"name":"a","datatype":5,"shape":[1]}],"outputs":[]}', b"[1]"])
def test_a_server_that_describes_nothing_is_said(
    remote: Open, serving: Callable[..., FarServer], document: bytes
) -> None:
    server = serving()
    server.model, server.documents = None, {"/v2/models/net": orjson.loads(document)}
    with pytest.raises(ModelError, match="does not speak Open Inference"):
        remote(server.url)


@pytest.mark.parametrize("shape", [[1, 3, 10**6, 10**6], [1, 3, -5, 64]])
def test_a_shape_that_no_message_could_hold_is_said(
    remote: Open, serving: Callable[..., FarServer], shape: list[int]
) -> None:
    server = serving()
    port = {"name": "x", "datatype": "FP32", "shape": shape}
    server.model, server.documents = None, {"/v2/models/net": {"inputs": [port], "outputs": []}}
    with pytest.raises(ModelError, match=r"'x' has the shape .* which no message could hold"):
        remote(server.url, "raw")


@pytest.mark.parametrize(
    "output",
    [
        {"datatype": "FP32", "shape": [1, 1, 2, 3], "data": [1] * 6},
        {"datatype": "BYTES", "shape": [1, 1, 10, 7], "data": ["x"] * 70},
    ],
)
def test_outputs_that_are_not_as_the_server_said_are_an_error(
    remote: Open, serving: Callable[..., FarServer], output: dict[str, Any]
) -> None:
    server = serving()
    said = {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3, 64, 64]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 1, 10, 7]}],
    }
    reply = {"outputs": [{"name": "y", **output}]}
    server.model, server.documents = None, {"/v2/models/net": said, "/v2/models/net/infer": reply}
    with pytest.raises(
        ModelError, match=r"output 'y' is \S+ .*; right would be y \[1,1,10,7\] f32, as the server said"
    ):
        remote(server.url, "detection").infer(STREET)


@pytest.mark.parametrize(
    ("url", "prefix", "model", "version"),
    [
        ("http://h:8000/net", "", "net", ""),
        ("http://h/net/versions/3", "", "net", "3"),
        ("https://h/v2/models/net", "", "net", ""),
        ("http://h/some/where/v2/models/net/versions/1/", "/some/where", "net", "1"),
        ("grpc://h:9000/net", "", "net", ""),
    ],
)
def test_an_address_names_a_model(url: str, prefix: str, model: str, version: str) -> None:
    assert place_of(url)[1:] == (prefix, model, version)


def test_headers_are_sent_and_the_connection_is_kept(remote: Open, serving: Callable[..., FarServer]) -> None:
    server = serving()
    session = remote(server.url, headers={"x-functions-key": "open"}, requests=1)
    for _ in range(3):
        session.infer(STREET)
    assert {headers["x-functions-key"] for headers, _ in server.bodies} == {"open"}
    assert server.connections == 1


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(
    remote: Open, serving: Callable[..., FarServer]
) -> None:
    server = serving()
    session = remote(server.url, "classification", **QUICK)
    server.mood = "close"
    with pytest.raises(ModelError, match="the connection was closed without an answer"):
        session.infer(STREET)
    server.mood = "well"
    assert session.infer(STREET)
    assert session.status()["circuit"] == {"state": "closed", "failures": 0, "reason": "", "opened": 0, "refused": 0}


@pytest.mark.parametrize(
    ("mood", "words", "failures", "seconds"),
    [
        ("500", "answered 500: as it was told", 3, 20),
        ("hang", "no answer within 1 s", 1, 1),
        ("drip", "no answer within 1 s", 1, 1),
        ("close", "the connection was closed without an answer", 3, 20),
        ("babble", "gave no reply that can be read", 3, 20),
    ],
)
def test_the_circuit_opens_and_closes(
    remote: Open,
    serving: Callable[..., FarServer],
    metrics: Metrics,
    caplog: pytest.LogCaptureFixture,
    mood: str,
    words: str,
    failures: int,
    seconds: float,
) -> None:
    server = serving()
    declared = {"timeout": seconds, "circuitFailures": failures, "circuitPause": 60}
    session = remote(server.url, "classification", **{**QUICK, **declared})
    caplog.set_level(logging.INFO)
    caplog.clear()
    server.mood = mood
    for _ in range(failures):
        with pytest.raises(ModelError, match=words):
            session.infer(STREET)
    calls = server.calls
    with pytest.raises(ModelError, match=f"is not asked, since it failed {failures} times in a row"):
        session.infer(STREET)
    assert server.calls == calls
    circuit = session.status()["circuit"]
    assert (circuit["state"], circuit["opened"], circuit["refused"]) == ("open", 1, 1)
    open_ = {"model": server.url}
    assert metrics.registry.get_sample_value("edgefn_remote_circuit_open", open_) == 1
    server.mood = "well"
    session._caller.circuit._clock = lambda: time.monotonic() + 61  # as if its pause were over
    session.infer(STREET)
    assert session.status()["circuit"]["state"] == "closed"
    assert metrics.registry.get_sample_value("edgefn_remote_circuit_open", open_) == 0
    assert metrics.registry.get_sample_value("edgefn_remote_calls_total", {**open_, "result": "failed"}) == failures
    changes = [record.message for record in caplog.records if record.name.endswith("circuit")]
    assert len(changes) == 2
    assert f"failed {failures} times in a row" in changes[0]
    assert "answers again" in changes[1]


def test_attempts_are_made_as_declared(remote: Open, serving: Callable[..., FarServer]) -> None:
    server = serving()
    session = remote(server.url, "classification", **{**QUICK, "retries": 2, "circuitFailures": 9})
    calls = server.calls
    for mood, attempts in (("500", 3), ("404", 1)):
        server.mood = mood
        with pytest.raises(ModelError, match=f"answered {mood}"):
            session.infer(STREET)
        assert server.calls == calls + attempts
        calls = server.calls


async def test_a_server_that_comes_later_is_found(remote: Open, opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    session = remote(f"http://127.0.0.1:{port}/net", "classification", **QUICK)
    assert "it is asked again when it is needed" in caplog.text
    assert session.status()["device"] == "remote"
    with pytest.raises(ModelError, match="Connection refused"):
        await session.infer_async(STREET)
    with far_server(opened(LIGHT).tensors, port):
        found = await asyncio.gather(*(session.infer_async(STREET) for _ in range(4)))
    assert len({each[0].score for each in found}) == 1


def test_closing_ends_what_waits(
    remote: Open, serving: Callable[..., FarServer], tmp_path: Path, metrics: Metrics
) -> None:
    server = serving()
    kind = KserveKind(tmp_path, metrics)
    options = {**QUICK, "retries": 5, "backoff": 60}
    session: Any = kind.open(declared(kind, model=server.url, **options), Task.RAW)
    server.mood = "500"
    ended: list[str] = []

    def ask() -> None:
        try:
            session.infer(STREET)
        except ModelError as error:
            ended.append(str(error))

    thread = threading.Thread(target=ask)
    calls = server.calls
    thread.start()
    while server.calls == calls:
        time.sleep(0)
    kind.close()
    thread.join(20)
    assert ended
