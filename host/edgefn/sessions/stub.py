"""Recorded answers in place of a model, for tests of functions: ``model="stub:answers.json"``, or ``kind="stub"``.

The file, relative to the app root, is a JSON list with one answer a frame; after the last comes the first again::

    [
      [{"index": 1, "name": "car", "score": 0.9, "box": [0.1, 0.2, 0.5, 0.6]}],
      [],
      {"error": "the camera is covered"}
    ]

An answer is, for task ``detection``, a list of objects as above (``box``: x_min, y_min, x_max, y_max as shares of the
picture); for ``classification`` a list of ``{"index": 7, "name": "cock", "score": 0.9}`` or ``[7, "cock", 0.9]``; for
``raw`` an object of output names and numbers in nested lists, which become float32 arrays. ``{"error": "text"}``
makes ``infer`` raise ModelError with that text. Answers are given in the order in which they are recorded.

A VideoFrame gets the answer with the number of its ``id``, whatever frames were dropped; anything else gets the next.
Any other option is accepted and means nothing, so that a function's declaration needs no change but of its model.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import BeforeValidator, ConfigDict

from edgefn.contracts import Asset, Box, Candidate, Detection, Needs, PixelBox, Session, SessionKind, Task
from edgefn.errors import ModelError, why
from edgefn.function import Binding, Options
from edgefn.hookspecs import hookimpl

if TYPE_CHECKING:
    from edgefn.contracts import OptionsModel

SCHEME = "stub:"
RIGHT = {
    Task.DETECTION: "a list of {'index', 'name', 'score', 'box': [x_min, y_min, x_max, y_max]}",
    Task.CLASSIFICATION: "a list of {'index', 'name', 'score'} or [index, name, score]",
    Task.RAW: "an object of output names and nested lists of numbers",
}

Answer = Callable[[int, int], Any]
"""Makes the answer for a picture of this width and height."""


@hookimpl
def edgefn_session_kinds(root: Path, state: Path) -> Sequence[SessionKind]:
    return [StubKind(root)]


class StubOptions(Options):
    """Takes the options of every other kind."""

    model_config = ConfigDict(extra="ignore")

    model: Annotated[
        str, BeforeValidator(lambda value: value.removeprefix(SCHEME) if isinstance(value, str) else value)
    ]


class StubKind:
    """Opens files of recorded answers."""

    name = "stub"
    has_tensors = False
    options: OptionsModel = StubOptions

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self, binding: Binding, task: Task) -> Session:
        """Raises ModelError for a file that is not there, is no JSON list, or has an answer of another form."""
        path = self._root / cast("StubOptions", binding.options).model
        try:
            recorded = json.loads(path.read_text(encoding="utf-8"))
            return stub_session(path.name, task, recorded)
        except (OSError, ValueError) as error:
            raise ModelError(f"{binding.where()}: the answers '{path}' can not be used: {why(error)}") from None

    def needs(self, binding: Binding) -> Needs:
        """The file of the answers."""
        declared = cast("StubOptions", binding.options).model
        path = self._root / declared
        return Needs(reads=(Asset(declared, path if path.exists() else None),))

    def close(self) -> None:
        """Nothing is held."""


class StubSession:
    """Answers as recorded, at once."""

    def __init__(self, name: str, task: Task, answers: Sequence[Answer]) -> None:
        self._name = name
        self._task = task
        self._answers = answers
        self._calls = itertools.count()
        self._inferences = 0

    def infer(self, data: Any) -> Any:
        """The answer for this frame; ModelError where an error is recorded."""
        call = next(self._calls)
        self._inferences = max(self._inferences, call + 1)
        image = getattr(data, "image", data)
        height, width = getattr(image, "shape", (0, 0))[:2]
        number = getattr(data, "id", call)
        return self._answers[number % len(self._answers)](width, height)

    async def infer_async(self, data: Any) -> Any:
        """As ``infer``."""
        return self.infer(data)

    def status(self) -> Mapping[str, Any]:
        return {
            "model": self._name,
            "task": self._task.value,
            "device": "stub",
            "answers": len(self._answers),
            "inferences": self._inferences,
        }


def stub_session(name: str, task: Task, recorded: Any) -> StubSession:
    """The session of recorded answers, as a file holds them; raises ValueError for what are none."""
    if not isinstance(recorded, list) or not recorded:
        raise ValueError("right would be a JSON list with an answer for each frame")
    return StubSession(name, task, [_answer(task, value, n) for n, value in enumerate(recorded)])


def _answer(task: Task, value: Any, number: int) -> Answer:
    if isinstance(value, dict) and value.keys() == {"error"}:
        return _raising(str(value["error"]))
    try:
        return _MAKERS[task](value)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        fault = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"answer {number} is none for task '{task}' ({fault}); right would be {RIGHT[task]}") from None


def _raising(text: str) -> Answer:
    def answer(width: int, height: int) -> Any:
        raise ModelError(text)

    return answer


def _raw(value: Any) -> Answer:
    import numpy as np

    arrays = {str(name): np.array(numbers, dtype=np.float32) for name, numbers in value.items()}
    return lambda width, height: {name: array.copy() for name, array in arrays.items()}


def _classes(value: Any) -> Answer:
    candidates = [_candidate(entry) for entry in value]
    return lambda width, height: list(candidates)


def _candidate(entry: Any) -> Candidate:
    index, name, score = (entry["index"], entry.get("name"), entry["score"]) if isinstance(entry, dict) else entry
    return Candidate(int(index), str(index if name is None else name), float(score))


def _objects(value: Any) -> Answer:
    objects = [(_candidate(entry), _box(entry["box"])) for entry in value]

    def answer(width: int, height: int) -> list[Detection]:
        return [Detection(c.index, c.name, c.score, box, _pixels(box, width, height)) for c, box in objects]

    return answer


def _box(value: Any) -> Box:
    numbers = [value[name] for name in Box.__dataclass_fields__] if isinstance(value, dict) else value
    x_min, y_min, x_max, y_max = map(float, numbers)
    return Box(x_min, y_min, x_max, y_max)


def _pixels(box: Box, width: int, height: int) -> PixelBox:
    return PixelBox(
        round(box.x_min * width), round(box.y_min * height), round(box.x_max * width), round(box.y_max * height)
    )


_MAKERS: dict[Task, Callable[[Any], Answer]] = {Task.RAW: _raw, Task.CLASSIFICATION: _classes, Task.DETECTION: _objects}
