"""The light classifier: the whole frame is day, dusk or night."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from frames import Frame
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edgefn.scene import LIGHTS

SIZE = 64


class Classifier(nn.Module):
    """image [n, 3, 64, 64], BGR, 0..255 -> probabilities [n, 3]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(16, 24, 3, 2, 1), nn.ReLU(inplace=True)),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, len(LIGHTS))),
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.answer(image).softmax(1)

    def answer(self, image: Tensor) -> Tensor:
        return self.layers(image * (1 / 64) - 1.7)  # type: ignore[no-any-return]


def prepare(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, (SIZE, SIZE)), np.uint8).transpose(2, 0, 1)


def lesson(frame: Frame) -> tuple[NDArray[np.uint8], int]:
    return prepare(frame.image), frame.light


def train(images: Tensor, lights: Tensor, steps: int, batch: int) -> Classifier:
    torch.manual_seed(1)
    network = Classifier().train()
    optimizer = torch.optim.AdamW(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    for step in range(steps):
        places = torch.randint(len(images), (batch,))
        noise = 4 * torch.randn(batch, 3, SIZE, SIZE)
        loss = functional.cross_entropy(network.answer(images[places].float() + noise), lights[places])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 200 == 0 or step == steps - 1:
            print(f"classifier: step {step} of {steps}, loss {loss.item():.3f}", flush=True)
    return network.eval()
