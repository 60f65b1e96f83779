"""Typed results from output tensors: the best classes of a picture, or the objects in it.

A head knows what one family of models puts out, and gives the objects above a threshold as arrays; what is common to
all - order, names, coordinates of the caller's picture - happens once, after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefn.contracts import Box, Candidate, Detection, PixelBox
from edgefn.errors import ModelError, listing
from edgefn.sessions.labels import Labels
from edgefn.sessions.pictures import View
from edgefn.sessions.ports import Port

DECIMALS = 6
Array = NDArray[Any]


class Found(NamedTuple):
    """The objects that a head found, in no order."""

    boxes: Array
    """n x 4: x_min, y_min, x_max, y_max as shares of the model's input."""
    scores: Array
    """n."""
    classes: Array
    """n, integers."""


Head = Callable[[Sequence[Array]], Found]
"""From the outputs that it was made for, in their order."""

NONE = Found(np.empty((0, 4)), np.empty(0), np.empty(0, np.int64))


# --- classes -----------------------------------------------------------------------------------------------------


def best(scores: Array, count: int, labels: Labels) -> list[Candidate]:
    """The ``count`` highest of the scores, in any shape, highest first; equal ones in the order of their index."""
    flat = scores.reshape(-1)
    count = min(count, flat.size)
    top = np.argpartition(-flat, count - 1)[:count] if count < flat.size else np.arange(flat.size)
    top = top[np.lexsort((top, -flat[top]))]
    values = flat[top].astype(np.float64).round(DECIMALS).tolist()
    return [Candidate(index, labels.name(index), value) for index, value in zip(top.tolist(), values, strict=True)]


def check_classes(port: Port) -> None:
    """Raises ModelError unless the output is one row of scores: all dimensions but one are 1."""
    if sum(n != 1 for n in port.shape) > 1:
        raise ModelError(f"output {port} is no row of class scores; right would be [1,C], or task 'detection' or 'raw'")


# --- objects -----------------------------------------------------------------------------------------------------


def detections(found: Found, labels: Labels, view: View) -> list[Detection]:
    """The objects in the coordinates of the caller's picture, clipped to it, highest score first.

    What lies wholly outside the picture, as in the bars of a letterbox, is left out.
    """
    if not len(found.scores):
        return []
    order = np.argsort(-found.scores, kind="stable")
    boxes = found.boxes[order].astype(np.float64)
    if not view.whole:
        boxes *= (view.x_scale, view.y_scale, view.x_scale, view.y_scale)
        boxes += (view.x_shift, view.y_shift, view.x_shift, view.y_shift)
    boxes = boxes.clip(0.0, 1.0)
    pixels = (boxes * (view.width, view.height, view.width, view.height)).round().astype(np.int64).tolist()
    scores = found.scores[order].astype(np.float64).round(DECIMALS).tolist()
    rows = zip(found.classes[order].tolist(), scores, boxes.round(DECIMALS).tolist(), pixels, strict=True)
    return [
        Detection(index, labels.name(index), score, Box(*box), PixelBox(*pixel))
        for index, score, box, pixel in rows
        if box[0] < box[2] and box[1] < box[3]
    ]


def ssd(outputs: Sequence[Array], threshold: float) -> Found:
    """Rows ``image_id, class, score, x_min, y_min, x_max, y_max``, normalised; a negative image_id ends them."""
    rows = outputs[0].reshape(-1, 7)
    keep = np.flatnonzero(rows[:, 2] >= threshold)
    if not keep.size:
        return NONE
    ends = np.flatnonzero(rows[:, 0] < 0)
    if ends.size:
        keep = keep[keep < ends[0]]
    kept = rows[keep]
    return Found(kept[:, 3:7], kept[:, 2], kept[:, 1].astype(np.int64))


def boxes_scores(
    outputs: Sequence[Array], threshold: float, iou: float, scale: tuple[float, float], background: int | None
) -> Found:
    """Boxes ``[1,N,4]`` beside scores ``[1,N,C]``; the best class of each box, the overlapping ones suppressed."""
    boxes, scores = outputs[0].reshape(-1, 4), outputs[1].reshape(-1, outputs[1].shape[-1])
    if background is not None:
        scores = scores.copy()
        scores[:, background] = -np.inf
    classes = scores.argmax(axis=1)
    found = _above(boxes * (scale * 2), scores[np.arange(len(scores)), classes], classes, threshold)
    return suppress(found, iou)


def boxes_labels(outputs: Sequence[Array], threshold: float, scale: tuple[float, float]) -> Found:
    """Boxes ``[1,N,5]``, whose last column is the score, beside class indexes ``[1,N]``: already suppressed."""
    boxes, classes = outputs[0].reshape(-1, 5), outputs[1].reshape(-1)
    return _above(boxes[:, :4] * (scale * 2), boxes[:, 4], classes.astype(np.int64), threshold)


def yolo_columns(outputs: Sequence[Array], threshold: float, iou: float, scale: tuple[float, float]) -> Found:
    """YOLOv8 and later: ``[1, 4 + C, N]`` of centre, size and class scores, in pixels of the model's input."""
    table = outputs[0][0]
    classes = table[4:].argmax(axis=0)
    scores = table[4:][classes, np.arange(table.shape[1])]
    keep = np.flatnonzero(scores >= threshold)
    return suppress(Found(_corners(table[:4, keep].T, scale), scores[keep], classes[keep]), iou)


