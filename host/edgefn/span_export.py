"""How spans leave: a queue with a size, the library's batches and exporter, and the count of what is lost.

span that has ended -> Queue -> the library's batches, in a thread of its own -> Outlet -> the library's exporter
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Status

from edgefn.metrics import Metrics
from edgefn.redaction import redact

log = logging.getLogger("edgefn.traces")

ROOM = 2048
"""Spans that wait for their export, unless ``OTEL_BSP_MAX_QUEUE_SIZE`` says otherwise."""
PATIENCE, LAST_WISH = 2.0, 1.0
"""Seconds that what is left gets to leave at the end, and the exporter to give up then."""


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
