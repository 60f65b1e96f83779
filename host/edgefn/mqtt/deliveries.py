"""What the hub sends, and its acknowledgement in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any


class Delivery:
    """One packet that came; ``settle`` it, and the hub may forget it."""

    __slots__ = ("_receipts", "again", "body", "packet_id", "settled", "topic")

    def __init__(self, topic: str, body: bytes, packet_id: int, again: bool, receipts: Receipts) -> None:
        self.topic = topic
        self.body = body
        self.packet_id = packet_id
        self.again = again
        """Whether the hub says that it has sent the packet before."""
        self.settled = False
        self._receipts = receipts

    @property
    def is_repeated(self) -> bool:
        """Whether an equal packet came before it that is not acknowledged yet: the hub has become impatient."""
        return self._receipts.owes_the_like_of(self)

    def settle(self) -> None:
        self.settled = True
        self._receipts.flush()


class Receipts:
    """The acknowledgements that one connection owes, sent in the order in which the packets came.

    edgeHub ignores one that is out of turn, and goes on to wait for it: no later acknowledgement counts any more. So a
    method request that is settled while an input is still being stored has to wait here.
    """

    def __init__(self, send: Callable[[int], object]) -> None:
        self._send = send
        self._owed: deque[Delivery] = deque()

    def owe(self, delivery: Delivery) -> None:
        self._owed.append(delivery)

    def flush(self) -> None:
        while self._owed and self._owed[0].settled:
            self._send(self._owed.popleft().packet_id)

    def owes_the_like_of(self, delivery: Delivery) -> bool:
        return any(
            owed.topic == delivery.topic and owed.body == delivery.body for owed in self._owed if owed is not delivery
        )

    def __len__(self) -> int:
        return len(self._owed)


class Reception:
    """The packets that come by a client of paho, in their order; kept until ``begin``.

    They are handed over by ``deliver``, outside of paho's callbacks, which hold its locks.
    """

    def __init__(self, client: Any, receive: Callable[[Delivery, Any], None]) -> None:
        """``receive`` is given each delivery, and paho's packet."""
        client.on_message = lambda *came: self._came.append(came[2])
        self.receipts = Receipts(lambda packet_id: client.ack(packet_id, 1))
        self._receive = receive
        self._came: list[Any] = []
        self._begun = self._ended = False

    def begin(self) -> None:
        """A session goes on before all is subscribed; its messages wait until then."""
        self._begun = True
        self.deliver()

    def end(self) -> None:
        """Hands over nothing any more."""
        self._ended = True

    def deliver(self) -> None:
        if not self._begun or self._ended:
            return
        came, self._came = self._came, []
        for packet in came:
            try:
                topic = packet.topic
            except UnicodeDecodeError:
                topic = ""
            delivery = Delivery(topic, bytes(packet.payload), packet.mid, packet.dup, self.receipts)
            if packet.qos:
                self.receipts.owe(delivery)
            if not self._ended:
                self._receive(delivery, packet)
