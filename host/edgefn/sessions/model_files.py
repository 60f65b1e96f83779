"""Model files, outside of a host: what one holds, what a session of it is, and the same model written anew."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from edgefn.contracts import Session, Task
from edgefn.errors import ModelError, listing, nearest
from edgefn.function import Binding, Direction
from edgefn.sessions.files import FORMATS, find_labels
from edgefn.sessions.inputs import layout_of
from edgefn.sessions.openvino import OpenVinoKind, library, new_core, read_model, reason_of
from edgefn.sessions.options import OpenVinoOptions
from edgefn.sessions.ports import port_of

NAMES = {
    ".xml": "OpenVINO IR",
    ".onnx": "ONNX",
    ".pb": "TensorFlow",
    ".tflite": "TensorFlow Lite",
    ".pdmodel": "PaddlePaddle",
}
GUESSES = (Task.CLASSIFICATION, Task.DETECTION, Task.RAW)
"""In this order: one row of scores is a class, and what has the shapes of a known head is objects."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a model file holds."""

    path: Path
    format: str
    size: int
    """Bytes, with those of the weights beside it."""
    inputs: tuple[str, ...]
    """Name, shape and type of each."""
    outputs: tuple[str, ...]
    layouts: Mapping[str, str]
    """``NCHW`` or ``NHWC`` of the inputs that could take a picture."""
    weights: Mapping[str, int]
    """How many numbers there are of each type."""
    quantised: bool
    """Whether it calculates with integers."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session as a function would have it."""

    task: Task
    facts: Mapping[str, Any]
    labels: Path | None
    note: str = ""
    """Why it is not of another task; empty for the first that was tried."""


def find(path: Path) -> Path:
    """The model's file; raises ModelError for one that is not there, or has none of the known endings."""
    if not path.is_file():
        beside = sorted(p.name for p in path.parent.glob("*") if p.suffix.lower() in FORMATS)
        raise ModelError(f"model '{path}' is not there{nearest(path.name, beside)}; beside it: {listing(beside)}")
    if path.suffix.lower() not in FORMATS:
        raise ModelError(f"'{path}' is no model by its ending; known: {listing(f'{e} ({NAMES[e]})' for e in FORMATS)}")
    return path.resolve()


def options_of(path: Path, given: Mapping[str, str]) -> OpenVinoOptions:
    """The options of a session on the file, named as in Python or JSON; raises ModelError for wrong ones."""
    named = {to_camel(name) if "_" in name else name: value for name, value in given.items()}
    try:
        return OpenVinoOptions.model_validate({"cache": False, **named, "model": str(path)})
    except ValidationError as error:
        raise ModelError("\n".join(_faults(error))) from None


def _faults(error: ValidationError) -> Iterator[str]:
    known = OpenVinoOptions.names()
    for fault in error.errors():
        name = ".".join(map(str, fault["loc"])) or "options"
        if fault["type"] == "extra_forbidden":
            yield f"--option {name}: is unknown{nearest(name, known)}; known: {listing(known)}"
        else:
            yield f"--option {name}: {fault['msg'].removeprefix('Value error, ')}, found {fault['input']!r}"


@contextmanager
def sessions() -> Iterator[OpenVinoKind]:
    """Opens sessions as a host does, and closes them; nothing is kept on disk."""
    with tempfile.TemporaryDirectory() as state:
        kind = OpenVinoKind(Path.cwd(), Path(state))
        try:
            yield kind
        finally:
            kind.close()


def describe(path: Path) -> Description:
    """Raises ModelError for a file that OpenVINO does not take."""
    model = read_model(new_core(), path)
    layouts = {port_of(port).name: layout_in(port) for port in model.inputs}
    files = [path, path.with_suffix(".bin"), path.with_suffix(".pdiparams")]
    return Description(
        path=path,
        format=NAMES[path.suffix.lower()],
        size=sum(file.stat().st_size for file in files if file.is_file()),
        inputs=tuple(str(port_of(port)) for port in model.inputs),
        outputs=tuple(str(port_of(port)) for port in model.outputs),
        layouts={name: layout for name, layout in layouts.items() if layout},
        weights=_weights(model),
        quantised=is_quantised(model),
    )


def _weights(model: Any) -> Mapping[str, int]:
    found: Counter[str] = Counter()
    for node in model.get_ops():
        if node.get_type_name() == "Constant":
            found[node.get_element_type().get_type_name()] += math.prod(node.get_output_shape(0))
    return dict(found.most_common())


def is_quantised(model: Any) -> bool:
    """Whether numbers in between are made integers, as in models for INT8."""
    return any(node.get_type_name() == "FakeQuantize" for node in model.get_ops())


def opened(kind: OpenVinoKind, path: Path, given: Mapping[str, str]) -> tuple[Session, Opened]:
    """The session of the declared task, else of the first that fits; raises ModelError when none does."""
    options = options_of(path, given)
    tried: list[str] = []
    for task in [Task(options.task)] if options.task else GUESSES:
        binding = Binding("model", path.name, "inferenceSession", Direction.IN, {}, options)
        try:
            session = kind.open(binding, task)
        except ModelError as error:
            tried.append(str(error).removeprefix(f"{binding.where()}: "))
            continue
        labels = None if task is Task.RAW else find_labels(options.labels, path, Path.cwd())
        return session, Opened(task, session.status(), labels, tried[-1] if tried else "")
    raise ModelError(tried[-1])


def save(model: Any, out: Path, *, half: bool) -> None:
    """Writes IR, ``out`` and the weights beside it, numbers of 32 bits halved where asked; raises ModelError."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        library().save_model(model, out, compress_to_fp16=half)
    except (OSError, RuntimeError) as error:
        raise ModelError(f"'{out}' can not be written: {reason_of(error)}; name another file with -o") from None


def layout_in(port: Any, known: str | None = None) -> str | None:
    """The layout of an input as declared, as the model says, or as its shape tells; None for no picture's."""
    said = (known or str(port.node.layout)).upper().strip("[]").replace(",", "")
    return layout_of(port_of(port).shape, said)
