"""A model that runs on another server, as a model of this one: its slots are connections, and a run is a call."""

from __future__ import annotations

import asyncio
import math
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgefn.errors import ModelError, listing
from edgefn.protocols.tensors import BYTES
from edgefn.sessions.far import Caller
from edgefn.sessions.inputs import find_picture, layout_of, picture_shape
from edgefn.sessions.links import Link, Metadata
from edgefn.sessions.opened import OpenedModel, OpenedSession, Slot
from edgefn.sessions.options import ModelOptions
from edgefn.sessions.ports import Port, Tensors
from edgefn.sessions.requests import Requests
from edgefn.sessions.results import Array

GREY = np.array([0.114, 0.587, 0.299], np.float32)
"""How much blue, green and red count."""

Convert = Callable[[Array], Array]
"""From pictures, [1,H,W,3] u8 in BGR, to what the server's model takes."""


class RemoteSession:
    """A session on a model elsewhere. What the server says of the model is read when it is first reached."""

    def __init__(
        self, caller: Caller, links: Sequence[Link], open_session: Callable[[], OpenedSession], facts: Mapping[str, Any]
    ) -> None:
        self._caller = caller
        self._end = weakref.finalize(self, _close, caller, links)
        self._open = open_session
        self._facts = dict(facts)
        self._lock = threading.Lock()
        self._session: OpenedSession | None = None
        self._turn: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    def connect(self) -> OpenedSession:
        """The session itself, once the server was reached; raises ModelError. Takes its time."""
        with self._lock:
            if self._session is None:
                self._session = self._open()
            return self._session

    @property
    def tensors(self) -> Tensors | None:
        """The model, as the host serves it on; None until the server was reached."""
        return None if self._session is None else self._session.tensors

    def infer(self, data: Any) -> Any:
        """As that of every session; raises ModelError when the server does not answer as declared."""
        return (self._session or self.connect()).infer(data)

    async def infer_async(self, data: Any) -> Any:
        """As ``infer``, without holding the event loop, in the order of the calls."""
        return await (self._session or await self._connected()).infer_async(data)

    async def _connected(self) -> OpenedSession:
        async with self._my_turn():
            return self._session if self._session is not None else await asyncio.to_thread(self.connect)

    def _my_turn(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        if self._turn is None or self._turn[0] is not loop:
            self._turn = loop, asyncio.Lock()
        return self._turn[1]

    def status(self) -> Mapping[str, Any]:
        """As that of every session, with the state of its circuit."""
        own = self._facts if self._session is None else self._session.status()
        return {**own, "circuit": self._caller.circuit.status()}

    def close(self) -> None:
        """Ends what waits, and the connections."""
        self._caller.close()
        if self._session is not None:
            self._session.close()
        self._end()


def _close(caller: Caller, links: Sequence[Link]) -> None:
    """Also of a session that nobody has any more."""
    caller.close()
    for link in links:
        link.close()


def remote_model(
    name: str, said: Metadata, options: ModelOptions, caller: Caller, links: Sequence[Link], facts: Mapping[str, Any]
) -> OpenedModel:
    """A model of what a server says of it; raises ModelError where the options do not fit that."""
    inputs, outputs = list(map(_for_one, said.inputs)), list(map(_for_one, said.outputs))
    picture, convert = None, None
    if options.prepare:
        layouts = [layout_of(port.shape, (options.layout or "").upper()) for port in inputs]
        picture = find_picture(name, inputs, [()] * len(inputs), layouts, options.input_name)
    if picture is not None:
        own, layout = inputs[picture], layouts[picture]
        shape = dict(zip(layout or "", picture_shape(own, layout, options.input_size), strict=False))
        convert = _conversion(own, layout or "", shape["C"], options)
        inputs[picture] = Port(own.name, (1, shape["H"], shape["W"], 3), "u8", np.dtype(np.uint8))
    return OpenedModel(
        name=name,
        inputs=inputs,
        outputs=outputs,
        picture=None if picture is None else inputs[picture],
        requests=Requests(name, [_slot(link, inputs, said.outputs, picture, convert, caller) for link in links]),
        facts={**facts, "inputs": list(map(str, inputs)), "outputs": list(map(str, outputs))},
    )


def _for_one(port: Port) -> Port:
    """An input or output with a batch of one, where the server leaves it open."""
    return port._replace(shape=(1, *port.shape[1:])) if port.shape[:1] == (-1,) and len(port.shape) > 1 else port


def _slot(
    link: Link,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    picture: int | None,
    convert: Convert | None,
    caller: Caller,
) -> Slot:
    bound = {p.name: np.zeros(p.shape, p.dtype) for p in inputs if -1 not in p.shape and p.dtype is not None}
    named = None if picture is None else inputs[picture].name
    names = [port.name for port in outputs]
    given: dict[str, Array] = dict(bound)
    found: list[Array] = []

    def run() -> None:
        sent = given if named is None or convert is None else {**given, named: convert(given[named])}
        reply = caller.call(lambda seconds: link.infer(sent, names, seconds))
        if missing := [name for name in names if name not in reply]:
            raise ModelError(f"the reply has no output '{missing[0]}'; it has {listing(reply)}")
        for port in outputs:
            _check(port, reply[port.name])
        found[:] = [reply[name] for name in names]

    def bind(name: str, array: Array) -> None:
        given[name] = array

    return Slot(bound, None if named is None else bound[named][0], run, lambda: found, bind, lambda: "remote")


def _check(port: Port, found: Array) -> None:
    """Raises ModelError for an output that is not as the server said, which may have another version by now."""
    is_known = port.dtype is not None and -1 not in port.shape
    if (found.dtype == object) != (port.type == "string") or (is_known and found.size != math.prod(port.shape)):
        given = f"{BYTES if found.dtype == object else found.dtype} {list(found.shape)}"
        raise ModelError(f"the reply's output '{port.name}' is {given}; right would be {port}, as the server said")


def _conversion(own: Port, layout: str, channels: int, options: ModelOptions) -> Convert:
    """What is folded into a model that runs here is done to its input here."""
    mean, scale = (None if each is None else np.array(each, np.float32) for each in (options.mean, options.scale))
    dtype = np.dtype(np.uint8) if own.dtype is None else np.dtype(own.dtype)

    def convert(pictures: Array) -> Array:
        values: Array = pictures
        if channels == 1:
            values = (values.astype(np.float32) @ GREY)[..., None]
        elif options.color_order == "rgb":
            values = values[..., ::-1]
        if mean is not None:
            values = values.astype(np.float32) - mean[: None if channels > 1 else 1]
        if scale is not None:
            values = values.astype(np.float32) / scale[: None if channels > 1 else 1]
        if layout == "NCHW":
            values = values.transpose(0, 3, 1, 2)
        if dtype.kind in "iu" and values.dtype.kind == "f":
            values = np.rint(values)
        return np.ascontiguousarray(values, dtype)

    return convert
