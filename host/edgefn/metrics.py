"""Counters of the host, in Prometheus' terms, and the short memory that the status line and the page show."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from edgefn.contracts import Outcome, Status
from edgefn.redaction import redact

RECENT = 512
TOLD = 20
"""Failures whose tracebacks are kept."""
ENDED = 20
"""Invocations that are listed."""
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class FunctionMetrics:
    """The figures of one function."""

    def __init__(self, name: str, metrics: Metrics) -> None:
        self._count = {status: metrics.invocations.labels(name, status.value) for status in Status}
        self._duration = metrics.duration.labels(name)
        self._recent: deque[tuple[float, float]] = deque(maxlen=RECENT)
        self.counts = dict.fromkeys(Status, 0)
        self.ended: deque[tuple[str, float, float, Status]] = deque(maxlen=ENDED)
        """The newest invocations: id, end in seconds since the epoch, duration, status."""
        self.failures: deque[tuple[str, str]] = deque(maxlen=TOLD)
        """The newest that failed: id, and what the log says of it."""
        self._last_error = ""

    @property
    def last_error(self) -> str:
        """What the function failed with last, without secrets; empty when it never has."""
        return self._last_error

    @last_error.setter
    def last_error(self, text: str) -> None:
        self._last_error = redact(text)

    def record(self, outcome: Outcome, invocation: str = "") -> None:
        """Counts one invocation; called on the event loop only."""
        self.counts[outcome.status] += 1
        self._count[outcome.status].inc()
        self._duration.observe(outcome.duration)
        self._recent.append((time.monotonic(), outcome.duration))
        if invocation:
            self.ended.append((invocation, time.time(), outcome.duration, outcome.status))

    def note(self, invocation: str, text: str) -> None:
        """Keeps what the log says of an invocation that failed; the last line of it is the last error."""
        self.last_error = text.splitlines()[-1] if "\n" in text else text
        self.failures.append((invocation, text))

    def rate(self, window: float = 5.0) -> float:
        """Invocations a second over the last ``window`` seconds."""
        now = time.monotonic()
        ended = [at for at, _ in self._recent if now - at <= window]
        if len(ended) < 2:
            return len(ended) / window
        return (len(ended) - 1) / max(now - ended[0], 1e-9)

    def percentile(self, share: float) -> float:
        """The duration, in seconds, that ``share`` (0.0 to 1.0) of the last 512 invocations did not exceed."""
        durations = sorted(duration for _, duration in self._recent)
        if not durations:
            return 0.0
        return durations[min(len(durations) - 1, math.ceil(share * len(durations)) - 1)] if share > 0 else durations[0]

    @property
    def errors(self) -> int:
        """Invocations that failed or timed out."""
        return self.counts[Status.FAILED] + self.counts[Status.TIMED_OUT]

    def newest(self, window: float) -> tuple[float, float]:
        """The median and the 99th percentile, in seconds, of the invocations of the last ``window`` seconds."""
        now = time.monotonic()
        durations = sorted(duration for at, duration in self._recent if now - at <= window)
        if not durations:
            return 0.0, 0.0
        return durations[(len(durations) - 1) // 2], durations[math.ceil(0.99 * len(durations)) - 1]

    def status(self) -> dict[str, Any]:
        return {
            "invocations": sum(self.counts.values()),
            "failed": self.counts[Status.FAILED],
            "timed_out": self.counts[Status.TIMED_OUT],
            "rate": round(self.rate(), 2),
            "p50_ms": round(self.percentile(0.5) * 1000, 2),
            "p99_ms": round(self.percentile(0.99) * 1000, 2),
            "last_error": self.last_error,
        }


class Metrics:
    """All counters of one host, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self.invocations = self.counter("edgefn_invocations", "Invocations by outcome", ("function", "status"))
        self.duration = self.histogram("edgefn_invocation_seconds", "Time an invocation took", ("function",))
        self._functions: dict[str, FunctionMetrics] = {}

    def function(self, name: str) -> FunctionMetrics:
        """The figures of the function of that name, the same for each call."""
        return self._functions.setdefault(name, FunctionMetrics(name, self))

    def counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        """The counter of that name, the same for each call."""
        if name not in self._counters:
            self._counters[name] = Counter(name, text, labels, registry=self.registry)
        return self._counters[name]

    def gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        """The gauge of that name, the same for each call."""
        if name not in self._gauges:
            self._gauges[name] = Gauge(name, text, labels, registry=self.registry)
        return self._gauges[name]

    def histogram(self, name: str, text: str, labels: Sequence[str] = ()) -> Histogram:
        """The histogram of seconds of that name, the same for each call."""
        if name not in self._histograms:
            self._histograms[name] = Histogram(name, text, labels, buckets=BUCKETS, registry=self.registry)
        return self._histograms[name]
