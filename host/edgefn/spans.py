"""Spans of OpenTelemetry: one for each invocation, below it inference and sending. No other file knows the library.

    event -> FunctionSpans.begin -> Trace, current until its end: the user's own spans and the host's are below it
    message that is sent -> carried: with ``traceparent`` among its properties -> the next function, in the same trace
    span that has ended -> Queue -> the library's batches, in a thread of its own -> Outlet -> the library's exporter

Sampling, batches and export are the library's. An app that has a provider of its own, as with Azure Monitor, is given
its spans; else the provider here is that of the process.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import threading
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
from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from edgefn import __version__
from edgefn.contracts import EdgeMessage, Event, Origin, Outcome, Session, TriggerKind
from edgefn.function import Function
from edgefn.logs import Invocation, user_traceback
from edgefn.metrics import Metrics
from edgefn.redaction import redact
from edgefn.settings import Settings
from edgefn.traces import GROUP

log = logging.getLogger("edgefn.traces")

W3C = TraceContextTextMapPropagator()
PARENT, STATE = "traceparent", "tracestate"
KINDS = {"pubsub": SpanKind.CONSUMER}
"""The kinds of spans by what caused them; all others are served, as OpenTelemetry's conventions for functions say."""
ROOM = 2048
"""Spans that wait for their export, unless ``OTEL_BSP_MAX_QUEUE_SIZE`` says otherwise."""
PATIENCE, LAST_WISH = 2.0, 1.0
"""Seconds that what is left gets to leave at the end, and the exporter to give up then."""

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


class Spans:
    """Makes the spans of one host."""

    def __init__(self, provider: TracerProvider, closing: Sequence[Callable[[], None]] = ()) -> None:
        self._tracer = provider.get_tracer("edgefn", __version__)
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
        span = self._tracer.start_span(f"send {name}", parent, SpanKind.PRODUCER, attributes)
        done.add_done_callback(partial(_sent, span))

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

    def __init__(self, tracer: api.Tracer, function: Function, origin: Callable[[Event], Origin]) -> None:
        assert function.trigger is not None
        self._tracer = tracer
        self._name = function.name
        self._known = {"faas.name": function.name, "edgefn.trigger": function.trigger.type}
        self._origin = origin

    def begin(self, event: Event, invocation: Invocation) -> Trace:
        """Begins the span of an invocation, which is the current one from now on.

        It goes on the trace that came with the event; of several messages, each with its own, it links to all.
        """
        origin = self._origin(event)
        parent, links = _came_by(origin.carriers)
        attributes = {
            **self._known,
            "faas.trigger": origin.trigger,
            "faas.invocation_id": invocation.id,
            **origin.attributes,
        }
        kind = KINDS.get(origin.trigger, SpanKind.SERVER)
        span = self._tracer.start_span(self._name, parent, kind, attributes, links)
        trace = invocation.trace = Trace(span, origin.answered)
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

    __slots__ = ("_answered", "_context", "_span", "_token")

    def __init__(self, span: Span, answered: Callable[[], Attributes] | None) -> None:
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
        span.end()


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


def _sent(span: Span, done: asyncio.Future[None]) -> None:
    if done.cancelled():
        span.set_status(StatusCode.ERROR, "the host stops")
    elif (error := done.exception()) is not None:
        _fail(span, error)
    span.end()


# --- inference ---------------------------------------------------------------------------------------------------


class TracedSession:
    """A session whose inferences are spans; all else is the session's own."""

    def __init__(self, session: Session, tracer: api.Tracer) -> None:
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
        span = self._tracer.start_span(f"infer {facts.get('model', '')}".rstrip(), attributes=about)
        try:
            yield
        except BaseException as error:
            _fail(span, error)
            raise
        finally:
            span.end()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


# --- export ------------------------------------------------------------------------------------------------------


