"""Recall, precision and accuracy of the exported models, as OpenVINO runs them at f32."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import classifier
import cv2
import detector
import numpy as np
import openvino
from frames import Frame
from numpy.typing import NDArray

from edgefn.scene import LABELS, LIGHTS

SCORE, OVERLAP = 0.5, 0.5
_ADVICE = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


class Detection(NamedTuple):
    label: int
    score: float
    box: NDArray[np.float32]


class Count(NamedTuple):
    objects: int
    found: int  # objects
    claims: int

    @property
    def recall(self) -> float:
        return self.found / max(1, self.objects)

    @property
    def precision(self) -> float:
        return self.found / max(1, self.claims)


def judge_detector(model: Path, frames: list[Frame]) -> dict[str, Count]:
    """By label: an object counts as found once, by a detection of its label with an IoU of OVERLAP or more."""
    request = openvino.Core().compile_model(model, "CPU", _ADVICE).create_infer_request()
    counts = dict.fromkeys(LABELS, Count(0, 0, 0))
    for frame in frames:
        answer = request.infer({"image": detector.prepare(frame.image)[None].astype(np.float32)})
        detections = list(_detections(answer["boxes"][0], answer["scores"][0]))
        for place, label in enumerate(LABELS):
            truth = frame.boxes[frame.labels == place]
            claims = [each for each in detections if each.label == place]
            old = counts[label]
            found = old.found + _found(truth, claims)
            counts[label] = Count(old.objects + len(truth), found, old.claims + len(claims))
    return counts


def judge_classifier(model: Path, frames: list[Frame]) -> list[list[int]]:
    """How often each light (row) was taken for each (column)."""
    request = openvino.Core().compile_model(model, "CPU", _ADVICE).create_infer_request()
    table = [[0] * len(LIGHTS) for _ in LIGHTS]
    for frame in frames:
        answer = request.infer({"image": classifier.prepare(frame.image)[None].astype(np.float32)})
        table[frame.light][int(answer["probabilities"][0].argmax())] += 1
    return table


def _detections(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> Iterator[Detection]:
    """The best boxes of each label, without those that overlap a better one of the same label by more than OVERLAP."""
    for label in range(scores.shape[1]):
        places = np.flatnonzero(scores[:, label] >= SCORE)
        corners, sure = boxes[places], scores[places, label]
        sizes = np.concatenate((corners[:, :2], corners[:, 2:] - corners[:, :2]), 1)
        for kept in cv2.dnn.NMSBoxes(sizes.tolist(), sure.tolist(), SCORE, OVERLAP):
            yield Detection(label, float(sure[kept]), corners[kept])


def _found(truth: NDArray[np.float32], claims: list[Detection]) -> int:
    """The surest detection chooses its object first."""
    left = list(truth)
    for claim in sorted(claims, key=lambda each: -each.score):
        overlaps = [_overlap(claim.box, box) for box in left]
        if overlaps and max(overlaps) >= OVERLAP:
            left.pop(int(np.argmax(overlaps)))
    return len(truth) - len(left)


def _overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    common = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None).prod()
    return float(common / ((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - common))
