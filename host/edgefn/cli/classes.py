"""Classes that a gate waits for, and that no model of its function has a label for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgefn.bindings.edge_hub import MessageOptions
from edgefn.bindings.inference_session import DEFAULT, InferenceSessionOptions, kind_name
from edgefn.errors import ModelError, listing, nearest
from edgefn.function import Function
from edgefn.loader import App
from edgefn.sessions.files import find_labels, find_model
from edgefn.sessions.labels import read_labels


def unknown_classes(app: App) -> Iterator[str]:
    """A warning for each class of a gate that is none of the labels; none where the labels are not all at hand."""
    for function in app.functions:
        if function.errors or function.disabled or not (labels := _labels(function, app.root)):
            continue
        for binding in function.outputs:
            options = binding.options
            for name in (options.classes or ()) if isinstance(options, MessageOptions) else ():
                if name not in labels:
                    said = f"class '{name}' is none of the labels{nearest(name, labels)}; labels: {listing(labels)}"
                    yield f"{binding.where()}: {said}"


def _labels(function: Function, root: Path) -> list[str]:
    """The names of the classes of all its sessions; empty where one is not known to have only these."""
    names: dict[str, None] = {}
    for binding in function.inputs:
        if isinstance(binding.options, InferenceSessionOptions):
            found = _of_session(binding.options, root)
            if not found:
                return []
            names.update(dict.fromkeys(found))
    return list(names)


def _of_session(options: InferenceSessionOptions, root: Path) -> list[str]:
    declared = options.all().get("labels")
    if kind_name(options) != DEFAULT or not isinstance(declared, str | None):
        return []
    try:
        path = find_labels(declared, find_model(options.model, root), root)
        return list(read_labels(path).values()) if path is not None else []
    except ModelError:
        return []
