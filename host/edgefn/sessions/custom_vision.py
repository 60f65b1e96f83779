"""A Custom Vision container, or Azure's prediction endpoint: a picture is posted, predictions come back.

    kind="custom-vision", model="http://detector/image"

The model and its preparation are the far side's: pictures go as JPEG, whole, in their own size.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import orjson
from pydantic import BeforeValidator, Field

from edgefn.contracts import Box, Candidate, Detection, Needs, PixelBox, Session, SessionKind, Task
from edgefn.errors import ModelError
from edgefn.function import Binding, named
from edgefn.hookspecs import hookimpl
from edgefn.images import encoded
from edgefn.sessions.far import Caller, Circuits, FarOptions, Unavailable, Wire, address_of, check_status, headers_of
from edgefn.sessions.files import find_labels
from edgefn.sessions.labels import read_labels
from edgefn.sessions.machine import labels_file
from edgefn.sessions.options import Share, Text, lower
from edgefn.sessions.pictures import picture_of
from edgefn.sessions.requests import Line, Requests

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from edgefn.contracts import OptionsModel
    from edgefn.metrics import Metrics

logger = logging.getLogger(__name__)

DECIMALS = 6
RIGHT = "{'predictions': [{'probability', 'tagName', 'boundingBox'}]}"


@hookimpl
def edgefn_session_kinds(root: Path, metrics: Metrics) -> Sequence[SessionKind]:
    return [CustomVisionKind(root, metrics)]


class CustomVisionOptions(FarOptions):
    """What is declared of a Custom Vision service."""

    model: Annotated[str, named("the address that takes pictures, such as http://detector/image")]
    """Where pictures are posted, with the query that the service wants."""
    kind: Text = None
    task: Annotated[Literal["raw", "classification", "detection"] | None, BeforeValidator(lower)] = None
    """What the results are; without it, what the parameter's annotation says, else raw: the reply itself."""
    labels: Text = None
    """A file with the names of the tags, by which they get their index; without it, every index is -1."""
    top_n: Annotated[int, Field(ge=1)] = 10
    threshold: Share = 0.5
    quality: Annotated[int, Field(ge=1, le=100)] = 90
    """Of the JPEG that is posted."""


class CustomVisionKind:
    """Opens sessions on Custom Vision services, whether they are there yet or not."""

    name = "custom-vision"
    has_tensors = False
    options: OptionsModel = CustomVisionOptions

    def __init__(self, root: Path, metrics: Metrics) -> None:
        self._root = root
        self._circuits = Circuits(metrics)
        self._sessions: weakref.WeakSet[CustomVisionSession] = weakref.WeakSet()

    def open(self, binding: Binding, task: Task) -> Session:
        """Raises ModelError for an address that is none, and for a labels file that can not be used."""
        options = cast("CustomVisionOptions", binding.options)
        try:
            address = address_of(options.model)
            if address.scheme not in ("http", "https"):
                raise ModelError(f"model '{options.model}' is no address of HTTP; right would be http://detector/image")
            headers = headers_of(options)
            found = find_labels(options.labels, Path(), self._root) if options.labels else None
            names = read_labels(found) if found else {}
        except ModelError as error:
            raise ModelError(f"{binding.where()}: {error}") from None
        caller = self._circuits.caller(f"{address.scheme}://{address.netloc}{address.path}", options)
        session = CustomVisionSession(
            address, headers, task, options, caller, {name: index for index, name in names.items()}
        )
        self._sessions.add(session)
        return session

    def needs(self, binding: Binding) -> Needs:
        """The labels file; the model is elsewhere."""
        return Needs(reads=tuple(labels_file(cast("CustomVisionOptions", binding.options).labels, self._root)))

    def close(self) -> None:
        for session in list(self._sessions):
            session.close()


