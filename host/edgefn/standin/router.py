"""Where each message goes: upstream, into the queue of a module, or nowhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import orjson

from edgefn.routes import Delivery, ModuleInput, Routes
from edgefn.standin.messages import LARGEST_MESSAGE, Message
from edgefn.standin.store import Queued, Store, Upstream
from edgefn.standin.topics import joined_properties

log = logging.getLogger("edgefn.standin")

DEFAULT_TIME_TO_LIVE = 7200.0
"""Seconds that edgeHub keeps a message when the manifest does not say."""
READABLE = ("utf-8", "utf-16", "utf-32")
"""Content encodings of bodies that edgeHub looks into."""
MOST_SAID = 1000
"""Sources whose dropped messages are said to be; outputs are named by the senders."""


class Router:
    """Writes each message to the store, for every sink that the routes give it; ``wake`` is told of a module's new."""

    def __init__(self, routes: Routes, time_to_live: float | None, store: Store, wake: Callable[[str], None]) -> None:
        self._routes = routes
        self._time_to_live = time_to_live
        self._store = store
        self._wake = wake
        self._said: set[tuple[str, str]] = set()
        self._looked_at: set[str] = set()
        self._tells = log.isEnabledFor(logging.DEBUG)

    def take(self, message: Message) -> None:
        """One that is too large, or that no route takes, is dropped and counted, as edgeHub does."""
        self._store.counters["received"] += 1
        if message.size > LARGEST_MESSAGE:
            self.drop("too_large", message.source, f"{message.size} bytes, edgeHub takes at most {LARGEST_MESSAGE}")
            return
        if message.source not in self._looked_at:
            self._look_at(message)
        deliveries = self._routes.sinks_for(message)
        if not deliveries:
            self._store.counters["dropped.no_route"] += 1
        if self._tells:
            ways = ", ".join(f"{delivery.sink} by {delivery.route}" for delivery in deliveries) or "nowhere"
            log.debug("%s: %d bytes -> %s", message.source, len(message.body), ways)
        for delivery in deliveries:
            self._deliver(message, delivery)

    def _look_at(self, message: Message) -> None:
        """What the first message of a source tells about the routes."""
        if len(self._looked_at) < MOST_SAID:
            self._looked_at.add(message.source)
        takers = [route for route in self._routes if route.takes(message.source)]
        if not takers:
            log.warning("%s: no route takes its messages; they are acknowledged and dropped", message.source)
        system = message.system_properties
        if system.get("contentType") == "application/json" and system.get("contentEncoding") in READABLE:
            return
        for route in takers:
            if route.condition is not None and "$body" in route.condition.text.lower():
                text = "%s: route %s looks at $body, but its messages do not say contentType application/json and "
                log.warning(text + "contentEncoding utf-8, so the condition never holds", message.source, route.name)

    def notify(self, message: Message) -> None:
        """What the hub itself tells of: for routes that want it."""
        for delivery in self._routes.sinks_for(message):
            self._deliver(message, delivery)

    def drop(self, reason: str, source: str, text: str) -> None:
        """Counts; says it once for each source and reason."""
        self._store.counters[f"dropped.{reason}"] += 1
        said = (source, reason)
        if said not in self._said and len(self._said) < MOST_SAID:
            self._said.add(said)
            log.warning("%s: a message is dropped: %s (said once)", source, text)

    def queue(self, message: Message, sink: ModuleInput, priority: int, time_to_live: float | None) -> None:
        """Puts the message into the queue of a module, known or not."""
        now = time.time()
        seconds = self._time_to_live if time_to_live is None else time_to_live
        expires = None if seconds is None else now + seconds
        properties = joined_properties(message.properties, message.system_properties)
        self._store.add_queued(Queued(sink.module, sink.input, priority, expires, now, properties, message.body))
        self._wake(sink.module)

    def _deliver(self, message: Message, delivery: Delivery) -> None:
        if isinstance(delivery.sink, ModuleInput):
            self.queue(message, delivery.sink, delivery.priority, delivery.time_to_live)
        else:
            self._to_upstream(message)

    def _to_upstream(self, message: Message) -> None:
        system = message.system_properties
        self._store.add_upstream(
            Upstream(
                time.time(),
                message.device,
                message.module,
                system.get("outputName", ""),
                system.get("messageId", ""),
                system.get("contentType", ""),
                orjson.dumps(message.properties).decode(),
                orjson.dumps(system).decode(),
                message.body,
                message.size,
            )
        )