def yolo_rows(outputs: Sequence[Array], threshold: float, iou: float, scale: tuple[float, float]) -> Found:
    """YOLOv5 and v7: ``[1, N, 5 + C]`` of centre, size, objectness and class scores, in pixels of the model's input."""
    rows = outputs[0][0]
    rows = rows[rows[:, 4] >= threshold]
    classes = rows[:, 5:].argmax(axis=1)
    scores = rows[:, 4] * rows[np.arange(len(rows)), classes + 5]
    keep = np.flatnonzero(scores >= threshold)
    return suppress(Found(_corners(rows[keep, :4], scale), scores[keep], classes[keep]), iou)


def suppress(found: Found, iou: float) -> Found:
    """Without the boxes that overlap a better one of the same class by more than ``iou``."""
    if len(found.scores) < 2:
        return found
    order = np.argsort(-found.scores, kind="stable")
    boxes, classes = found.boxes[order], found.classes[order]
    areas = (boxes[:, 2] - boxes[:, 0]).clip(0) * (boxes[:, 3] - boxes[:, 1]).clip(0)
    left = np.arange(len(order))
    kept: list[int] = []
    while left.size:
        first, left = left[0], left[1:]
        kept.append(first)
        corner = np.maximum(boxes[first, :2], boxes[left, :2])
        sides = (np.minimum(boxes[first, 2:], boxes[left, 2:]) - corner).clip(0)
        shared = sides[:, 0] * sides[:, 1]
        apart = shared <= iou * (areas[first] + areas[left] - shared)
        left = left[apart | (classes[left] != classes[first])]
    keep = order[kept]
    return Found(found.boxes[keep], found.scores[keep], found.classes[keep])


def _above(boxes: Array, scores: Array, classes: Array, threshold: float) -> Found:
    keep = np.flatnonzero(scores >= threshold)
    return Found(boxes[keep], scores[keep], classes[keep])


def _corners(centred: Array, scale: tuple[float, float]) -> Array:
    middle, half = centred[:, :2], centred[:, 2:4] / 2
    return np.concatenate((middle - half, middle + half), axis=1) * (scale * 2)


# --- which head --------------------------------------------------------------------------------------------------

HEADS = ("ssd", "boxes-scores", "yolo")


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """What a binding declares about the head of its model."""

    name: str | None
    threshold: float
    iou: float
    box_format: str | None
    background: int | None


def find_head(ports: Sequence[Port], options: HeadOptions, height: int, width: int) -> tuple[Head, list[str]]:
    """The declared head, or the one that the shapes of the outputs tell, and the names of the outputs that it reads.

    ``height`` and ``width`` are those of the model's input, in pixels. Raises ModelError that lists the outputs.
    """
    name = options.name or _recognise(ports)
    found = _MAKERS[name](ports, options, (1 / width, 1 / height)) if name else None
    if found is None:
        wanted = f"are not those of head '{name}'" if name else "are those of no head that is known"
        raise ModelError(
            f"outputs {listing(map(str, ports))} {wanted}; right would be ssd: [1,1,N,7], boxes-scores: [1,N,4] and"
            f" [1,N,C] (or [N,5] and labels [N]), yolo: [1,4+C,N] or [1,N,5+C], with 'outputNames' where there are more"
        )
    return found


def _recognise(ports: Sequence[Port]) -> str | None:
    if len(ports) > 1:
        return "boxes-scores"
    shape = ports[0].shape
    if shape[-1:] == (7,) and len(shape) in (2, 4):
        return "ssd"
    return "yolo" if len(shape) == 3 else None


Made = tuple[Head, list[str]] | None


def _ssd(ports: Sequence[Port], options: HeadOptions, scale: tuple[float, float]) -> Made:
    port = next((port for port in ports if port.shape[-1:] == (7,)), None)
    return (partial(ssd, threshold=options.threshold), [port.name]) if port else None


def _boxes_scores(ports: Sequence[Port], options: HeadOptions, scale: tuple[float, float]) -> Made:
    boxes = _pick(ports, ("box",), lambda shape: shape[-1:] in ((4,), (5,)) and len(shape) in (2, 3))
    others = [port for port in ports if port != boxes]
    if boxes is None or not others:
        return None
    by_label = boxes.shape[-1] == 5
    unit = scale if (options.box_format or ("pixels" if by_label else "normalized")) == "pixels" else (1.0, 1.0)
    if by_label:
        labels = _pick(others, ("label", "class"), lambda shape: len(shape) in (1, 2))
        head: Head = partial(boxes_labels, threshold=options.threshold, scale=unit)
        return (head, [boxes.name, labels.name]) if labels else None
    scores = _pick(others, ("score", "conf", "prob", "class"), lambda shape: len(shape) in (2, 3))
    head = partial(
        boxes_scores, threshold=options.threshold, iou=options.iou, scale=unit, background=options.background
    )
    return (head, [boxes.name, scores.name]) if scores else None


def _yolo(ports: Sequence[Port], options: HeadOptions, scale: tuple[float, float]) -> Made:
    port = ports[0]
    if len(port.shape) != 3 or min(n if n > 0 else 1 << 30 for n in port.shape[1:]) < 5:
        return None
    columns = port.shape[2] < 0 or 0 < port.shape[1] < port.shape[2]
    head = yolo_columns if columns else yolo_rows
    unit = (1.0, 1.0) if options.box_format == "normalized" else scale
    return partial(head, threshold=options.threshold, iou=options.iou, scale=unit), [port.name]


_MAKERS: dict[str, Callable[[Sequence[Port], HeadOptions, tuple[float, float]], Made]] = {
    "ssd": _ssd,
    "boxes-scores": _boxes_scores,
    "yolo": _yolo,
}


def _pick(ports: Sequence[Port], words: tuple[str, ...], fits: Callable[[tuple[int, ...]], bool]) -> Port | None:
    fitting = [port for port in ports if fits(port.shape)]
    named = [port for port in fitting if any(word in port.name.lower() for word in words)]
    return next(iter(named or fitting), None)
