"""What came of a call: value, outputs, response, log lines."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson

from edgefn.contracts import EdgeMessage, MethodReply, Outcome
from edgefn.errors import EdgefnError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Response:
    """What the client of an HTTP function gets; names of headers are in small letters."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        """The body as a JSON value; raises ValueError when it is none."""
        return orjson.loads(self.body)


@dataclass(slots=True)
class Collected:
    """What one invocation gave to its outputs, by their parameters."""

    given: dict[str, list[Any]] = field(default_factory=dict)
    """JSON values, one for each message, before an interval or onChange held any back."""
    outputs: dict[str, list[Any]] = field(default_factory=dict)
    """Those of them that left."""
    messages: list[EdgeMessage] = field(default_factory=list)
    """The messages that left, with properties and ids, in their order."""
    raw: dict[str, Any] = field(default_factory=dict)
    """As the outputs took it."""


class Result:
    """One invocation. Of one that failed, ``value``, ``given``, ``outputs`` and ``messages`` raise what it raised."""

    def __init__(
        self,
        function: str,
        outcome: Outcome,
        collected: Collected,
        logs: list[logging.LogRecord],
        *,
        response: Response | None = None,
        reply: MethodReply | None = None,
    ) -> None:
        self.function = function
        self.outcome = outcome
        """ok, failed or timed out, with the value or the error, and how long it took."""
        self.logs = logs
        """What the function wrote to the log, from INFO on: ``record.getMessage()``, ``record.levelname``."""
        self._collected = collected
        self._response = response
        self._reply = reply

    @property
    def value(self) -> Any:
        """What the function returned."""
        return self._good(self.outcome.value)

    @property
    def outputs(self) -> Mapping[str, list[Any]]:
        """What left by each output, by its parameter or ``$return``: a JSON value for each message.

        Empty for an output that was not set, or whose ``interval``, ``on_change`` or ``rate`` held the message back.
        """
        return self._good(self._collected).outputs

    @property
    def given(self) -> Mapping[str, list[Any]]:
        """As ``outputs``, with what was held back."""
        return self._good(self._collected).given

    @property
    def messages(self) -> list[EdgeMessage]:
        """The messages that left, in their order, with their properties."""
        return self._good(self._collected).messages

    @property
    def raw(self) -> Mapping[str, Any]:
        """What each output made of what it was given."""
        return self._collected.raw

    @property
    def response(self) -> Response:
        """What the client gets: a 500 where the function failed. Raises EdgefnError for other than HTTP functions."""
        return self._answer(self._response, "response", "httpTrigger")

    @property
    def reply(self) -> MethodReply:
        """Status and payload of the answer to a direct method."""
        return self._answer(self._reply, "reply", "directMethodTrigger")

    def _good(self, wanted: T) -> T:
        if self.outcome.error is not None:
            raise self.outcome.error
        return wanted

    def _answer(self, found: T | None, name: str, trigger: str) -> T:
        if found is None:
            raise EdgefnError(f"function '{self.function}' has no {name}: its trigger is no {trigger}; look at outputs")
        return found

    def __repr__(self) -> str:
        if self.outcome.error is not None:
            return f"<{self.function} {self.outcome.status}: {self.outcome.error!r}>"
        return f"<{self.function} ok: {self.outcome.value!r}, outputs {self._collected.outputs!r}>"
