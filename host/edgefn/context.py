"""What a function's parameter named ``context`` gives: Azure Functions' Context."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import azure.functions as func
from azure.functions import _abc as contract

from edgefn.function import Function
from edgefn.logs import THREAD_LOCAL, Invocation, user_traceback


class TraceContext(contract.TraceContext):
    """The W3C trace context of an invocation; names in both spellings that Azure's worker knows."""

    def __init__(self, trace_parent: str, trace_state: str = "") -> None:
        self._parent = trace_parent
        self._state = trace_state
        self._attributes: dict[str, str] = {}

    @property
    def trace_parent(self) -> str:
        return self._parent

    @property
    def trace_state(self) -> str:
        return self._state

    @property
    def attributes(self) -> dict[str, str]:
        return self._attributes

    Traceparent = trace_parent
    Tracestate = trace_state
    Attributes = attributes


def _trace_context(invocation: Invocation) -> TraceContext:
    """That of the invocation's span; without traces one of its own, of which nothing is recorded."""
    if invocation.trace is not None:
        carrier = invocation.trace.carrier()
        return TraceContext(carrier.get("traceparent", ""), carrier.get("tracestate", ""))
    return TraceContext(f"00-{random.getrandbits(128):032x}-{random.getrandbits(64):016x}-00")


class AttemptError:
    """What an attempt failed with, as Azure's worker hands it over."""

    def __init__(self, error: BaseException) -> None:
        self.source = error.__traceback__.tb_frame.f_code.co_filename if error.__traceback__ else ""
        self.message = str(error)
        self.stack_trace = user_traceback(error)


class RetryContext(contract.RetryContext):
    """Which attempt this is, out of how many: 0 of 0 for a function without a retry policy."""

    def __init__(self, invocation: Invocation, function: Function) -> None:
        self._count = invocation.retry_count
        self._max = function.retry.max_retry_count if function.retry else 0
        self._error = AttemptError(invocation.error) if invocation.error else None

    @property
    def retry_count(self) -> int:
        return self._count

    @property
    def max_retry_count(self) -> int:
        return self._max

    @property
    def exception(self) -> AttemptError | None:  # type: ignore[override]
        return self._error


class Context(func.Context):
    """The invocation that a function runs in."""

    def __init__(self, invocation: Invocation, function: Function, root: Path) -> None:
        self._invocation = invocation
        self._directory = str((root / function.place.file).parent)
        self._trace = _trace_context(invocation)
        self._retry = RetryContext(invocation, function)

    @property
    def invocation_id(self) -> str:
        return self._invocation.id

    @property
    def function_name(self) -> str:
        return self._invocation.function

    @property
    def function_directory(self) -> str:
        return self._directory

    @property
    def thread_local_storage(self) -> threading.local:  # type: ignore[override]  # theirs says that it is a class
        return THREAD_LOCAL

    @property
    def trace_context(self) -> TraceContext:
        return self._trace

    @property
    def retry_context(self) -> RetryContext:
        return self._retry
