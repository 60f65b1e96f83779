"""What a task makes of an opened model: which outputs are read, and how."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgefn.contracts import Task
from edgefn.errors import ModelError, listing, nearest
from edgefn.sessions.files import find_labels
from edgefn.sessions.labels import Labels, read_labels
from edgefn.sessions.opened import OpenedModel, OpenedSession, Quantum, RawSession, Read, WholeModel, raw
from edgefn.sessions.options import ModelOptions
from edgefn.sessions.pictures import FILLS, SQUARE, Fill, View
from edgefn.sessions.ports import Port
from edgefn.sessions.results import Array, HeadOptions, best, check_classes, detections, find_head

logger = logging.getLogger(__name__)


def open_session(
    model: OpenedModel, task: Task, options: ModelOptions, path: Path, root: Path, facts: Mapping[str, Any]
) -> OpenedSession:
    """A session on the model for one function. Raises ModelError when the outputs do not fit the task."""
    ports = _declared(model, options.output_names)
    if task is not Task.RAW and model.picture is None:
        raise ModelError(
            f"task '{task}' needs an input for pictures; model '{model.name}' has {listing(map(str, model.inputs))};"
            " right would be task 'raw', or 'inputName', 'layout' and 'inputSize' of the input"
        )
    fill = _fill(model, options.resize) if model.picture else None
    facts = {**facts, "task": task.value}
    whole = WholeModel(
        model, fill, _picked(model, _names(model.outputs), raw(_names(model.outputs))), _real_ports(model)
    )
    if task is Task.RAW:
        return RawSession(model, fill, _picked(model, _names(ports), raw(_names(ports))), facts, whole)
    labels = Labels(_label_names(options, path, root), options.label_offset)
    read = (_classes if task is Task.CLASSIFICATION else _objects)(model, ports, options, labels)
    return OpenedSession(model, fill, read, {**facts, "labels": len(labels)}, whole)


def _classes(model: OpenedModel, ports: Sequence[Port], options: ModelOptions, labels: Labels) -> Read:
    if len(ports) > 1:
        raise ModelError(
            f"model '{model.name}' has outputs {listing(map(str, ports))}; declare 'outputNames': the scores;"
            " a model that finds objects is for an edgefn.DetectionSession"
        )
    check_classes(ports[0])
    count = int(np.prod(ports[0].shape))
    if len(labels) and (nameless := labels.missing(count)):
        logger.warning(
            "model '%s' has %d classes, and %d of them no label with labelOffset %d",
            *(model.name, count, nameless, options.label_offset),
        )
    top_n = options.top_n

    def read(outputs: Sequence[Array], view: View) -> Any:
        return best(outputs[0], top_n, labels)

    return _picked(model, _names(ports), read)


def _objects(model: OpenedModel, ports: Sequence[Port], options: ModelOptions, labels: Labels) -> Read:
    declared = HeadOptions(
        options.head, options.threshold, options.iou_threshold, options.box_format, options.background
    )
    head, names = find_head(ports, declared, *model.size)
    labels.nameless = partial(_tell_nameless, model.name, len(labels), options.label_offset)

    def read(outputs: Sequence[Array], view: View) -> Any:
        return detections(head(outputs), labels, view)

    return _picked(model, names, read)


def _tell_nameless(model: str, names: int, offset: int, index: int) -> None:
    text = "model '%s' finds class %d, which has none of the %d labels with labelOffset %d: it is called '%d'"
    logger.warning(text, model, index, names, offset, index)


def _picked(model: OpenedModel, names: Sequence[str], read: Read) -> Read:
    """``read`` for the outputs of these names, in this order, quantised ones with their real values."""
    indexes = [_names(model.outputs).index(name) for name in names]
    if indexes == list(range(len(model.outputs))) and not model.quanta:
        return read
    quanta = [model.quanta.get(name) for name in names]

    def picked(outputs: Sequence[Array], view: View) -> Any:
        return read([_real(outputs[i], quantum) for i, quantum in zip(indexes, quanta, strict=True)], view)

    return picked


def _real(output: Array, quantum: Quantum | None) -> Array:
    if quantum is None:
        return output
    return (output.astype(np.float32) - np.float32(quantum.zero)) * np.float32(quantum.step)


def _real_ports(model: OpenedModel) -> list[Port]:
    """The outputs as they are read: quantised ones as real numbers."""
    return [
        port._replace(type="f32", dtype=np.dtype(np.float32)) if port.name in model.quanta else port
        for port in model.outputs
    ]


def _names(ports: Sequence[Port]) -> list[str]:
    return [port.name for port in ports]


def _declared(model: OpenedModel, names: Sequence[str] | None) -> Sequence[Port]:
    ports = {port.name: port for port in model.outputs}
    absent = [name for name in names or () if name not in ports]
    if absent:
        raise ModelError(
            f"model '{model.name}' has no output '{absent[0]}'{nearest(absent[0], ports)};"
            f" its outputs: {listing(map(str, model.outputs))}"
        )
    return [ports[name] for name in names] if names else model.outputs


def _fill(model: OpenedModel, resize: str) -> Fill:
    if resize == "custom-vision" and max(model.size) > SQUARE:
        raise ModelError(
            f"resize 'custom-vision' is for inputs of up to {SQUARE} pixels, and {model.picture} is larger"
        )
    return FILLS[resize]()


def _label_names(options: ModelOptions, path: Path, root: Path) -> dict[int, str]:
    found = find_labels(options.labels, path, root)
    return read_labels(found) if found is not None else {}
