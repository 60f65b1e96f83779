"""The input ``inferenceSession``: a function's parameter is an opened model.

The plugin that opens models of a kind says which options there are; this one finds it, by the option ``kind`` or by
the scheme of the model (``stub:answers.json``), and the task by the parameter's annotation or the option ``task``.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, ValidationError
from pydantic.alias_generators import to_camel, to_snake

from edgefn.contracts import (
    ClassificationSession,
    DetectionSession,
    Event,
    Input,
    InputKind,
    Needs,
    Services,
    Session,
    SessionKind,
    Task,
)
from edgefn.errors import BindingError, listing, nearest
from edgefn.function import Binding, Options, named
from edgefn.hookspecs import hookimpl
from edgefn.settings import references
from edgefn.sight import seen
from edgefn.values import first_of_union

if TYPE_CHECKING:
    from edgefn.contracts import OptionsModel

DEFAULT = "openvino"
SCHEME = re.compile(r"^([a-z][a-z0-9+]+):")
TASKS = {ClassificationSession: Task.CLASSIFICATION, DetectionSession: Task.DETECTION}


@hookimpl
def edgefn_inputs(services: Services) -> Sequence[InputKind]:
    return [InferenceSessionKind(services)]


class InferenceSessionOptions(Options):
    """What every kind of session has; ``check`` validates all options with the kind's own model."""

    model_config = ConfigDict(extra="allow")

    model: Annotated[str, named("a model's file or address")]
    """A file, or an address whose scheme names the kind of session."""
    kind: str | None = None
    """The kind of session; without it, the scheme of the model, else ``openvino``."""
    task: str | None = None
    """``raw``, ``classification`` or ``detection``; without it, what the annotation says, else raw."""

    def all(self) -> dict[str, Any]:
        """The options as declared, names in camelCase, with those that only the kind knows."""
        known = self.model_dump(exclude_unset=True)
        return {to_camel(name) if "_" in name else name: value for name, value in known.items()}


class InferenceSessionKind:
    """Opens sessions by way of the plugins that know the kinds of models."""

    type = "inferenceSession"
    options: OptionsModel = InferenceSessionOptions

    def __init__(self, services: Services) -> None:
        self._kinds = services.session_kinds
        self._traces = services.traces
        self._info = services.metrics.gauge(
            "edgefn_session_info", "1 for each open session", ("function", "parameter", "model", "device", "precision")
        )
        self._fallbacks = services.metrics.counter(
            "edgefn_session_fallbacks",
            "Sessions opened on the declared fallback",
            ("function", "parameter", "asked", "device"),
        )
        self._open: Counter[tuple[str, ...]] = Counter()

    def check(self, binding: Binding) -> None:
        """Raises BindingError for an unknown kind, its unknown or wrong options, and a task that is contradicted."""
        self._resolved(binding)

    async def open(self, binding: Binding) -> Input:
        """Opens the model, or shares it, in a thread: compiling takes seconds."""
        kind, resolved, task = self._resolved(binding)
        session = await asyncio.to_thread(kind.open, resolved, task)
        facts = session.status()
        names = (str(facts.get(name, "")) for name in ("model", "device", "precision"))
        labels = (binding.function, binding.name, *names)
        self._info.labels(*labels).set(1)
        self._open[labels] += 1
        if facts.get("fallbacks"):
            used = (str(facts.get(name, "")) for name in ("asked", "device"))
            self._fallbacks.labels(binding.function, binding.name, *used).inc()
        if self._traces.spans is not None:
            session = self._traces.spans.session(session)
        return SessionInput(session, partial(self._closed, labels))

    def needs(self, binding: Binding) -> Needs:
        """What the kind of session says; nothing where it says nothing."""
        kind, resolved, _ = self._resolved(binding)
        asked = getattr(kind, "needs", None)
        needs: Needs = Needs() if asked is None else asked(resolved)
        return needs

    def options_of(self, binding: Binding) -> OptionsModel:
        """Those of the kind of session."""
        kind, _, _ = self._resolved(binding)
        return kind.options

    def _closed(self, labels: tuple[str, ...]) -> None:
        """Takes a session out of the metrics when another one has its place; the last one stays, to be looked at."""
        self._open[labels] -= 1
        in_place = [other for other in self._open if self._open[other] and other[:2] == labels[:2]]
        if in_place and labels not in in_place:
            self._info.remove(*labels)

    async def close(self) -> None:
        """The kinds of sessions belong to the host, which closes them."""

    def _resolved(self, binding: Binding) -> tuple[SessionKind, Binding, Task]:
        declared = binding.options
        assert isinstance(declared, InferenceSessionOptions)
        kind, task = self._kind(binding, declared), task_of(binding, declared.task)
        try:
            options = kind.options.model_validate(declared.all())
        except ValidationError as error:
            raise BindingError("\n".join(_faults(binding, kind, error))) from None
        return kind, replace(binding, options=options), task

    def _kind(self, binding: Binding, options: InferenceSessionOptions) -> SessionKind:
        name = kind_name(options)
        kinds = self._kinds.values()
        found = next((kind for kind in kinds if name == kind.name), None)
        by_scheme = (kind for kind in kinds if name in getattr(kind, "schemes", ()))
        found = found or (None if options.kind else next(by_scheme, None))
        if found is None:
            named = "" if options.kind else f" (of model '{options.model}')"
            raise BindingError(
                f"{binding.where()}: there is no kind of session '{name}'{named}{nearest(name, self._kinds)};"
                f" kinds: {listing(sorted(self._kinds))}"
            )
        return found