class CustomVisionSession:
    """Posts each picture, and reads the predictions."""

    def __init__(
        self,
        address: SplitResult,
        headers: Mapping[str, str],
        task: Task,
        options: CustomVisionOptions,
        caller: Caller,
        indexes: Mapping[str, int],
    ) -> None:
        self._name = f"{address.scheme}://{address.netloc}{address.path}"
        self._path = (address.path or "/") + (f"?{address.query}" if address.query else "")
        self._task = task
        self._options = options
        self._caller = caller
        self._indexes = indexes
        wires = [Wire(address, headers) for _ in range(options.requests)]
        self._requests = Requests(self._name, wires)
        self._end = weakref.finalize(self, _close, caller, wires)
        self._line: Line | None = None
        self._inferences = 0

    def infer(self, data: Any) -> Any:
        """The results for a picture; raises ModelError when the service does not answer as declared."""
        picture = picture_of(data)
        body = encoded(picture, ".jpg", self._options.quality)
        wire = self._requests.take()
        try:
            document = self._caller.call(lambda seconds: self._asked(wire, body, seconds))
        finally:
            self._requests.give(wire)
        self._inferences += 1
        height, width = picture.shape[:2]
        return document if self._task is Task.RAW else self._read(document, width, height)

    async def infer_async(self, data: Any) -> Any:
        """As ``infer``, without holding the event loop, in the order of the calls."""
        loop = asyncio.get_running_loop()
        if self._line is None or self._line.loop is not loop:
            self._line = Line(loop, self._options.requests)
        ticket = self._line.join(self.infer, data)
        self._requests.submit(ticket)
        return await ticket.future

    def _asked(self, wire: Wire, body: bytes, seconds: float) -> Any:
        answer = wire.ask("POST", self._path, body, {"content-type": "application/octet-stream"}, seconds)
        check_status(answer, self._name, " ".join(answer.body[:300].decode(errors="replace").split()))
        try:
            return orjson.loads(answer.body)
        except ValueError:
            raise Unavailable(f"{self._name} gave no JSON; right would be {RIGHT}") from None

    def _read(self, document: Any, width: int, height: int) -> list[Any]:
        try:
            rows = [_lowered(each) for each in _lowered(document)["predictions"]]
            rows.sort(key=lambda row: -float(row["probability"]))
            if self._task is Task.CLASSIFICATION:
                return [self._candidate(row) for row in rows[: self._options.top_n]]
            found = [row for row in rows if float(row["probability"]) >= self._options.threshold]
            return [self._detection(row, width, height) for row in found]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ModelError(
                f"{self._name} gave no predictions for task '{self._task}'; right would be {RIGHT}"
            ) from None

    def _candidate(self, row: Mapping[str, Any]) -> Candidate:
        name = str(row.get("tagname") or row["tag"])
        return Candidate(self._indexes.get(name, -1), name, round(float(row["probability"]), DECIMALS))

    def _detection(self, row: Mapping[str, Any], width: int, height: int) -> Detection:
        best, place = self._candidate(row), _lowered(row["boundingbox"])
        left, top = float(place["left"]), float(place["top"])
        edges = (left, top, left + float(place["width"]), top + float(place["height"]))
        box = Box(*(round(min(max(edge, 0.0), 1.0), DECIMALS) for edge in edges))
        pixels = PixelBox(
            *(round(n) for n in (box.x_min * width, box.y_min * height, box.x_max * width, box.y_max * height))
        )
        return Detection(best.index, best.name, best.score, box, pixels)

    def status(self) -> Mapping[str, Any]:
        return {
            "model": self._name,
            "device": "remote",
            "precision": "",
            "task": self._task.value,
            "requests": self._options.requests,
            "inferences": self._inferences,
            "circuit": self._caller.circuit.status(),
        }

    def close(self) -> None:
        """Ends what waits, and the connections."""
        self._caller.close()
        self._requests.close()
        self._end()


def _close(caller: Caller, wires: Sequence[Wire]) -> None:
    caller.close()
    for wire in wires:
        wire.close()


def _lowered(document: Any) -> dict[str, Any]:
    """With names in lower case: older services write them in another one."""
    return {name.lower(): value for name, value in document.items()}
