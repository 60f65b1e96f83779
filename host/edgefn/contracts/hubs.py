"""Where messages go, and what comes from there: the hub, its twin and direct methods, and brokers."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from edgefn.contracts.messages import EdgeMessage


class HubState(enum.StrEnum):
    """Whether the hub can be reached."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    ONLINE = "online"


@dataclass(frozen=True, slots=True)
class Twin:
    """Desired and reported properties of the module, as the hub has them; both hold ``$version``."""

    desired: Mapping[str, Any] = field(default_factory=dict)
    reported: Mapping[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> int:
        """The ``$version`` of the desired properties, 0 where there is none."""
        return int(self.desired.get("$version", 0))


@dataclass(frozen=True, slots=True)
class MethodRequest:
    """A direct method that was called; ``id`` is the hub's for this call, ``payload`` a JSON value."""

    id: str
    name: str
    payload: Any = None


@dataclass(frozen=True, slots=True)
class MethodReply:
    """The answer to a direct method: a status as in HTTP, and a JSON value."""

    status: int
    payload: Any = None


class HubSink(Protocol):
    """Where a hub delivers what comes in. All of it is called on the event loop that ``start`` was awaited on."""

    async def on_input(self, message: EdgeMessage) -> None:
        """Takes a message for ``message.input_name``; the hub may acknowledge it when this returns, since it is stored
        then. Raises HubError when it can not be stored: the hub must keep it, and deliver it again.
        """

    async def on_method(self, request: MethodRequest) -> MethodReply:
        """Answers a direct method; never raises."""

    async def on_desired(self, patch: Mapping[str, Any]) -> None:
        """Takes a change of the desired properties, with its ``$version``; None in it removes a property."""

    def on_state(self, state: HubState) -> None:
        """Tells that the hub went away or came back; the twin should be read again when it is online."""


class Hub(Protocol):
    """The transport to edgeHub. Holds nothing beyond its window, never retries, has a time-out on everything."""

    @property
    def name(self) -> str: ...

    @property
    def state(self) -> HubState: ...

    @property
    def window(self) -> int:
        """How many messages may be on their way at once."""

    async def start(self, sink: HubSink) -> None:
        """Begins to connect, and keeps connected until ``stop``; returns at once, whether the hub is there or not.

        Raises EdgefnError only for what can not become right by waiting.
        """

    async def stop(self) -> None:
        """Takes nothing in any more, and disconnects; what is on its way fails with ConnectionLost."""

    def check(self, message: EdgeMessage) -> None:
        """Raises TooLarge for a message that this hub never takes; asked before a message is stored."""

    def publish(self, message: EdgeMessage) -> Awaitable[None]:
        """Hands one message of ``message.output_name`` over; the awaitable ends with the hub's acknowledgement.

        Messages leave in the order of the calls. Raises HubError when the hub did not take it: NotConnected (it never
        left), ConnectionLost or AckTimeout (it may have arrived), TooLarge.
        """

    async def twin(self) -> Twin:
        """Desired and reported properties; raises HubError."""

    async def report(self, patch: Mapping[str, Any]) -> None:
        """Changes the reported properties; None removes one. Returns when the hub has it; raises HubError."""

    def status(self) -> Mapping[str, Any]:
        """``name``, ``state``, ``since`` (UTC), ``generation`` (connections so far), ``lost`` (why the last one ended),
        and what else the adapter counts, as JSON values.
        """


class Destination(Protocol):
    """Where messages of the outbox go: the hub, or a broker. Holds nothing beyond its window, and never retries."""

    @property
    def state(self) -> HubState: ...

    @property
    def window(self) -> int:
        """How many messages may be on their way at once."""

    def check(self, message: EdgeMessage) -> None:
        """Raises TooLarge for a message that is never taken; asked before a message is stored."""

    def publish(self, message: EdgeMessage, left: float | None) -> Awaitable[None]:
        """As the hub's; ``left`` are the seconds for which the message is still worth something, None for ever.

        Raises Refused too, for a message that is not taken as it is.
        """