def kind_name(options: InferenceSessionOptions) -> str:
    """The kind of session that is asked for, which may be a scheme that a kind has."""
    scheme = SCHEME.match(options.model)
    return options.kind or (scheme[1] if scheme else DEFAULT)


@dataclass(frozen=True, slots=True)
class SessionInput:
    """Gives the same session to every invocation; one whose results are seen, while somebody looks."""

    session: Session
    closed: Callable[[], None]

    def value(self, event: Event) -> Session:
        return seen(self.session)

    def status(self) -> Mapping[str, Any]:
        return self.session.status()

    async def close(self) -> None:
        """The model may be another function's too: it goes when its last session is forgotten."""
        self.closed()


def task_of(binding: Binding, declared: str | None) -> Task:
    """The task of the annotation or of the option, which must not contradict each other."""
    annotation = first_of_union(binding.annotation)
    if annotation not in (None, Any) and not hasattr(annotation, "infer"):
        shown = getattr(annotation, "__name__", annotation)
        raise BindingError(
            f"{binding.where()}: its parameter is annotated {shown}, which has no infer; right would be"
            " edgefn.ClassificationSession, edgefn.DetectionSession or edgefn.Session"
        )
    meant = TASKS.get(annotation)
    if not declared:
        return meant or Task.RAW
    try:
        task = Task(declared.strip().lower())
    except ValueError:
        raise BindingError(
            f"{binding.where()}: option 'task' is '{declared}'{nearest(declared, Task)}; tasks: {listing(Task)}"
        ) from None
    if meant is not None and meant is not task:
        raise BindingError(
            f"{binding.where()}: option 'task' is {task}, and the parameter is annotated {annotation.__name__};"
            f" right would be task {meant}, or edgefn.Session"
        )
    return task


def _faults(binding: Binding, kind: SessionKind, error: ValidationError) -> Iterator[str]:
    in_python = binding.place.file.endswith(".py")
    known = [to_snake(name) if in_python else name for name in kind.options.names()]
    for fault in error.errors():
        option = str(fault["loc"][0]) if fault["loc"] else ""
        option = to_snake(option) if in_python else option
        said = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            yield (
                f"{binding.where()}: unknown option '{option}' of kind '{kind.name}'{nearest(option, known)};"
                f" known options: {listing(known)}"
            )
        elif not option:
            yield f"{binding.where()}: {said}"
        else:
            named = "".join(f" (from %{name}%)" for name in references(binding.declared.get(to_camel(option))))
            yield f"{binding.where()}: option '{option}' of kind '{kind.name}': {said}, found {fault['input']!r}{named}"
