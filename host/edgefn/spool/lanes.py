"""What waits in the outbox for one destination: the hub, or a broker. Each has its order, and a sender of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from edgefn.contracts import Destination, EdgeMessage, Hub, HubState
from edgefn.spool.tail import Tail

HUB = ""
"""The name of the hub among the destinations."""


@dataclass(slots=True)
class Waiting:
    """A stored message, in the hands of a sender."""

    id: int
    output: str
    size: int
    expires: float
    message: EdgeMessage
    destination: str = HUB
    has_ttl: bool = False
    """Whether it was declared when it expires; else it does since the spool keeps nothing for longer."""


class ToHub:
    """The hub as a destination."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    @property
    def state(self) -> HubState:
        return self._hub.state

    @property
    def window(self) -> int:
        return self._hub.window

    def check(self, message: EdgeMessage) -> None:
        self._hub.check(message)

    def publish(self, message: EdgeMessage, left: float | None) -> Awaitable[None]:
        return self._hub.publish(message)


class Lane:
    """The messages of one destination."""

    def __init__(self, destination: Destination, read: Callable[[int, int], Awaitable[Sequence[Waiting]]]) -> None:
        self.destination = destination
        self.tail: Tail[Waiting] = Tail(read)
        self.flying: set[asyncio.Future[None]] = set()
        """Messages on their way that are not stored."""
