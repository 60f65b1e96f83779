"""Makes the model that benchmarks run: an SSD on a MobileNet, 300 x 300, built of OpenVINO's operations.

Its size and its operations, with DetectionOutput at the end, are those of SSD-MobileNet; its weights are drawn at
random, since only their number matters to speed. The class scores are biased so that few boxes are left.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

CLASSES = 21
SIZE = 300
ANCHORS = 6
BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
"""Channels and stride of the depthwise-separable blocks of MobileNet v1."""
EXTRAS = [512, 256, 256, 128]

RANDOM = np.random.default_rng(7)


def make_detector(path: Path) -> Path:
    """Writes ``path`` (.xml) and its weights, once; input ``image`` [1,3,300,300] f32, output [1,1,100,7]."""
    if not path.exists():
        openvino.save_model(_model(), path, compress_to_fp16=True)
    return path


def _model() -> openvino.Model:
    image = ops.parameter([1, 3, SIZE, SIZE], np.float32, name="image")
    x = _conv(ops.multiply(image, np.float32(1 / 127.5)), 3, 32, 3, 2)
    channels, features = 32, []
    for number, (wanted, stride) in enumerate(BLOCKS):
        x = _separable(x, channels, wanted, stride)
        channels = wanted
        if number in (10, len(BLOCKS) - 1):
            features.append((x, channels))
    for wanted in EXTRAS:
        x = _conv(_conv(x, channels, wanted // 2, 1, 1), wanted // 2, wanted, 3, 2)
        channels = wanted
        features.append((x, channels))
    found = _heads(features)
    return openvino.Model([ops.result(found, name="detections")], [image], "ssd_mobilenet_300")


def _heads(features: list[tuple[Any, int]]) -> Any:
    boxes, scores, priors = [], [], []
    for x, channels in features:
        boxes.append(_flat(_head(x, channels, ANCHORS * 4, 0.0)))
        scores.append(_flat(_head(x, channels, ANCHORS * CLASSES, 0.0)))
        priors.append(_priors(x.get_output_shape(0)[2]))
    logits = ops.reshape(ops.concat(scores, 1), np.array([1, -1, CLASSES]), special_zero=False)
    background = np.zeros((1, 1, CLASSES), np.float32)
    background[..., 0] = 6.0
    confidence = ops.softmax(ops.add(logits, background), axis=2)
    flat = ops.reshape(confidence, np.array([1, -1]), special_zero=False)
    prior = ops.constant(np.stack([np.concatenate(priors), np.tile(VARIANCES, sum(map(len, priors)) // 4)])[None])
    attributes = {
        "background_label_id": 0,
        "top_k": 400,
        "keep_top_k": [100],
        "code_type": "caffe.PriorBoxParameter.CENTER_SIZE",
        "share_location": True,
        "nms_threshold": 0.45,
        "confidence_threshold": 0.01,
        "normalized": True,
    }
    return ops.detection_output(ops.concat(boxes, 1), flat, prior, attributes)


VARIANCES = np.array([0.1, 0.1, 0.2, 0.2], np.float32)


def _priors(cells: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Centres of a grid with six widths each, as corners."""
    centre = (np.arange(cells, dtype=np.float32) + 0.5) / cells
    y, x, size = np.meshgrid(centre, centre, np.linspace(0.5, 2, ANCHORS, dtype=np.float32) / cells, indexing="ij")
    return np.stack([x - size, y - size, x + size, y + size], axis=-1).astype(np.float32).ravel()


def _weights(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    scale = np.sqrt(2.0 / np.prod(shape[1:]))
    return (RANDOM.standard_normal(shape) * scale).astype(np.float32)


def _conv(x: Any, channels: int, wanted: int, kernel: int, stride: int) -> Any:
    pad = [kernel // 2] * 2
    y = ops.convolution(x, _weights(wanted, channels, kernel, kernel), [stride] * 2, pad, pad, [1, 1])
    return ops.clamp(ops.add(y, np.zeros((1, wanted, 1, 1), np.float32)), 0.0, 6.0)


def _separable(x: Any, channels: int, wanted: int, stride: int) -> Any:
    weights = _weights(channels, 1, 3, 3).reshape(channels, 1, 1, 3, 3)
    y = ops.group_convolution(x, weights, [stride] * 2, [1, 1], [1, 1], [1, 1])
    return _conv(ops.clamp(y, 0.0, 6.0), channels, wanted, 1, 1)


def _head(x: Any, channels: int, wanted: int, bias: float) -> Any:
    y = ops.convolution(x, _weights(wanted, channels, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])
    return ops.add(y, np.full((1, wanted, 1, 1), bias, np.float32))


def _flat(x: Any) -> Any:
    order = ops.transpose(x, np.array([0, 2, 3, 1]))
    return ops.reshape(order, np.array([1, -1]), special_zero=False)
