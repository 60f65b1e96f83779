"""How fast a model is by a session, and by OpenVINO's own loops on a tensor that lies there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgefn.contracts import Session
from edgefn.errors import ModelError
from edgefn.sessions.model_files import opened, sessions
from edgefn.sessions.openvino import library, new_core, read_model, reason_of

WARM = 3


@dataclass(frozen=True, slots=True)
class Figures:
    """One way to run the model, for some seconds."""

    way: str
    per_second: float
    p50_ms: float
    p99_ms: float
    requests: int
    """How many were on their way at once."""


@dataclass(frozen=True, slots=True)
class Result:
    """All ways, one after the other."""

    device: str
    precision: str
    picture: str
    figures: tuple[Figures, ...]


def bench(path: Path, picture: Any, given: Mapping[str, str], seconds: float) -> Result:
    """Takes four times the seconds; raises ModelError for a model or device that can not be used."""
    with sessions() as kind:
        latency, facts = opened(kind, path, {**given, "hint": "latency"})
        one = _one_by_one("session, one by one", lambda: latency.infer(picture), seconds)
        throughput, shape = opened(kind, path, {**given, "hint": "throughput"})
        many = asyncio.run(_side_by_side(throughput, picture, int(shape.facts["requests"]), seconds))
    device = str(facts.facts["device"])
    own = _own(path, shape.facts, device, seconds)
    size = f"{picture.shape[1]}x{picture.shape[0]}"
    return Result(device, str(shape.facts["precision"]), size, (one, own[0], many, own[1]))


def _one_by_one(way: str, run: Callable[[], object], seconds: float, requests: int = 1) -> Figures:
    for _ in range(WARM):
        run()
    times: list[float] = []
    ends = time.perf_counter() + seconds
    while (began := time.perf_counter()) < ends or not times:
        run()
        times.append(time.perf_counter() - began)
    return _figures(way, times, sum(times), requests)


async def _side_by_side(session: Session, picture: Any, requests: int, seconds: float) -> Figures:
    times: list[float] = []
    await session.infer_async(picture)
    began = time.perf_counter()

    async def go_on() -> None:
        while (at := time.perf_counter()) < began + seconds or not times:
            await session.infer_async(picture)
            times.append(time.perf_counter() - at)

    await asyncio.gather(*(go_on() for _ in range(requests)))
    return _figures("session, side by side", times, time.perf_counter() - began, requests)


def _figures(way: str, times: list[float], took: float, requests: int) -> Figures:
    p50, p99 = (float(np.percentile(times, share)) * 1000 for share in (50, 99))
    return Figures(way, round(len(times) / took, 1), round(p50, 2), round(p99, 2), requests)


def _own(path: Path, facts: Mapping[str, Any], device: str, seconds: float) -> tuple[Figures, Figures]:
    """OpenVINO's loops on the model as the file has it, in the precision of the session."""
    ov, core = library(), new_core()
    precision = {} if facts["precision"] == "unknown" else {"INFERENCE_PRECISION_HINT": facts["precision"]}
    try:
        model = read_model(core, path)
        _fix(model)
        quick = core.compile_model(model, device, {"PERFORMANCE_HINT": "LATENCY", **precision})
        tensors = {port.any_name: _zeros(port) for port in quick.inputs}
        request = quick.create_infer_request()
        one = _one_by_one("OpenVINO, one by one", lambda: request.infer(tensors, share_inputs=True), seconds)
        wide = core.compile_model(model, device, {"PERFORMANCE_HINT": "THROUGHPUT", **precision})
        queue = ov.AsyncInferQueue(wide)
    except RuntimeError as error:
        raise ModelError(f"OpenVINO's own loop does not run on {device}: {reason_of(error)}") from error
    times: list[float] = []
    queue.set_callback(lambda _request, began: times.append(time.perf_counter() - began))
    began = time.perf_counter()
    while time.perf_counter() < began + seconds or not times:
        queue.start_async(tensors, userdata=time.perf_counter(), share_inputs=True)
    queue.wait_all()
    return one, _figures("OpenVINO, side by side", times, time.perf_counter() - began, len(queue))


def _fix(model: Any) -> None:
    """Gives open dimensions of inputs a size of 1, where a picture has its batch."""
    for port in model.inputs:
        shape = port.partial_shape
        if shape.is_dynamic:
            model.reshape({port: [n.get_length() if n.is_static else 1 for n in shape]})


def _zeros(port: Any) -> Any:
    return np.zeros(list(port.shape), port.element_type.to_dtype())