class Reason(logging.Handler):
    """Takes what exporters log, a line for each attempt, and keeps the first one of an export: it has the cause."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""
        self._logger = logging.getLogger("opentelemetry.exporter")
        self._before = self._logger.propagate
        self._logger.addHandler(self)
        self._logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        self.text = self.text or record.getMessage().rstrip(".")

    def close(self) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._before
        super().close()


class Outlet(SpanExporter):
    """The library's exporter: what it does not get rid of is counted, and told when that begins and when it ends."""

    def __init__(self, exporter: SpanExporter, metrics: Metrics, reason: Reason) -> None:
        self.exporter = exporter
        self._reason = reason
        self._sent = metrics.counter("edgefn_spans_sent", "Spans that the collector has taken")
        self._lost = metrics.counter("edgefn_spans_lost", "Spans that no collector has", ("cause",))
        self._lock = threading.Lock()
        self._waiting = 0
        self._gone = 0
        self._breaks = 0
        self._is_broken = False

    def enter(self, room: int) -> bool:
        """Whether one more may wait."""
        with self._lock:
            if self._waiting < room:
                self._waiting += 1
                return True
        self.lose("full", 1)
        return False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._lock:
            self._waiting -= len(spans)
        self._reason.text = ""
        result = SpanExportResult.FAILURE
        try:
            result = self.exporter.export(list(map(_clean, spans)))
        finally:
            if result is SpanExportResult.SUCCESS:
                self._sent.inc(len(spans))
                self._tell_mended()
            else:
                self.lose("unsent", len(spans))
                self._tell_broken()
        return result

    def lose(self, cause: str, count: int) -> None:
        """Counts spans that do not leave."""
        self._lost.labels(cause).inc(count)
        with self._lock:
            self._gone += count

    def _tell_broken(self) -> None:
        """Once for each time that it begins, of which the 1st, 2nd, 4th, 8th, ... are told."""
        if self._is_broken:
            return
        self._is_broken = True
        self._breaks += 1
        if self._breaks.bit_count() == 1:
            reason = self._reason.text or "no reason given"
            log.warning("Traces do not leave: %s; lost spans are counted in edgefn_spans_lost_total", reason)

    def _tell_mended(self) -> None:
        if self._is_broken:
            self._is_broken = False
            if self._breaks.bit_count() == 1:
                log.info("Traces leave again; %d spans were lost", self._gone)

    def shutdown(self) -> None:
        self.exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self.exporter.force_flush(timeout_millis)

    def close(self) -> None:
        """Counts what is left as lost."""
        if self._waiting:
            self.lose("stopped", self._waiting)
            if not self._is_broken:
                log.warning("%d spans had not left when the host ended, and are lost", self._waiting)


def _clean(span: ReadableSpan) -> ReadableSpan:
    """The span without secrets: user code, and libraries, write what they like into theirs."""
    status, said = span.status, redact(span.status.description or "")
    attributes, name = _cleaned(span.attributes), redact(span.name)
    events = [(each, _cleaned(each.attributes)) for each in span.events]
    if (
        (name, said) == (span.name, status.description or "")
        and attributes == (span.attributes or {})
        and all(cleaned == (each.attributes or {}) for each, cleaned in events)
    ):
        return span
    return ReadableSpan(
        name,
        span.context,
        span.parent,
        span.resource,
        attributes,
        [SpanEvent(each.name, cleaned, each.timestamp) for each, cleaned in events],
        span.links,
        span.kind,
        status=Status(status.status_code, said) if said else status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _cleaned(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: _without_secrets(value) for name, value in (attributes or {}).items()}


def _without_secrets(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_without_secrets, value))
    return redact(value) if isinstance(value, str) else value


class Queue(SpanProcessor):
    """The library's batches; spans for which there is no room are counted, and hold up nobody."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        room = os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE", "")
        self._room = int(room) if room.isdecimal() else ROOM
        self._batches = BatchSpanProcessor(outlet, max_queue_size=self._room)

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled and self._outlet.enter(self._room):
            self._batches.on_end(span)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._batches.force_flush(timeout_millis)

    def shutdown(self) -> None:
        self._batches.shutdown()

    def close(self) -> None:
        """As ``shutdown``, in a time that has an end: the library's would take half a minute where nobody answers."""
        ending = _begun(self.shutdown)
        ending.join(PATIENCE)
        if ending.is_alive():
            _begun(self._outlet.shutdown)  # which may wait for the export that it is to end
            ending.join(LAST_WISH)
        self._outlet.close()


def _begun(call: Callable[[], None]) -> threading.Thread:
    """A call in a thread that holds up no end of the process."""
    thread = threading.Thread(target=call, name="edgefn-spans", daemon=True)
    thread.start()
    return thread
