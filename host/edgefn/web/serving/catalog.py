"""Which models a host serves: the sessions of its functions, by name."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from edgefn.bindings.inference_session import InferenceSessionOptions
from edgefn.errors import listing, nearest
from edgefn.function import Binding
from edgefn.host import Host
from edgefn.picture_heads import MOST_PIXELS
from edgefn.running import Running
from edgefn.sessions.ports import Port, Tensors
from edgefn.web.serving.faults import Cause, Fault
from edgefn.web.serving.names import served_sessions, session_of, without_session
from edgefn.web.serving.options import served_at

log = logging.getLogger("edgefn.web")

VERSION = "1"
"""A model has one version here."""
RESULTS = frozenset("task labels labelOffset topN threshold iouThreshold head boxFormat background outputNames".split())
"""Options of a session that make no difference to the outputs of its model."""


@dataclass(frozen=True, slots=True)
class Served:
    """A model that is served, and the session that it is the model of."""

    name: str
    running: Running
    binding: Binding

    @property
    def session(self) -> str:
        return session_of(self.binding)

    @property
    def opened(self) -> Any:
        """The session as the function has it; None while it is not open."""
        return getattr(self.running.inputs.get(self.binding.name), "session", None)

    @property
    def tensors(self) -> Tensors | None:
        """The model's tensors; None while they are not known, and for sessions that have none, as recorded answers."""
        return cast("Tensors | None", getattr(self.opened, "tensors", None))

    @property
    def may_have_tensors(self) -> bool:
        return self.opened is None or hasattr(self.opened, "tensors")


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can be asked."""

    name: str
    tensors: Tensors
    most_pixels: int = MOST_PIXELS
    """Of all pictures in one request."""

    @property
    def is_batched(self) -> bool:
        """Whether it takes several pictures at once: they are its only input, and its outputs have a row for each."""
        shapes = [port.shape for port in self.tensors.outputs]
        return self.tensors.picture is not None and len(self.tensors.inputs) == 1 and all(s[:1] == (1,) for s in shapes)

    def shape(self, port: Port) -> list[int]:
        """The shape of an input or output as clients are told; -1 for what is theirs to choose."""
        return [-1, *port.shape[1:]] if self.is_batched else list(port.shape)


class Catalog:
    """The served models of one host, as they are at the moment: functions come, go and are swapped."""

    def __init__(self, host: Host, declared: Mapping[str, str], most_pixels: int = MOST_PIXELS) -> None:
        self._host = host
        services = host.app.services
        self._at = served_at(services.root, services.config)
        self._most_pixels = most_pixels
        self._declared = declared

    def served(self) -> dict[str, Served]:
        """By name; of two sessions with one name that which can be asked, else the first."""
        found: dict[str, Served] = {}
        for each in self._sessions():
            known = found.get(each.name)
            if known is None or (known.tensors is None and each.tensors is not None):
                found[each.name] = each
        return found

    def _sessions(self) -> Iterator[Served]:
        for running in self._host.running:
            if running.state == "disabled":
                continue
            for name, binding in served_sessions(running.function, self._declared):
                each = Served(name, running, binding)
                if self._declared or each.may_have_tensors:
                    yield each

    def model(self, name: str, version: str = "") -> Model:
        """The model of that name; raises Fault for one that there is not, or that can not be asked yet."""
        served = self.served()
        found = served.get(name)
        if found is None:
            raise Fault(Cause.UNKNOWN, f"there is no model '{name}'{nearest(name, served)}; models: {listing(served)}")
        if version not in ("", "0", VERSION):
            raise Fault(Cause.UNKNOWN, f"model '{name}' has no version '{version}'; versions: {VERSION}")
        if (why := self.why_not(found)) is not None:
            raise Fault(Cause.NOT_READY, f"model '{name}' is not ready: {why}")
        assert found.tensors is not None
        return Model(name, found.tensors, self._most_pixels)

    def is_ready(self) -> bool:
        """Whether every session is open, apart from those whose function is in error."""
        return self._host.state == "running" and all(
            each.opened is not None for each in self.served().values() if not each.running.function.errors
        )

    def why_not(self, served: Served) -> str | None:
        """Why a model can not be asked at present; None when it can."""
        if self._host.state == "starting" and served.running.state != "error":
            return "the host is starting"
        if self._host.state != "running":
            return f"the host is {self._host.state}"
        if served.tensors is not None:
            return None
        if served.running.function.errors:
            return f"function '{served.running.function.name}' is in error"
        if not served.may_have_tensors:
            return f"session '{served.session}' has no tensors, as recorded answers have none"
        return "it is being opened" if served.opened is None else "the server that it is on was not reached yet"

    def notes(self) -> Iterator[str]:
        """What is odd about the names, for the log."""
        known: dict[str, Served] = {}
        functions = (running.function for running in self._host.running)
        yield from without_session(functions, self._declared, self._at)
        for each in self._sessions():
            first = known.setdefault(each.name, each)
            if _model_options(first.binding) != _model_options(each.binding):
                yield (
                    f"The sessions '{first.session}' and '{each.session}' differ, and would both be served as"
                    f" '{each.name}': the first is; name them in extensions.serving.models of host.json"
                )


def _model_options(binding: Binding) -> dict[str, Any]:
    """The options that make a difference to the outputs of the model."""
    assert isinstance(binding.options, InferenceSessionOptions)
    return {name: value for name, value in binding.options.all().items() if name not in RESULTS}
