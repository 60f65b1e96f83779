"""What is seen of invocations on video while somebody looks: the frame, the results of sessions on it, marks.

    Sights.look(function) -> Sights.begin(event) -> Sight <- results of sessions, ``mark`` -> Sights.end -> the looker

Nothing of it is made while nobody looks at the function.
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from edgefn.contracts import Box, Candidate, Detection, Event, Outcome, PixelBox, Session, Status, VideoFrame

log = logging.getLogger("edgefn.sight")

MOST = 300
"""Marks of an invocation that are kept."""
LONGEST = 200
"""Characters of a mark's text that are kept."""
PIXEL = 3
"""Bytes of a pixel."""
WHOLE = Box(0.0, 0.0, 1.0, 1.0)

AnyBox = Box | PixelBox | Sequence[float]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something to draw over a frame: a box with a text, or a text alone."""

    text: str
    box: Box | None = None
    score: float | None = None
    colour: str = ""
    """As CSS names it; empty for one that belongs to the text."""
    index: int | None = None
    """The class, where a session found it."""


@dataclass(slots=True)
class Sight:
    """One invocation on video that somebody looks at."""

    function: str
    invocation: str
    frames: Sequence[VideoFrame]
    marks: list[tuple[int, Mark]] = field(default_factory=list)
    """Each with the place of its frame in ``frames``."""
    status: Status = Status.OK

    @property
    def frame(self) -> VideoFrame:
        """The newest frame of the invocation."""
        return self.frames[-1]

    def newest(self) -> list[Mark]:
        """The marks of the newest frame."""
        last = len(self.frames) - 1
        return [mark for number, mark in list(self.marks) if number == last]

    def results(self, data: Any, found: Any) -> None:
        """Takes what a session found in a picture; results that are not typed say nothing to an eye."""
        if not isinstance(found, list):
            return
        number, part = self._place(data)
        for each in found:
            if isinstance(each, Detection):
                box = None if part is None else _within(part, each.box)
                self._add(number, Mark(each.name[:LONGEST], box, each.score, index=each.index))
            elif isinstance(each, Candidate):
                self._add(number, Mark(each.name[:LONGEST], None, each.score, index=each.index))

    def mark(self, text: str, box: AnyBox | None, score: float | None, colour: str, frame: VideoFrame | None) -> None:
        """Takes a mark of the function's own."""
        number = len(self.frames) - 1 if frame is None else self._place(frame)[0]
        share = None if box is None else _share(box, self.frames[number])
        value = None if score is None else float(score)
        self._add(number, Mark(str(text)[:LONGEST], share, value, str(colour)[:LONGEST]))

    def _add(self, number: int, mark: Mark) -> None:
        if len(self.marks) < MOST:
            self.marks.append((number, mark))

    def _place(self, data: Any) -> tuple[int, Box | None]:
        """Which frame a picture is of, and which part of it; None where that can not be told, as of a copy."""
        for number, frame in enumerate(self.frames):
            if data is frame or data is frame.image:
                return number, WHOLE
            if (part := _part(data, frame.image)) is not None:
                return number, part
        return len(self.frames) - 1, None


Looker = Callable[[Sight], None]


class Sights:
    """Who looks at which functions of a host at present."""

    def __init__(self) -> None:
        self.lookers: dict[str, tuple[Looker, ...]] = {}
        """Empty while nobody looks, which is all that an invocation then asks."""

    @contextmanager
    def look(self, function: str, looker: Looker) -> Iterator[None]:
        """Has ``looker`` called, on the event loop, for each invocation of a function on video that ends meanwhile."""
        self.lookers[function] = (*self.lookers.get(function, ()), looker)
        try:
            yield
        finally:
            left = tuple(each for each in self.lookers[function] if each is not looker)
            self.lookers[function] = left
            if not left:
                del self.lookers[function]

    def begin(self, function: str, invocation: str, event: Event) -> Sight | None:
        """The sight of an invocation; None for one that nobody looks at, or that is not on video."""
        if function not in self.lookers:
            return None
        frames = event.value if isinstance(event.value, list) else [event.value]
        if not frames or not all(isinstance(frame, VideoFrame) for frame in frames):
            return None
        return Sight(function, invocation, frames)

    def end(self, sight: Sight, outcome: Outcome) -> None:
        """Shows the sight of an invocation that has ended."""
        sight.status = outcome.status
        for looker in self.lookers.get(sight.function, ()):
            looker(sight)


CURRENT: contextvars.ContextVar[Sight | None] = contextvars.ContextVar("edgefn_sight", default=None)
"""The sight of the invocation that runs."""


def mark(
    text: str = "",
    box: AnyBox | None = None,
    *,
    score: float | None = None,
    colour: str = "",
    frame: VideoFrame | None = None,
) -> None:
    """Draws over the frame that the function works on, on the page of the host; nothing where nobody looks.

    ``box`` is a Box, a PixelBox, or x_min, y_min, x_max, y_max as shares of the picture; without one the text stands in
    a corner. ``colour`` is one of CSS. ``frame`` says which one, in a function that takes several. It never raises.
    """
    sight = CURRENT.get()
    if sight is None:
        return
    try:
        sight.mark(text, box, score, colour, frame)
    except (TypeError, ValueError, AttributeError) as error:
        log.warning("A mark can not be drawn: %s; its box should be a Box, a PixelBox or four numbers", error)


class SeenSession:
    """A session whose results are seen; all else is the session's own."""

    def __init__(self, session: Session, sight: Sight) -> None:
        self._session = session
        self._sight = sight

    def infer(self, data: Any) -> Any:
        found = self._session.infer(data)
        self._sight.results(data, found)
        return found

    async def infer_async(self, data: Any) -> Any:
        found = await self._session.infer_async(data)
        self._sight.results(data, found)
        return found

    def status(self) -> Mapping[str, Any]:
        return self._session.status()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def seen(session: Session) -> Session:
    """The session for the invocation that runs: itself, unless somebody looks."""
    sight = CURRENT.get()
    return session if sight is None else SeenSession(session, sight)


# --- where in the picture ----------------------------------------------------------------------------------------


def _within(part: Box, box: Box) -> Box:
    """A box in a part of a picture, as one in the whole."""
    if part is WHOLE:
        return box
    width, height = part.x_max - part.x_min, part.y_max - part.y_min
    return Box(
        part.x_min + box.x_min * width,
        part.y_min + box.y_min * height,
        part.x_min + box.x_max * width,
        part.y_min + box.y_max * height,
    )


def _part(data: Any, image: Any) -> Box | None:
    """The part of an image that an array is a view of, as ``image[10:50, 20:80]`` is; None for all others."""
    if getattr(data, "strides", None) != image.strides or data.dtype != image.dtype:
        return None
    offset = data.ctypes.data - image.ctypes.data
    if not 0 <= offset < image.nbytes:
        return None
    top, left = divmod(offset, image.strides[0])
    left //= PIXEL
    height, width = image.shape[:2]
    rows, columns = data.shape[:2]
    return Box(left / width, top / height, (left + columns) / width, (top + rows) / height)


def _share(box: AnyBox, frame: VideoFrame) -> Box:
    """A box as shares of its picture."""
    if isinstance(box, Box):
        return box
    if isinstance(box, PixelBox):
        height, width = frame.image.shape[:2]
        return Box(box.x_min / width, box.y_min / height, box.x_max / width, box.y_max / height)
    x_min, y_min, x_max, y_max = map(float, box)
    return Box(x_min, y_min, x_max, y_max)
