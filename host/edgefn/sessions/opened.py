"""An opened model and the sessions on it: what happens for each picture, whatever engine runs the model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from edgefn.errors import listing
from edgefn.sessions.pictures import Fill, View, picture_of
from edgefn.sessions.ports import Port, Tensors
from edgefn.sessions.requests import Line, Requests
from edgefn.sessions.results import Array

Read = Callable[[Sequence[Array], View], Any]
"""Makes a result, which owns its memory, of the outputs that belong to the request."""

NOWHERE = View(0, 0)


@dataclass(slots=True)
class Slot:
    """One infer request, its tensors bound to arrays; whoever has taken it may write and run it."""

    inputs: Mapping[str, Array]
    """The bound arrays, of the inputs whose shape is known."""
    picture: Array | None
    """The H x W x 3 part of the input that takes the picture."""
    run: Callable[[], None]
    outputs: Callable[[], Sequence[Array]]
    bind: Callable[[str, Array], None]
    """Sets an input whose shape is known only now."""
    device: Callable[[], str]
    """The device in use; AUTO changes it once a faster one is ready."""
    runs: int = 0


class Quantum(NamedTuple):
    """The real value of a quantised output: ``(q - zero) * step``."""

    step: float
    zero: float


@dataclass(slots=True, eq=False, weakref_slot=True)
class OpenedModel:
    """A compiled model, shared by the sessions that were declared alike."""

    name: str
    inputs: Sequence[Port]
    """What a mapping given to ``infer`` may hold."""
    outputs: Sequence[Port]
    picture: Port | None
    """The input for pictures, [1,H,W,3] u8 in BGR; None when the model has none."""
    requests: Requests[Slot]
    facts: Mapping[str, Any]
    quanta: Mapping[str, Quantum] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input for pictures."""
        return self.picture.shape[1:3] if self.picture else (0, 0)  # type: ignore[return-value]

    def status(self) -> dict[str, Any]:
        slots = self.requests.slots
        device = slots[0].device() if slots else self.facts["device"]
        return {**self.facts, "device": device, "requests": len(slots), "inferences": sum(slot.runs for slot in slots)}


class OpenedSession:
    """One function's session on a model that it may share."""

    def __init__(
        self,
        model: OpenedModel,
        fill: Fill | None,
        read: Read,
        facts: Mapping[str, Any],
        tensors: Tensors | None = None,
    ) -> None:
        self._model = model
        self._fill = fill
        self._read = read
        self._facts = dict(facts)
        self._line: Line | None = None
        self.tensors = tensors
        """The model with all of its outputs, whatever this session reads of them."""

    def infer(self, data: Any) -> Any:
        """Runs the model on the calling thread, as soon as a request is free.

        Raises TypeError or ValueError for what is no H x W x 3 uint8 picture, ModelError once the session is closed.
        """
        requests = self._model.requests
        slot = requests.take()
        try:
            view = self._write(slot, data)
            slot.run()
            slot.runs += 1
            return self._read(slot.outputs(), view)
        finally:
            requests.give(slot)

    async def infer_async(self, data: Any) -> Any:
        """As ``infer``, on a thread of the model. Results come in the order of the calls; failures keep their place."""
        loop = asyncio.get_running_loop()
        line = self._line
        if line is None or line.loop is not loop:
            line = self._line = Line(loop, len(self._model.requests.slots))
        ticket = line.join(self.infer, data)
        self._model.requests.submit(ticket)
        return await ticket.future

    def status(self) -> Mapping[str, Any]:
        return {**self._facts, **self._model.status()}

    def close(self) -> None:
        """Ends the model, for all sessions on it."""
        self._model.requests.close()

    def _write(self, slot: Slot, data: Any) -> View:
        if self._fill is not None and slot.picture is not None:
            return self._fill(picture_of(data), slot.picture)
        raise ValueError(f"model '{self._model.name}' takes no picture; {_wants(self._model.inputs)}")


class RawSession(OpenedSession):
    """A session that gives the output tensors, and takes input tensors as well as pictures."""

    def _write(self, slot: Slot, data: Any) -> View:
        if not isinstance(data, Mapping):
            return super()._write(slot, data)
        ports = {port.name: port for port in self._model.inputs}
        if data.keys() != ports.keys():
            raise ValueError(f"infer got inputs {listing(map(str, data))}; {_wants(self._model.inputs)}")
        for name, value in data.items():
            self._write_one(slot, ports[name], value)
        return NOWHERE

    def _write_one(self, slot: Slot, port: Port, value: Any) -> None:
        picture = self._model.picture
        if port == picture and getattr(value, "ndim", 0) != 4:
            super()._write(slot, value)
            return
        array = np.asarray(value)
        if not _fits(array, port):
            given = f"[{','.join(map(str, array.shape))}] {array.dtype}"
            raise ValueError(f"infer got {given} for input '{port.name}'; {_wants(self._model.inputs)}")
        if port.name in slot.inputs:
            np.copyto(slot.inputs[port.name], array, casting="same_kind")
        else:
            slot.bind(port.name, array)


class WholeModel(RawSession):
    """All of a model, with the preparation of pictures that a session on it declares."""

    def __init__(self, model: OpenedModel, fill: Fill | None, read: Read, outputs: Sequence[Port]) -> None:
        super().__init__(model, fill, read, {})
        self.inputs = model.inputs
        self.outputs = outputs
        self.picture = model.picture


def raw(names: Sequence[str]) -> Read:
    """Gives copies of the outputs by name."""

    def read(outputs: Sequence[Array], view: View) -> dict[str, Array]:
        return {name: np.array(output) for name, output in zip(names, outputs, strict=True)}

    return read


def _fits(array: Array, port: Port) -> bool:
    shaped = len(array.shape) == len(port.shape) and all(
        want in (-1, have) for want, have in zip(port.shape, array.shape, strict=True)
    )
    return shaped and (port.dtype is None or np.can_cast(array.dtype, port.dtype, "same_kind"))


def _wants(ports: Sequence[Port]) -> str:
    return f"right would be a mapping of {listing(map(str, ports))}"
