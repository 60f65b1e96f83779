"""The files that sessions name: models, their weights, labels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from edgefn.bindings.inference_session import InferenceSessionOptions, kind_name
from edgefn.doctor.lines import Line, of_error, ok, wrong
from edgefn.doctor.sizes import size
from edgefn.doctor.subject import Subject
from edgefn.errors import ModelError
from edgefn.function import Binding
from edgefn.sessions.files import find_labels, find_model
from edgefn.sessions.labels import read_labels
from edgefn.sessions.options import OpenVinoOptions

POINTER = b"version https://git-lfs"
"""How a file begins that Git LFS has not fetched."""

Session = tuple[Binding, OpenVinoOptions]


def sessions(subject: Subject) -> list[Session]:
    """The sessions on OpenVINO, apart from those whose options are in error already."""
    return [
        (binding, options)
        for binding in subject.bindings("inferenceSession")
        if (options := _options(binding)) is not None
    ]


def _options(binding: Binding) -> OpenVinoOptions | None:
    declared = binding.options
    if not isinstance(declared, InferenceSessionOptions) or kind_name(declared) != "openvino":
        return None
    try:
        return OpenVinoOptions.model_validate(declared.all())
    except ValidationError:
        return None


def check_models(subject: Subject) -> Iterator[Line]:
    """A line a model file and a labels file, however many sessions are on it."""
    seen: set[tuple[str, str | None]] = set()
    for binding, options in sessions(subject):
        if (options.model, options.labels) not in seen:
            seen.add((options.model, options.labels))
            yield from _model(binding, options, subject.root)


def _model(binding: Binding, options: OpenVinoOptions, root: Path) -> Iterator[Line]:
    try:
        path = find_model(options.model, root)
    except ModelError as error:
        line = of_error("models", f"{binding.where()}: {error}")
        yield wrong("models", line.found, f"put it there, or name another one in 'model'; {line.remedy}")
        return
    parts = [path, path.with_suffix(".bin")] if path.suffix.lower() == ".xml" else [path]
    faults = [line for part in parts for line in _file(binding, part)]
    yield from faults or [ok("models", f"{path}, {size(sum(part.stat().st_size for part in parts))}")]
    yield from _labels(binding, options, path, root)


def _file(binding: Binding, path: Path) -> Iterator[Line]:
    where = f"{binding.where()}: {path}"
    if path.is_dir():
        if path.suffix.lower() == ".bin":
            yield wrong("models", f"{where} is a folder", "put the weights there, the file that came with the model")
    elif not path.exists():
        yield wrong("models", f"{where} is not there", "put the weights there, the file that came with the model")
    elif not os.access(path, os.R_OK):
        yield wrong("models", f"{where} is not readable for this user", f"chmod a+r {path}")
    elif path.stat().st_size == 0:
        yield wrong("models", f"{where} is empty", "copy it again, whole")
    elif _begins(path) == POINTER:
        yield wrong("models", f"{where} only points to a file of Git LFS", "git lfs pull")


def _begins(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(POINTER))


def _labels(binding: Binding, options: OpenVinoOptions, path: Path, root: Path) -> Iterator[Line]:
    found = find_labels(options.labels, path, root)
    if found is None:
        return
    try:
        names = read_labels(found)
    except ModelError as error:
        yield of_error("models", f"{binding.where()}: {error}")
        return
    yield ok("models", f"{found}, {len(names)} labels")
