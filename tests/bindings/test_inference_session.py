from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import edgefn
from edgefn.bindings.inference_session import InferenceSessionKind
from edgefn.contracts import Event
from edgefn.errors import BindingError, Place
from edgefn.function import Binding, Direction
from edgefn.metrics import Metrics
from edgefn.sessions import openvino, stub
from edgefn.traces import Traces

ANSWERS = [[{"index": 1, "name": "car", "score": 0.9, "box": [0, 0, 1, 1]}]]
PICTURE = np.zeros((10, 10, 3), np.uint8)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def kind(tmp_path: Path, metrics: Metrics) -> InferenceSessionKind:
    (tmp_path / "answers.json").write_text(json.dumps(ANSWERS))
    kinds = [*openvino.edgefn_session_kinds(tmp_path, tmp_path), *stub.edgefn_session_kinds(tmp_path, tmp_path)]
    services: Any = SimpleNamespace(metrics=metrics, traces=Traces(), session_kinds={kind.name: kind for kind in kinds})
    return InferenceSessionKind(services)


@pytest.fixture
def binding(kind: InferenceSessionKind) -> Callable[..., Binding]:
    """A binding with these options on a parameter with this annotation."""

    def declare(annotation: Any = None, file: str = "function.json", **options: Any) -> Binding:
        checked = kind.options.model_validate(options)
        return Binding("f", "net", kind.type, Direction.IN, options, checked, annotation, place=Place(file, 7))

    return declare


async def test_the_annotation_tells_the_task(kind: InferenceSessionKind, binding: Callable[..., Binding]) -> None:
    for annotation in (edgefn.DetectionSession, edgefn.DetectionSession | None):
        declared = binding(annotation, model="stub:answers.json")
        kind.check(declared)
        opened = await kind.open(declared)
        (car,) = opened.value(Event(None)).infer(PICTURE)
        assert car.name == "car"
        assert opened.status()["task"] == "detection"


@pytest.mark.parametrize("annotation", [edgefn.Session, Any, None])
async def test_the_option_tells_the_task_where_the_annotation_does_not(
    kind: InferenceSessionKind, binding: Callable[..., Binding], annotation: Any
) -> None:
    opened = await kind.open(binding(annotation, model="answers.json", kind="stub", task="Detection"))
    assert opened.status()["task"] == "detection"


async def test_every_invocation_gets_the_same_session(
    kind: InferenceSessionKind, binding: Callable[..., Binding]
) -> None:
    opened = await kind.open(binding(edgefn.DetectionSession, model="stub:answers.json"))
    assert opened.value(Event(1)) is opened.value(Event(2))


@pytest.mark.parametrize(
    ("annotation", "options", "words"),
    [
        (edgefn.DetectionSession, {"task": "raw"}, "task' is raw, and the parameter is annotated DetectionSession"),
        (edgefn.DetectionSession, {"task": "detektion"}, "did you mean 'detection'?"),
        (str, {}, "annotated str, which has no infer; right would be edgefn.ClassificationSession"),
        (None, {"kind": "openvin"}, "no kind of session 'openvin'; did you mean 'openvino'?; kinds: openvino, stub"),
        (None, {"model": "grpc://here/net"}, "no kind of session 'grpc' (of model 'grpc://here/net')"),
        (None, {"thresold": 1}, "unknown option 'thresold' of kind 'openvino'; did you mean 'threshold'?; known"),
        (None, {"threshold": "high"}, "option 'threshold' of kind 'openvino': Input should be a valid number"),
    ],
)
def test_what_is_declared_wrongly_fails_while_the_app_loads(
    kind: InferenceSessionKind, binding: Callable[..., Binding], annotation: Any, options: Any, words: str
) -> None:
    with pytest.raises(BindingError) as error:
        kind.check(binding(annotation, **{"model": "model.xml", **options}))
    assert words in str(error.value)
    assert str(error.value).startswith("function.json:7: inferenceSession 'net' of function 'f': ")


def test_options_are_named_as_the_user_writes_them(kind: InferenceSessionKind, binding: Callable[..., Binding]) -> None:
    with pytest.raises(BindingError, match=r"unknown option 'label_ofset'.*did you mean 'label_offset'.*top_n"):
        kind.check(binding(file="function_app.py", model="model.xml", labelOfset=1))
    with pytest.raises(BindingError, match=r"unknown option 'labelOfset'.*did you mean 'labelOffset'.*topN"):
        kind.check(binding(model="model.xml", labelOfset=1))


@pytest.mark.parametrize("model", ["", " none ", "None"])
def test_an_empty_model_is_refused(kind: InferenceSessionKind, model: str) -> None:
    with pytest.raises(ValueError, match="names nothing"):
        kind.options.model_validate({"model": model})


def test_a_plugin_may_claim_the_schemes_of_its_addresses(binding: Callable[..., Binding], tmp_path: Path) -> None:
    class RemoteKind(stub.StubKind):
        name = "remote"
        schemes = ("grpc", "http")

    kinds: dict[str, Any] = {"remote": RemoteKind(tmp_path)}
    services: Any = SimpleNamespace(metrics=Metrics(), traces=Traces(), session_kinds=kinds)
    InferenceSessionKind(services).check(binding(model="grpc://here/net"))
    with pytest.raises(BindingError, match="no kind of session 'mqtt'"):
        InferenceSessionKind(services).check(binding(model="mqtt://here/net"))


async def test_a_model_is_opened_in_a_thread_as_compiling_takes_seconds(
    kind: InferenceSessionKind, binding: Callable[..., Binding], monkeypatch: pytest.MonkeyPatch
) -> None:
    opening: list[threading.Thread] = []
    opened = stub.StubKind.open

    def noted(self: stub.StubKind, *given: Any) -> Any:
        opening.append(threading.current_thread())
        return opened(self, *given)

    monkeypatch.setattr(stub.StubKind, "open", noted)
    await kind.open(binding(edgefn.DetectionSession, model="stub:answers.json"))
    assert opening != []
    assert threading.main_thread() not in opening


async def test_a_session_on_its_fallback_is_counted(
    kind: InferenceSessionKind, binding: Callable[..., Binding], metrics: Metrics
) -> None:
    model = str(Path(__file__).parents[2] / "sample" / "light-classifier.xml")
    for device in ("CPU", "NPU.9"):
        await kind.open(binding(model=model, device=device, fallback="CPU", cache=False))
    fallen = [
        sample.labels
        for metric in metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "edgefn_session_fallbacks_total"
    ]
    assert fallen == [{"function": "f", "parameter": "net", "asked": "NPU.9", "device": "CPU"}]
