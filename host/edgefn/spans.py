"""Spans of OpenTelemetry: one for each invocation, below it inference and sending.

    event -> FunctionSpans.begin -> Trace, current until its end: the user's own spans and the host's are below it
    message that is sent -> carried: with ``traceparent`` among its properties -> the next function, in the same trace
    span that has ended -> Queue, by which it leaves (``span_export.py``)

Ids, parents and sampling are the library's, which these two files alone know. An app that has a provider of its own, as
with Azure Monitor, is given its spans; else the provider here is that of the process.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from opentelemetry import context as contexts
from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.trace import Link, Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from edgefn import __version__
from edgefn.contracts import EdgeMessage, Event, Origin, Outcome, Session, TriggerKind
from edgefn.function import Function
from edgefn.logs import Invocation, user_traceback
from edgefn.metrics import Metrics
from edgefn.redaction import redact
from edgefn.settings import Settings
from edgefn.span_export import Outlet, Queue, Reason
from edgefn.traces import GROUP

log = logging.getLogger("edgefn.traces")

W3C = TraceContextTextMapPropagator()
PARENT, STATE = "traceparent", "tracestate"
KINDS = {"pubsub": SpanKind.CONSUMER}
"""The kinds of spans by what caused them; all others are served, as OpenTelemetry's conventions for functions say."""

Attributes = Mapping[str, str | int]


def provider_of_app() -> TracerProvider | None:
    """The provider that the app has made that of the process; None where it has none."""
    provider = api.get_tracer_provider()
    return provider if isinstance(provider, TracerProvider) else None


def open_spans(root: Path, settings: Settings, metrics: Metrics, exporters: Sequence[str]) -> Spans:
    """Begins to take spans, with the exporters of these names; raises ValueError for variables that make no sense."""
    if (provider := provider_of_app()) is not None:
        return Spans(provider)
    provider = TracerProvider(resource=resource(root, settings), shutdown_on_exit=False)
    reason = Reason()
    queues = [Queue(Outlet(_exporter(name), metrics, reason)) for name in exporters]
    for queue in queues:
        provider.add_span_processor(queue)
    api.set_tracer_provider(provider)
    return Spans(provider, [*(queue.close for queue in queues), reason.close])


def _exporter(name: str) -> SpanExporter:
    (entry,) = entry_points(group=GROUP, name=name)
    made: SpanExporter = entry.load()()
    return made


def resource(root: Path, settings: Settings) -> Resource:
    """Who sends: as OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say, else the module, else the app's folder."""
    name = settings.get("WEBSITE_SITE_NAME") or settings.get("IOTEDGE_MODULEID") or root.name
    device = settings.get("IOTEDGE_DEVICEID")
    known = {"service.name": name, **({"device.id": device} if device else {})}
    return Resource.create({**known, **OTELResourceDetector().detect().attributes})


class Tracer:
    """Begins and ends spans. Where the app has a provider of its own its processors run here, and where a plugin tells
    the origin of an event its code: what fails in them costs the span, and not what it is of.
    """

    def __init__(self, tracer: api.Tracer) -> None:
        self._tracer = tracer
        self._failed = 0

    def begin(
        self,
        name: str,
        parent: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes | None = None,
        links: Sequence[Link] = (),
    ) -> Span:
        """A span that has begun; one that is none where that failed."""
        try:
            return self._tracer.start_span(name, parent, kind, attributes, links)
        except Exception as error:
            self._tell(error)
            return api.INVALID_SPAN

    def end(self, span: Span) -> None:
        try:
            span.end()
        except Exception as error:
            self._tell(error)

    def came_by(self, event: Event, origin: Callable[[Event], Origin]) -> Origin:
        """Where an event came from, as its trigger tells."""
        try:
            return origin(event)
        except Exception as error:
            self._tell(error)
            return Origin()

    def _tell(self, error: Exception) -> None:
        """The 1st, 2nd, 4th, 8th, ... time."""
        self._failed += 1
        if self._failed.bit_count() == 1:
            what = f"{type(error).__name__}: {error}"
            log.error("A span is lost by what the app, or a plugin, has for traces: %s (%d by now)", what, self._failed)


class Spans:
    """Makes the spans of one host."""

    def __init__(self, provider: TracerProvider, closing: Sequence[Callable[[], None]] = ()) -> None:
        self._tracer = Tracer(provider.get_tracer("edgefn", __version__))
        self._closing = closing

    def of(self, function: Function, kind: TriggerKind) -> FunctionSpans:
        """What makes the spans of a function's invocations."""
        assert function.trigger is not None
        tell: Callable[..., Callable[[Event], Origin]] | None = getattr(kind, "origin", None)
        return FunctionSpans(self._tracer, function, _nowhere if tell is None else tell(function.trigger))

    def carried(self, message: EdgeMessage) -> EdgeMessage:
        """The message with the trace of the invocation that sends it, in place of that by which it may have come."""
        carrier = _carrier()
        if not carrier:
            return message
        own = {name: text for name, text in message.properties.items() if name not in (PARENT, STATE)}
        return dataclasses.replace(message, properties={**own, **carrier})

    def sending(self, message: EdgeMessage, done: asyncio.Future[None]) -> None:
        """A span of the trace that the message carries, from now until its destination has it, or has not."""
        parent = W3C.extract(message.properties, Context())
        if not api.get_current_span(parent).get_span_context().trace_flags.sampled:
            return
        name = message.topic or message.output_name
        attributes: Attributes = {
            "messaging.system": "mqtt" if message.topic else "edgehub",
            "messaging.operation.type": "send",
            "messaging.operation.name": "send",
            "messaging.destination.name": name,
            "messaging.message.id": message.message_id,
            "messaging.message.body.size": len(message.body),
        }
        span = self._tracer.begin(f"send {name}", parent, SpanKind.PRODUCER, attributes)
        done.add_done_callback(partial(_sent, self._tracer, span))

    def session(self, session: Session) -> Session:
        """The session with a span for each inference of an invocation that is sampled."""
        return TracedSession(session, self._tracer)

    def close(self) -> None:
        """Sends what is left, for a moment; blocks as long. The provider of an app does that by itself."""
        for close in self._closing:
            close()


