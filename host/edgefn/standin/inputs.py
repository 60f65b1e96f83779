"""Messages to the inputs of one module: one at a time, all inputs together, until it is acknowledged."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from edgefn.standin import packets, topics
from edgefn.standin.store import Store, Waiting

if TYPE_CHECKING:
    from edgefn.standin.clients import Client

RETRY_AFTER = 1.0
"""Seconds until another try, where the store could not be written."""


class Inputs:
    """Sends the next message when the module is there, has subscribed, and owes no acknowledgement."""

    def __init__(self, client: Client, store: Store, ack_timeout: float) -> None:
        self._client = client
        self._store = store
        self._ack_timeout = ack_timeout
        self._sent: Waiting | None = None
        self._packet_id = 0
        self._timer: asyncio.TimerHandle | None = None
        self._before = 0

    def pump(self) -> None:
        """Sends the next one, if it is time for it."""
        client = self._client
        if self._sent is not None or client.link is None:
            return
        qos = client.granted(client.inputs_filter)
        if qos is None or not client.identity.module:
            return
        if (waiting := self._next()) is not None:
            self._send(waiting, qos)
            if not qos:
                self._again_in(0.0 if self._finish(waiting) else RETRY_AFTER)

    def acknowledged(self, packet_id: int) -> None:
        if self._sent is None or packet_id != self._packet_id:
            return
        sent = self._sent
        self.reset()
        if self._finish(sent):
            self.pump()
        else:
            self._again_in(RETRY_AFTER)

    def reset(self) -> None:
        """Nothing is on the way: the connection has ended, or the acknowledgement came."""
        self._sent = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> Waiting | None:
        """The next message that has not expired."""
        while (waiting := self._store.next_queued(self._client.identity.module)) is not None:
            if waiting.expires is None or waiting.expires > time.time():
                return waiting
            if not self._store.remove_queued(waiting.number):
                self._again_in(RETRY_AFTER)
                return None
            self._store.counters["dropped.ttl_expiry"] += 1
        return None

    def _send(self, waiting: Waiting, qos: int) -> None:
        identity = self._client.identity
        topic = topics.input_topic(identity.device, identity.module, waiting.input, waiting.properties)
        again = waiting.number == self._before
        self._before = waiting.number
        self._packet_id = self._client.next_packet_id() if qos else 0
        assert self._client.link is not None
        self._client.link.send(packets.publish(topic, waiting.body, packet_id=self._packet_id, again=again))
        self._store.counters["redelivered" if again else "sent"] += 1
        if qos:
            self._sent = waiting
            self._again_in(self._ack_timeout)

    def _again_in(self, seconds: float) -> None:
        """Looks again, also for the message that is on the way: it was not acknowledged in time."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look_again)

    def _look_again(self) -> None:
        self.reset()
        self.pump()

    def _finish(self, waiting: Waiting) -> bool:
        """Gives whether the message is out of the way; else it comes again, as after any lost acknowledgement."""
        removed = self._store.remove_queued(waiting.number)
        self._store.counters["delivered"] += removed
        return removed
