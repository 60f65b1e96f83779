"""Opened models, and what they find in pictures."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from edgefn.function import Binding, Options

    OptionsModel = type[Options]

# Results are plain dataclasses, many a frame: orjson writes them five times faster than ones with slots, and
# frozen ones take twice as long to make.


@dataclass
class Box:
    """A rectangle in a picture: each edge as a share of the picture's width or height, 0.0 to 1.0."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float


@dataclass
class PixelBox:
    """A rectangle in whole pixels of the picture that was given to ``infer``."""

    x_min: int
    y_min: int
    x_max: int
    y_max: int


@dataclass
class Candidate:
    """One class that a picture may belong to; ``score`` as the model gives it, 0.0 to 1.0 for softmax outputs."""

    index: int
    """The class, from 0; -1 where the service that found it has a name that is in no labels."""
    name: str
    """Of the labels; the index as text where they have none for it."""
    score: float


@dataclass
class Detection:
    """One object found in a picture. Serialises to JSON as ``{"index", "name", "score", "box", "pixels"}``."""

    index: int
    """The class, as that of a Candidate."""
    name: str
    score: float
    """As the model gives it, from the binding's ``threshold`` to 1.0."""
    box: Box
    """Within the picture, whatever part of it the model saw."""
    pixels: PixelBox
    """The same in pixels of the picture."""


class Task(enum.StrEnum):
    """What the results of a session are."""

    RAW = "raw"
    CLASSIFICATION = "classification"
    DETECTION = "detection"


class Session(Protocol):
    """An opened model. ``infer`` and ``infer_async`` may be called by many threads and tasks at once."""

    def infer(self, data: Any) -> Any:
        """Runs the model on one picture (H x W x 3 uint8 BGR, or a VideoFrame) and waits for the result.

        The plain session also takes a mapping of input names to arrays, in the shapes and types that the model
        declares. It gives a mapping of output names to arrays, in the shapes and types of the model, that belong to
        the caller.

        Raises TypeError or ValueError for what is no such picture or array, with what would be right, and ModelError
        where the inference fails, or the session is closed.
        """

    async def infer_async(self, data: Any) -> Any:
        """As ``infer``, without holding the event loop. Results come in the order in which they were asked for."""

    def status(self) -> Mapping[str, Any]:
        """Model, device really used, precision, requests and inferences so far, as JSON values."""

    # A session may have ``tensors``: the model beneath it (sessions/ports.py), which the host then can serve.


class ClassificationSession(Session, Protocol):
    """A session whose results are the best classes of a picture."""

    def infer(self, data: Any) -> list[Candidate]:
        """The best classes, highest score first, as many as the binding's ``topN``."""

    async def infer_async(self, data: Any) -> list[Candidate]:
        """As ``infer``, without holding the event loop."""


class DetectionSession(Session, Protocol):
    """A session whose results are the objects in a picture."""

    def infer(self, data: Any) -> list[Detection]:
        """The objects with a score of at least the binding's ``threshold``, highest score first."""

    async def infer_async(self, data: Any) -> list[Detection]:
        """As ``infer``, without holding the event loop."""


class SessionKind(Protocol):
    """A way to open models: OpenVINO here, a server elsewhere, recorded answers."""

    @property
    def name(self) -> str:
        """The value of the binding's option ``kind``."""

    @property
    def options(self) -> OptionsModel:
        """The model that validates the binding's JSON object for this kind."""

    def open(self, binding: Binding, task: Task) -> Session:
        """Opens, or shares, the binding's model. Takes its time: called in a thread. Raises ModelError."""

    def close(self) -> None:
        """Releases all models."""

    # A kind of session may have ``needs``; see Kind. The binding's options are those of the session's own model.
    # One whose sessions never have ``tensors`` may say so: ``has_tensors = False``.
