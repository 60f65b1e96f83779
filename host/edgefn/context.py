"""What a function's parameter named ``context`` gives: Azure Functions' Context."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import azure.functions as func
from azure.functions import _abc as contract

from edgefn.function import Function
from edgefn.logs import THREAD_LOCAL, Invocation


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


class RetryContext(contract.RetryContext):
    """Which attempt this is: 0 of 0 for a function without a retry policy."""

    @property
    def retry_count(self) -> int:
        return 0

    @property
    def max_retry_count(self) -> int:
        return 0

    @property
    def exception(self) -> None:  # type: ignore[override]
        return None


class Context(func.Context):
    """The invocation that a function runs in."""

    def __init__(self, invocation: Invocation, function: Function, root: Path) -> None:
        self._invocation = invocation
        self._directory = str((root / function.place.file).parent)
        self._trace = TraceContext(f"00-{random.getrandbits(128):032x}-{random.getrandbits(64):016x}-00")
        self._retry = RetryContext()

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
