"""What waits between the hub and the functions.

The inbox holds messages that came in until the functions that listen to their input have run. It is bounded: a hub
whose message does not fit waits, and acknowledges it only when there is room.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

from edgefn.contracts import EdgeMessage
from edgefn.errors import HubError
from edgefn.metrics import Metrics

log = logging.getLogger("edgefn.spool")

CAPACITY = 1000
PATIENCE = 30.0
"""Seconds that a full input may keep a sender waiting."""


class Subscription:
    """The messages of one input for one function, in the order in which they came."""

    def __init__(self, inbox: Inbox, input_name: str) -> None:
        self.input_name = input_name
        self._inbox = inbox
        self._waiting: deque[EdgeMessage] = deque()
        self._running = 0
        self._changed = asyncio.Condition()

    async def take(self, limit: int = 1) -> list[EdgeMessage]:
        """The next messages, at most ``limit``, waiting for the first; ``done`` must follow."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._waiting)
            taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
            self._running += len(taken)
            self._changed.notify_all()
            return taken

    async def done(self, messages: list[EdgeMessage]) -> None:
        """Tells that the function has run for messages that were taken."""
        async with self._changed:
            self._running -= len(messages)
            self._changed.notify_all()

    async def put(self, message: EdgeMessage) -> None:
        async with self._changed:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._changed.wait_for(lambda: len(self._waiting) < CAPACITY)
            except TimeoutError:
                raise HubError(
                    f"input '{self.input_name}' is full: {CAPACITY} messages wait for its function, and none was taken "
                    f"for {PATIENCE:.0f} s; a route that leads in a circle, or a function that is too slow"
                ) from None
            self._waiting.append(message)
            self._changed.notify_all()

    async def idle(self) -> None:
        """Returns when no message waits or runs."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._waiting and not self._running)

    def close(self) -> None:
        self._inbox.remove(self)

    @property
    def depth(self) -> int:
        return len(self._waiting)


class Inbox:
    """The messages that came in, by input; names of inputs match without regard to case, as in edgeHub's binding."""

    def __init__(self, metrics: Metrics) -> None:
        self._subscriptions: dict[str, list[Subscription]] = {}
        self._unheard: set[str] = set()
        self._received = metrics.counter("edgefn_inbox_received", "Messages that came in", ("input",))
        self._dropped = metrics.counter("edgefn_inbox_unheard", "Messages for inputs without a function", ("input",))

    def subscribe(self, input_name: str) -> Subscription:
        subscription = Subscription(self, input_name)
        self._subscriptions.setdefault(input_name.lower(), []).append(subscription)
        return subscription

    def remove(self, subscription: Subscription) -> None:
        self._subscriptions[subscription.input_name.lower()].remove(subscription)

    async def on_input(self, message: EdgeMessage) -> None:
        """Takes a message for every function on its input, and for those on ``*``; drops it when there is none."""
        name = message.input_name.lower()
        listening = [*self._subscriptions.get(name, ()), *self._subscriptions.get("*", ())]
        self._received.labels(message.input_name).inc()
        if not listening:
            self._unheard_of(message.input_name)
        for subscription in listening:
            await subscription.put(message)

    def _unheard_of(self, name: str) -> None:
        self._dropped.labels(name).inc()
        if name not in self._unheard:
            self._unheard.add(name)
            heard = ", ".join(sorted(self._subscriptions)) or "none"
            log.warning("Messages for input '%s' are dropped: no function listens to it; inputs heard: %s", name, heard)

    async def idle(self) -> None:
        """Returns when all messages that came in have been worked off."""
        pending = [s for several in self._subscriptions.values() for s in several]
        while any(s.depth or s._running for s in pending):
            for subscription in pending:
                await subscription.idle()

    def status(self) -> Mapping[str, Any]:
        return {name: sum(s.depth for s in several) for name, several in self._subscriptions.items()}