def _carrier(context: Context | None = None) -> Mapping[str, str]:
    """What carries the trace of a context, or of the current one; empty where there is none."""
    carrier: dict[str, str] = {}
    W3C.inject(carrier, context)
    return carrier


# --- invocations -------------------------------------------------------------------------------------------------


class FunctionSpans:
    """Makes the spans of one function's invocations."""

    def __init__(self, tracer: Tracer, function: Function, origin: Callable[[Event], Origin]) -> None:
        assert function.trigger is not None
        self._tracer = tracer
        self._name = function.name
        self._known = {"faas.name": function.name, "edgefn.trigger": function.trigger.type}
        self._origin = origin

    def begin(self, event: Event, invocation: Invocation) -> Trace:
        """Begins the span of an invocation, which is the current one from now on.

        It goes on the trace that came with the event; of several messages, each with its own, it links to all.
        """
        origin = self._tracer.came_by(event, self._origin)
        parent, links = _came_by(origin.carriers)
        attributes = {
            **self._known,
            "faas.trigger": origin.trigger,
            "faas.invocation_id": invocation.id,
            **origin.attributes,
        }
        kind = KINDS.get(origin.trigger, SpanKind.SERVER)
        span = self._tracer.begin(self._name, parent, kind, attributes, links)
        trace = invocation.trace = Trace(self._tracer, span, origin.answered)
        return trace


def _nowhere(event: Event) -> Origin:
    return Origin()


def _came_by(carriers: Sequence[Mapping[str, str]]) -> tuple[Context, list[Link]]:
    parents = [W3C.extract(carrier, Context()) for carrier in carriers if PARENT in carrier]
    if len(carriers) == 1:
        return (parents or [Context()])[0], []
    found = (api.get_current_span(parent).get_span_context() for parent in parents)
    return Context(), [Link(each) for each in found if each.is_valid]


class Trace:
    """The span of one invocation, the current one until its end."""

    __slots__ = ("_answered", "_context", "_span", "_token", "_tracer")

    def __init__(self, tracer: Tracer, span: Span, answered: Callable[[], Attributes] | None) -> None:
        self._tracer = tracer
        self._span = span
        self._answered = answered
        self._context = api.set_span_in_context(span, Context())
        self._token = contexts.attach(self._context)

    def ids(self) -> dict[str, str]:
        """The ids by which log lines are found for the trace."""
        known = self._span.get_span_context()
        return {"trace_id": api.format_trace_id(known.trace_id), "span_id": api.format_span_id(known.span_id)}

    def carrier(self) -> Mapping[str, str]:
        """``traceparent``, and ``tracestate`` where there is one, for those who go on with the trace."""
        return _carrier(self._context)

    def end(self, outcome: Outcome, retries: int) -> None:
        """Ends the span with the outcome; in the context in which it began."""
        contexts.detach(self._token)
        span = self._span
        if span.is_recording():
            if retries:
                span.set_attribute("edgefn.retries", retries)
            if self._answered is not None:
                span.set_attributes(self._answered())
            if outcome.error is not None:
                _fail(span, outcome.error)
        self._tracer.end(span)


def _fail(span: Span, error: BaseException) -> None:
    """Has a span tell of an error, without secrets; the library's own way has the text as it is."""
    name, text = type(error).__name__, redact(str(error))
    attributes = {
        "exception.type": name,
        "exception.message": text,
        "exception.stacktrace": redact(user_traceback(error)),
    }
    span.add_event("exception", attributes)
    span.set_attribute("error.type", name)
    span.set_status(StatusCode.ERROR, f"{name}: {text}")


def _sent(tracer: Tracer, span: Span, done: asyncio.Future[None]) -> None:
    if done.cancelled():
        span.set_status(StatusCode.ERROR, "the host stops")
    elif (error := done.exception()) is not None:
        _fail(span, error)
    tracer.end(span)


# --- inference ---------------------------------------------------------------------------------------------------


class TracedSession:
    """A session whose inferences are spans; all else is the session's own."""

    def __init__(self, session: Session, tracer: Tracer) -> None:
        self._session = session
        self._tracer = tracer

    def infer(self, data: Any) -> Any:
        if not api.get_current_span().is_recording():
            return self._session.infer(data)
        with self._span():
            return self._session.infer(data)

    async def infer_async(self, data: Any) -> Any:
        if not api.get_current_span().is_recording():
            return await self._session.infer_async(data)
        with self._span():
            return await self._session.infer_async(data)

    def status(self) -> Mapping[str, Any]:
        return self._session.status()

    @contextmanager
    def _span(self) -> Iterator[None]:
        facts = self._session.status()
        about = {f"edgefn.{name}": str(facts[name]) for name in ("model", "device", "precision") if facts.get(name)}
        span = self._tracer.begin(f"infer {facts.get('model', '')}".rstrip(), attributes=about)
        try:
            yield
        except BaseException as error:
            _fail(span, error)
            raise
        finally:
            self._tracer.end(span)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)
