"""The spine: events, outcomes, and the listeners that hand the one over and await the other."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from edgefn.contracts.messages import Outgoing

NOTHING: Mapping[str, Any] = {}


@dataclass(slots=True)
class Event:
    """One happening handed to ``emit``.

    ``value`` is what the trigger gives (a VideoFrame, an EdgeMessage, ...), ``reason`` the words of the log line,
    ``metadata`` what a trigger knows beside the value.
    """

    value: Any
    reason: str = ""
    metadata: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    settlement: Settlement | None = None
    """Where the event is a stored message: what is to become of it, and of the outputs of its invocation."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a trace says of where an event came from."""

    trigger: str = "other"
    """OpenTelemetry's ``faas.trigger``: ``http``, ``pubsub``, ``timer``, ``datasource`` or ``other``."""
    carriers: Sequence[Mapping[str, str]] = ()
    """What may hold a ``traceparent``: the headers of a request, the properties of each message."""
    attributes: Mapping[str, str | int] = field(default_factory=lambda: NOTHING)
    """What else there is to say, by the names of OpenTelemetry's semantic conventions."""
    answered: Callable[[], Mapping[str, str | int]] | None = None
    """What there is to say when the invocation has ended."""


class Settlement(Protocol):
    """A stored message that is being worked off. What it caused and its own end are one transaction."""

    @property
    def attempts(self) -> int:
        """Attempts that failed so far, also those before the host was started again."""

    def begin(self) -> None:
        """Forgets what an earlier attempt has put: a new one begins."""

    def next_id(self) -> str:
        """The id for the next message that is put: the same whenever the function runs for this event."""

    def put(self, message: Outgoing) -> None:
        """Adds a message that leaves when, and only when, this one is done."""

    def otherwise(self, undo: Callable[[], None]) -> None:
        """What is to be called where what an attempt has put does not leave, before anything is put anew."""

    async def failed(self, error: BaseException, delay: float) -> None:
        """Records an attempt that failed, and that the next one is due in ``delay`` seconds."""


class Status(enum.StrEnum):
    """How an invocation ended."""

    OK = "ok"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


@dataclass(slots=True)
class Outcome:
    """The end of one invocation: the function's return value, or its error; ``duration`` in seconds."""

    status: Status
    value: Any = None
    error: BaseException | None = None
    duration: float = 0.0
    is_open: bool = False
    """Whether it is not the last word: the host stopped, or a thread is held, before all attempts were made."""

    @property
    def ok(self) -> bool:
        return self.status is Status.OK


Emit = Callable[[Event], Awaitable[Outcome]]


class Feed(enum.StrEnum):
    """Where a listener's events come from; the host ends and drains by it."""

    FINITE = "finite"
    """They end by themselves: a clip that is played once."""
    ENDLESS = "endless"
    """They go on for as long as the host runs."""
    INBOX = "inbox"
    """They are messages that other functions may have caused: such a listener is stopped last."""


class Listener(Protocol):
    """The running side of a trigger."""

    @property
    def feed(self) -> Feed: ...

    async def listen(self, emit: Emit) -> None:
        """Hands events to ``emit`` until cancelled; returns only when there can be no further event.

        An exception means that the trigger is broken for now: the host says so and listens again, with back-off.
        A listener that is cancelled stops taking events and waits for the invocations that it started.
        """

    def status(self) -> Mapping[str, Any]:
        """Numbers and states to be shown, as JSON values."""

    # A listener may have ``adopt``, as inputs and outputs; see Input. One of an endless feed may have
    #
    # worked_off() -> Awaitable[bool]
    #     Where events may lie there already, as files do: returns when those have all been taken; whether any was since
    #     the call. The invocations for them may still run.
