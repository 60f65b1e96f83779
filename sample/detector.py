"""The street detector: small, without anchors; each cell of 8 x 8 pixels answers with a box and three scores."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from frames import Frame
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edgefn.scene import LABELS

HEIGHT, WIDTH, STRIDE = 192, 320, 8
ROWS, COLUMNS = HEIGHT // STRIDE, WIDTH // STRIDE
CENTRE = 0.75  # cells: a cell so near to the centre of an object, in both directions, answers for it
NEAR = 1.25  # cells: farther away there is nothing; between, any score is right, but the box has to be the object's,
# or it would overlap the better ones too little to be dropped as theirs


def _step(inside: int, outside: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outside), nn.ReLU(inplace=True))


class Detector(nn.Module):
    """image [n, 3, 192, 320], BGR, 0..255 -> boxes [n, 960, 4], normalised corners, and scores [n, 960, 3], 0..1."""

    centres: Tensor
    picture: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.eighth = nn.Sequential(_step(3, 16, 2), _step(16, 24, 2), _step(24, 40, 2), _step(40, 40, 1))
        self.sixteenth = nn.Sequential(_step(40, 56, 2), _step(56, 56, 1))
        self.thirtysecond = nn.Sequential(_step(56, 72, 2), _step(72, 72, 1))
        self.from_thirtysecond = nn.Conv2d(72, 56, 1)
        self.from_sixteenth = nn.Conv2d(56, 40, 1)
        self.merge_sixteenth, self.merge_eighth = _step(56, 56, 1), _step(40, 40, 1)
        self.score = nn.Sequential(_step(40, 32, 1), nn.Conv2d(32, len(LABELS), 1))
        self.box = nn.Sequential(_step(40, 32, 1), nn.Conv2d(32, 4, 1))
        nn.init.constant_(self.score[1].bias, -4.0)  # type: ignore[arg-type]  # at first, nothing is anywhere
        self.register_buffer("centres", torch.from_numpy(cell_centres()), persistent=False)
        self.register_buffer("picture", torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT]).float(), persistent=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        scores, boxes = self.answer(image)
        return boxes / self.picture, scores.sigmoid()

    def answer(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Scores before the sigmoid, and corners in pixels: what the loss is taken from."""
        eighth = self.eighth(image * (1 / 64) - 1.7)
        sixteenth = self.sixteenth(eighth)
        wide = functional.interpolate(self.from_thirtysecond(self.thirtysecond(sixteenth)), scale_factor=2.0)
        sixteenth = self.merge_sixteenth(sixteenth + wide)
        wide = functional.interpolate(self.from_sixteenth(sixteenth), scale_factor=2.0)
        eighth = self.merge_eighth(eighth + wide)
        box = self.box(eighth).flatten(2).transpose(1, 2)
        centre = self.centres + box[..., :2] * STRIDE
        half = box[..., 2:].clamp(-4, 4).exp() * (STRIDE / 2)
        return self.score(eighth).flatten(2).transpose(1, 2), torch.cat((centre - half, centre + half), -1)


def cell_centres() -> NDArray[np.float32]:
    """960 x 2, in pixels."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    return ((np.stack((x, y), -1).reshape(-1, 2) + 0.5) * STRIDE).astype(np.float32)


@dataclass(frozen=True)
class Lessons:
    images: Tensor  # n x 3 x 192 x 320, uint8
    wanted: Tensor  # n x 960: place of the label, -1 nothing, -2 no matter
    boxes: Tensor  # n x 960 x 4, in pixels; zeros far from any object


def prepare(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, (WIDTH, HEIGHT)), np.uint8).transpose(2, 0, 1)


def lesson(frame: Frame) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.float32]]:
    """The picture, and what each cell has to say. An object that is nearer takes a cell from one that is farther."""
    centres = cell_centres()
    wanted = np.full(len(centres), -1, np.int64)
    boxes = np.zeros((len(centres), 4), np.float32)
    for label, corners in zip(frame.labels, frame.boxes * [WIDTH, HEIGHT, WIDTH, HEIGHT], strict=True):
        middle = (corners[:2] + corners[2:]) / 2
        way = np.abs(centres - middle).max(1) / STRIDE
        near = (way < NEAR) & (wanted < 0)
        wanted[near], boxes[near] = -2, corners
        own = way <= max(CENTRE, way.min())
        wanted[own], boxes[own] = label, corners
    return prepare(frame.image), wanted, boxes


def train(lessons: Lessons, steps: int, batch: int) -> Detector:
    torch.manual_seed(1)
    network = Detector().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps, pct_start=0.15)
    for step in range(steps):
        places = torch.randint(len(lessons.images), (batch,))
        image, wanted, boxes = _varied(lessons.images[places], lessons.wanted[places], lessons.boxes[places])
        scores, found = network.answer(image)
        loss = _loss(scores, found, wanted, boxes)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"detector: step {step} of {steps}, loss {loss.item():.3f}", flush=True)
    return network.eval()


def _varied(image: Tensor, wanted: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Half of the batches mirrored; brightness, contrast and noise differ from picture to picture."""
    if torch.rand(()) < 0.5:
        image = image.flip(3)
        wanted = wanted.view(-1, ROWS, COLUMNS).flip(2).flatten(1)
        boxes = boxes.view(-1, ROWS, COLUMNS, 4).flip(2).flatten(1, 2)
        boxes = torch.stack((WIDTH - boxes[..., 2], boxes[..., 1], WIDTH - boxes[..., 0], boxes[..., 3]), -1)
    shape = (len(image), 1, 1, 1)
    varied = image.float() * (0.85 + 0.3 * torch.rand(shape)) + 16 * (torch.rand(shape) - 0.5)
    return (varied + 4 * torch.rand(shape) * torch.randn_like(varied)).clamp(0, 255), wanted, boxes


def _loss(scores: Tensor, found: Tensor, wanted: Tensor, boxes: Tensor) -> Tensor:
    """Focal loss of the scores and generalized IoU of the boxes, each a cell that answers for an object."""
    something, near = wanted >= 0, wanted != -1
    target = functional.one_hot(wanted.clamp(min=0), len(LABELS)).float() * something[..., None]
    error = functional.binary_cross_entropy_with_logits(scores, target, reduction="none")
    probability = scores.sigmoid()
    surprise = (target - probability).abs() ** 2
    judged = (wanted != -2)[..., None]
    scored = (error * surprise * judged).sum() / something.sum().clamp(min=1)
    return scored + 2 * (1 - _giou(found[near], boxes[near])).sum() / near.sum().clamp(min=1)


def _giou(one: Tensor, other: Tensor) -> Tensor:
    common = (torch.minimum(one[:, 2:], other[:, 2:]) - torch.maximum(one[:, :2], other[:, :2])).clamp(min=0).prod(1)
    hull = (torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])).prod(1)
    union = (one[:, 2:] - one[:, :2]).prod(1) + (other[:, 2:] - other[:, :2]).prod(1) - common
    return common / union - (hull - union) / hull
