"""Messages of one broker on their way into the inbox: in order, several at once, acknowledged when stored."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import Counter, deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from edgefn.errors import SpoolError
from edgefn.metrics import Metrics
from edgefn.mqtt.faults import Cause, Fault
from edgefn.spool import Inbox, Subscription
from edgefn.spool.inbox import Coming, Delivered
from edgefn.spool.records import fingerprint

if TYPE_CHECKING:
    from edgefn.mqtt.connection import Came, Connection

log = logging.getLogger("edgefn.mqtt")

MOST_WAITING = 1000
"""Messages that wait to be stored; more come only where nothing is acknowledged. Those that may be lost are dropped
then, for others the connection is given up, and made again.
"""
TOGETHER = 256 * 1024
"""Bytes of messages that are stored together; more of them might never have room together."""
LEAST_KNOWN = 256
"""Messages that are known again at least: mosquitto 2.0.11 sends more without acknowledgement than it was allowed."""
TRIES = 3
"""Times that a message may break the taking of messages, before it is given up: no other would be taken any more."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 3.2


def known_again(receive_maximum: int) -> int:
    """How many messages a broker may deliver again that may send so many before the first is acknowledged."""
    return max(LEAST_KNOWN, 4 * receive_maximum)


def dropped_counter(metrics: Metrics) -> Any:
    text = "Messages of a broker that were not kept, by cause"
    return metrics.counter("edgefn_mqtt_dropped", text, ("broker", "cause"))


class _Waiting(NamedTuple):
    connection: Connection
    came: Came
    listening: Sequence[Subscription]


class Intake:
    """What can not be stored stays unacknowledged and is tried again; the broker sends only so many meanwhile."""

    def __init__(self, inbox: Inbox, source: str, receive_maximum: int, dropped: Any) -> None:
        self._inbox = inbox
        self._source = source
        self._at_once = receive_maximum
        self._known = known_again(receive_maximum)
        self._most = max(MOST_WAITING, self._known)
        self._left: Connection | None = None
        """The connection that is given up, since more came by it than there is room for."""
        self._dropped = dropped
        self.counts: Counter[str] = Counter()
        """Messages that were not kept, by cause."""
        self._waiting: deque[_Waiting] = deque()
        self._came = asyncio.Event()
        self._failed = 0
        self._in_hand: list[_Waiting] = []
        self._alone = 0
        """How many of the next messages are taken one by one, since one of them has broken the taking."""
        self._breaks = 0

    def put(self, connection: Connection, came: Came, listening: Sequence[Subscription]) -> None:
        """Takes a message for functions; one for nobody is acknowledged and counted."""
        if not listening:
            came.delivery.settle()
            self._drop("unheard")
        elif connection is self._left:
            # what came after a message that was not taken must not overtake it; all of it comes again
            if not came.message.qos:
                self._drop("full")
        elif not came.message.qos and len(self._waiting) >= MOST_WAITING:
            self._drop("full")
        elif len(self._waiting) >= self._most:
            self._left = connection
            said = (
                f"{self._source} has sent {self._most} messages without acknowledgement; {self._at_once} were allowed"
            )
            connection.ask_to_leave(Fault(Cause.INPUTS, said))
        else:
            self._waiting.append(_Waiting(connection, came, listening))
            self._came.set()

    async def run(self) -> None:
        """Stores messages until it is cancelled; called again after a fault, it goes on with those it had in hand."""
        self._take_back()
        pause = FIRST_PAUSE
        while True:
            batch = self._in_hand = self._next()
            if not batch:
                self._came.clear()
                await self._came.wait()
                continue
            try:
                await self._store(batch)
            except SpoolError as error:
                self._in_hand = []
                self._waiting.extendleft(reversed(batch))
                self._say_failed(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            self._in_hand, self._breaks, self._alone = [], 0, max(0, self._alone - len(batch))
            for one in batch:
                one.came.delivery.settle()

    def _take_back(self) -> None:
        """What was in hand when the taking broke comes again, but for a message that it breaks on again and again."""
        batch, self._in_hand = self._in_hand, []
        self._breaks += len(batch) == 1
        if len(batch) == 1 and self._breaks >= TRIES:
            self._breaks = 0
            text = "%s: a message of topic %.200r is given up: the host has failed on it %d times"
            log.error(text, self._source, batch[0].came.message.topic, TRIES)
            self._drop("fault")
            batch[0].came.delivery.settle()
            return
        self._alone = max(self._alone, len(batch))
        self._waiting.extendleft(reversed(batch))

    def _next(self) -> list[_Waiting]:
        """What waits of one connection; what came by one that has ended comes again, unless it was not to."""
        batch: list[_Waiting] = []
        size = 0
        most = 1 if self._alone else self._at_once
        while self._waiting and len(batch) < most and size < TOGETHER:
            one = self._waiting[0]
            if one.connection.lost.done() and one.came.message.qos:
                self._waiting.popleft()
                continue
            if batch and one.connection is not batch[0].connection:
                break
            batch.append(self._waiting.popleft())
            size += len(one.came.message.body)
        return batch

    async def _store(self, batch: Sequence[_Waiting]) -> None:
        by = Delivered(self._source, batch[0].connection.number, self._known)
        await self._inbox.keep([_coming(one) for one in batch], by)

    def _say_failed(self, error: SpoolError) -> None:
        """The first, second, fourth, eighth, ... time."""
        self._failed += 1
        if self._failed.bit_count() == 1:
            text = "%s: messages are not taken, and are tried again (%d times by now): %s"
            log.warning(text, self._source, self._failed, error)

    def _drop(self, cause: str) -> None:
        self.counts[cause] += 1
        self._dropped.labels(self._source, cause).inc()


def _coming(one: _Waiting) -> Coming:
    """By its id a message is known whoever sends it again; without one by its packet, where the broker says so.

    What a broker sends for each of several subscriptions are several messages.
    """
    message, delivery = one.came.message, one.came.delivery
    if message.message_id:
        subscriptions = zlib.crc32(repr(sorted(one.came.identifiers)).encode())
        return Coming(message, one.listening, fingerprint(message, subscriptions.to_bytes(4, "big")))
    if not message.qos:
        return Coming(message, one.listening)
    mark = fingerprint(message, delivery.packet_id.to_bytes(2, "big"))
    return Coming(message, one.listening, mark, one.came.may_be_again)
