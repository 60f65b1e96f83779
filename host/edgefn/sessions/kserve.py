"""Models on another server by Open Inference (KServe v2): OpenVINO Model Server, Triton, KServe, another edgefn.

``model="http://host:8000/name"`` or ``"grpc://host:9000/name"``. Pictures are resized and prepared here as for a model
of this machine, and results are read by the same heads; only the inference itself is elsewhere.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from edgefn.contracts import Needs, Session, SessionKind, Task
from edgefn.errors import EdgefnError, ModelError
from edgefn.function import Binding, named
from edgefn.hookspecs import hookimpl
from edgefn.sessions.far import Caller, Circuits, FarOptions, Unreached, headers_of
from edgefn.sessions.machine import labels_file
from edgefn.sessions.options import ModelOptions

if TYPE_CHECKING:
    from edgefn.contracts import OptionsModel
    from edgefn.metrics import Metrics
    from edgefn.sessions.links import Link, Place
    from edgefn.sessions.opened import OpenedSession
    from edgefn.sessions.remote import RemoteSession

logger = logging.getLogger(__name__)


@hookimpl
def edgefn_session_kinds(root: Path, metrics: Metrics) -> Sequence[SessionKind]:
    return [KserveKind(root, metrics)]


class KserveOptions(FarOptions, ModelOptions):
    """What is declared of a model on another server."""

    model: Annotated[str, named("the address of a model, such as http://host:8000/name")]
    """``http``, ``https``, ``grpc`` or ``grpcs``, host and port, and the model's name; a version as /versions/1."""


class KserveKind:
    """Opens sessions on models elsewhere. One server that can not be reached keeps no function from starting."""

    name = "kserve"
    schemes = ("http", "https", "grpc", "grpcs")
    options: OptionsModel = KserveOptions

    def __init__(self, root: Path, metrics: Metrics) -> None:
        self._root = root
        self._circuits = Circuits(metrics)
        self._sessions: weakref.WeakSet[RemoteSession] = weakref.WeakSet()

    def open(self, binding: Binding, task: Task) -> Session:
        """Raises ModelError for an address that is none, and for options that do not fit what the server says.

        A server that can not be reached yet is asked again by each inference.
        """
        from edgefn.sessions.links import link_to, place_of
        from edgefn.sessions.remote import RemoteSession

        options = cast("KserveOptions", binding.options)
        try:
            place = place_of(options.model)
            headers = headers_of(options)
            links = [link_to(place, headers) for _ in range(options.requests)]
            caller = self._circuits.caller(str(place), options)
            opening = _Opening(place, task, options, caller, links, self._root)
            session = RemoteSession(caller, links, opening, opening.facts)
            self._sessions.add(session)
            session.connect()
        except Unreached as error:
            logger.warning("%s: %s; it is asked again when it is needed", binding.where(), error)
        except EdgefnError as error:
            raise ModelError(f"{binding.where()}: {error}") from None
        else:
            logger.info("%s opened '%s'", binding.where(), place)
        return session

    def needs(self, binding: Binding) -> Needs:
        """The labels file, and what gRPC takes; the model is elsewhere."""
        options = cast("KserveOptions", binding.options)
        extras = ("serving",) if options.model.startswith("grpc") else ()
        return Needs(reads=tuple(labels_file(options.labels, self._root)), extras=extras)

    def close(self) -> None:
        for session in list(self._sessions):
            session.close()


class _Opening:
    """Reads what the server says of a model, and makes a session of it."""

    def __init__(
        self, place: Place, task: Task, options: KserveOptions, caller: Caller, links: Sequence[Link], root: Path
    ) -> None:
        self._place = place
        self._task = task
        self._options = options
        self._caller = caller
        self._links = links
        self._root = root
        self.facts = {"model": str(place), "device": "remote", "precision": "", "task": task.value}

    def __call__(self) -> OpenedSession:
        from edgefn.sessions.remote import remote_model
        from edgefn.sessions.tasks import open_session

        name = self._place.model
        said = self._caller.call(self._links[0].metadata, retries=0)  # the host's start waits for it
        model = remote_model(name, said, self._options, self._caller, self._links, self.facts)
        beside = self._root / f"{name}.model"
        return open_session(model, self._task, self._options, beside, self._root, {})
