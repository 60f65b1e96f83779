"""One connection to a broker by MQTT 5, from its CONNECT to its end. What is on it dies with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from paho.mqtt import MQTTException
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from edgefn.contracts import EdgeMessage
from edgefn.errors import HubError, NotConnected, Refused, TooLarge
from edgefn.mqtt.deliveries import Delivery, Reception
from edgefn.mqtt.driving import Drive
from edgefn.mqtt.faults import Cause, Fault
from edgefn.mqtt.flights import Flights, failed
from edgefn.mqtt.packets import LARGEST, Publication, incoming
from edgefn.mqtt.topics import Wanted, identifier

FAILURE = 0x80
"""MQTT's reason codes from here on are refusals."""
SERVER_GONE = (0x88, 0x89, 0x8B, 0x98, 0x9C, 0x9D, 0x9F)
"""CONNACK: not available, busy, shutting down, administrative, elsewhere, rate: it is not the host's fault."""
BANNED, TAKEN_OVER, TOO_LARGE, KEEP_ALIVE = 0x8A, 0x8E, 0x95, 0x8D
NOT_AS_IT_IS = (0x87, 0x90, 0x99)
"""PUBACK: not authorised, a topic that is not taken, a body that is not as it says."""
ALWAYS, IF_NEW, NEVER = 0, 1, 2
"""When a subscription brings the messages that the broker retains."""


class Came(NamedTuple):
    """What came: the message, the subscriptions that it is for where the broker tells, and its acknowledgement."""

    message: EdgeMessage
    identifiers: tuple[int, ...]
    delivery: Delivery
    may_be_again: bool


Receive = Callable[["Connection", Came], None]


class Connection:
    """All methods and callbacks belong to the event loop that it is made on."""

    def __init__(self, number: int, client: Client, who: str, receive: Receive, *, ack_timeout: float) -> None:
        self.number = number
        """No two connections of a link have the same."""
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[Fault] = self._loop.create_future()
        """Why it ended, as soon as it has."""
        self.unwanted: asyncio.Future[Fault] = self._loop.create_future()
        """Why it should be ended, when somebody wants that."""
        self.is_resumed = False
        """Whether the broker knew the host, and kept messages for it."""
        self.granted: dict[str, Wanted] = {}
        """The subscriptions that the broker has confirmed on this connection, by their filters."""
        self.receive_maximum = 65_535
        self.largest = LARGEST
        self._has_identifiers = True
        self._client = client
        self._who = who
        self._ack_timeout = ack_timeout
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._asked: dict[int, asyncio.Future[int]] = {}
        self._reception = Reception(client, lambda delivery, packet: receive(self, _came(packet, delivery)))
        self._drive = Drive(client, self._reception.deliver, self._broke)
        self._flights = Flights(who, ack_timeout, self._drive.read, self._overdue)
        self._adopt()

    # --- life ----------------------------------------------------------------------------------------------------

    async def opened(self, within: float) -> None:
        """Returns when the broker has taken the connection; raises Fault."""
        try:
            async with asyncio.timeout(within):
                await asyncio.shield(self._connected)
        except TimeoutError:
            said = f"the broker did not answer CONNECT within {within:.1f} s; it should, and is asked again"
            self.end(Fault(Cause.SILENT, said))
        except Fault:
            pass
        if self.lost.done():
            raise self.lost.result()

    def begin(self) -> None:
        """Hands over what came and comes."""
        self._reception.begin()

    async def quiet(self) -> None:
        """Returns when no message is on its way any more, or the connection has ended."""
        await self._flights.quiet(self.lost)

    def ask_to_leave(self, fault: Fault) -> None:
        """For those that can not go on with it, but do not own it."""
        if not self.unwanted.done():
            self.unwanted.set_result(fault)

    def end(self, fault: Fault) -> None:
        """Ends it at once: whatever is on its way fails."""
        if self.lost.done():
            return
        self.lost.set_result(fault)
        asked: list[asyncio.Future[Any]] = [self._connected, *self._asked.values()]
        for waiting in asked:
            if not waiting.done():
                waiting.set_exception(fault)
                waiting.exception()
        self._flights.fail(fault)
        self._reception.end()
        self._drive.end()

    # --- subscriptions -------------------------------------------------------------------------------------------

    async def subscribe(self, wanted: Wanted) -> str:
        """Asks for a subscription; the broker's words where it refuses, else nothing. Raises Fault where it ended."""
        properties = None
        if self._has_identifiers:
            properties = Properties(PacketTypes.SUBSCRIBE)  # type: ignore[no-untyped-call]
            properties.SubscriptionIdentifier = identifier(wanted.filter)
        options = SubscribeOptions(
            qos=wanted.qos, retainAsPublished=True, retainHandling=IF_NEW if wanted.retained else NEVER
        )
        _, packet_id = self._client.subscribe(wanted.filter, options=options, properties=properties)
        return await self._answer(packet_id, "SUBSCRIBE")

    async def unsubscribe(self, text: str) -> str:
        """Gives a subscription up; as ``subscribe``."""
        _, packet_id = self._client.unsubscribe(text)
        return await self._answer(packet_id, "UNSUBSCRIBE")

    async def _answer(self, packet_id: int | None, asked: str) -> str:
        if packet_id is None or self.lost.done():
            raise self.lost.result() if self.lost.done() else Fault(Cause.CLOSED, "the connection has just ended")
        answer = self._asked[packet_id] = self._loop.create_future()
        try:
            async with asyncio.timeout(self._ack_timeout):
                code = await asyncio.shield(answer)
        except TimeoutError:
            fault = Fault(Cause.SILENT, f"the broker did not answer {asked} within {self._ack_timeout:g} s; it should")
            self.end(fault)
            raise fault from None
        finally:
            self._asked.pop(packet_id, None)
        return f"{code:#x}, {_words(code)}" if code >= FAILURE else ""

    # --- messages that leave -------------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Messages that are not acknowledged yet."""
        return len(self._flights)

    def publish(self, packet: Publication) -> asyncio.Future[None]:
        """Sends a message; the future ends with its acknowledgement, or raises HubError. With QoS 0 it ends at once."""
        if self.lost.done():
            return failed(NotConnected(f"{self._who}: the message did not leave: {self.lost.result()}"))
        try:
            properties = _properties_of(packet)
            info = self._client.publish(packet.topic, packet.body, packet.qos, packet.retain, properties)
        except (ValueError, MQTTException) as error:
            return failed(Refused(f"{self._who}: a message for topic '{packet.topic[:100]}' can not be sent: {error}"))
        if packet.qos or info.rc:
            return self._flights.launch(info)
        left: asyncio.Future[None] = self._loop.create_future()
        left.set_result(None)
        return left

    def _overdue(self) -> None:
        said = (
            f"no acknowledgement within {self._ack_timeout:g} s; the broker should give one, and is connected to anew"
        )
        self.end(Fault(Cause.UNACKNOWLEDGED, said))

    # --- paho ----------------------------------------------------------------------------------------------------

    def _adopt(self) -> None:
        client = self._client
        if client.socket() is None:
            self.end(Fault(Cause.CLOSED, "the broker closed the connection before it answered; it should be running"))
            return
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_answer
        client.on_unsubscribe = self._on_answer
        self._drive.begin()

    def _broke(self, said: str) -> None:
        self.end(Fault(Cause.CLIENT, f"{said}; the broker should speak MQTT 5"))

    def _on_connect(self, client: Client, userdata: Any, flags: Any, code: Any, properties: Properties | None) -> None:
        if code.value >= FAILURE:
            self.end(_refused(code.value, _text(properties, "ReasonString")))
            return
        self.is_resumed = bool(flags.session_present)
        self.receive_maximum = int(getattr(properties, "ReceiveMaximum", self.receive_maximum))
        self.largest = int(getattr(properties, "MaximumPacketSize", self.largest))
        self._has_identifiers = bool(getattr(properties, "SubscriptionIdentifierAvailable", 1))
        if not self._connected.done():
            self._connected.set_result(None)

    def _on_answer(self, client: Client, userdata: Any, mid: int, codes: Any, properties: Any) -> None:
        answer = self._asked.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(codes[0].value if codes else 0)

    def _on_publish(self, client: Client, userdata: Any, mid: int, code: Any, properties: Properties | None) -> None:
        error = None if code.value < FAILURE else self._not_taken(code.value, _text(properties, "ReasonString"))
        self._flights.landed(mid, error)

    def _not_taken(self, code: int, said: str) -> HubError:
        text = f"{self._who}: the broker did not take a message ({code:#x}, {said or _words(code)})"
        if code == TOO_LARGE:
            return TooLarge(f"{text}; send less of it, or in parts")
        if code in NOT_AS_IT_IS:
            return Refused(f"{text}; the broker's access rules should let '{self._who}' publish it")
        return HubError(f"{text}; it is sent again")

    def _on_disconnect(self, client: Client, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        if flags.is_disconnect_packet_from_server:
            self.end(_dismissed(code.value, _text(properties, "ReasonString")))
        elif code.value == KEEP_ALIVE:
            said = "the broker, or the network, did not answer a ping; it is connected to anew"
            self.end(Fault(Cause.SILENT, said))
        elif not self._connected.done():
            said = "the broker closed the connection before it answered; where it takes TLS, mqtts:// would be right"
            self.end(Fault(Cause.CLOSED, said))
        else:
            said = "the broker, or the network, closed the connection; it is connected to anew"
            self.end(Fault(Cause.CLOSED, said))


def _came(packet: MQTTMessage, delivery: Delivery) -> Came:
    known = packet.properties
    message = incoming(
        delivery.topic,
        delivery.body,
        properties=getattr(known, "UserProperty", ()),
        content_type=_text(known, "ContentType"),
        correlation=getattr(known, "CorrelationData", b""),
        is_text=bool(getattr(known, "PayloadFormatIndicator", 0)),
        qos=packet.qos,
        retain=packet.retain,
    )
    found = getattr(known, "SubscriptionIdentifier", ())
    identifiers: Iterable[int] = found if isinstance(found, list | tuple) else (found,)
    return Came(message, tuple(identifiers), delivery, packet.dup)


def _properties_of(packet: Publication) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if packet.content_type:
        properties.ContentType = packet.content_type
    if packet.correlation:
        properties.CorrelationData = packet.correlation
    if packet.is_text:
        properties.PayloadFormatIndicator = 1
    if packet.expiry is not None:
        properties.MessageExpiryInterval = packet.expiry
    if packet.properties:
        properties.UserProperty = list(packet.properties)
    return properties


def _text(properties: Any, name: str) -> str:
    return str(getattr(properties, name, "") or "")


def _refused(code: int, said: str) -> Fault:
    """Without the remedy, which depends on who was refused."""
    text = f"the broker answered CONNECT with {code:#x} ({said or _words(code)})"
    if code in SERVER_GONE:
        return Fault(Cause.UNREACHABLE, f"{text}; it is asked again")
    return Fault(Cause.REFUSED, text)


def _dismissed(code: int, said: str) -> Fault:
    """A DISCONNECT of the broker's."""
    text = f"the broker ended the connection with {code:#x} ({said or _words(code)})"
    if code == TAKEN_OVER:
        right = (
            "a second host seems to connect with this client id; stop the other one, or give it a clientId of its own"
        )
        return Fault(Cause.RIVAL, f"{text}: {right}")
    return Fault(Cause.CLOSED, f"{text}; it is connected to anew")


def _words(code: int) -> str:
    return WORDS.get(code, "for a reason that it does not say")


WORDS = {
    0x00: "as planned",
    0x80: "for a reason that it does not say",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "for a reason of its own",
    0x84: "it does not speak MQTT 5",
    0x85: "client id not valid",
    0x86: "bad user name or password",
    0x87: "not authorised",
    0x88: "not available",
    0x89: "busy",
    0x8A: "banned",
    0x8B: "it is shutting down",
    0x8C: "bad authentication method",
    0x8D: "keep-alive time-out",
    0x8E: "session taken over",
    0x8F: "topic filter not valid",
    0x90: "topic not valid",
    0x93: "more messages than it takes at once",
    0x95: "packet too large",
    0x96: "more messages than it takes in a time",
    0x97: "quota exceeded",
    0x98: "ended by its administrator",
    0x99: "the body is not as it says",
    0x9A: "it retains no messages",
    0x9B: "QoS not supported",
    0x9C: "use another server",
    0x9D: "the server has moved",
    0x9E: "it has no shared subscriptions",
    0x9F: "connections come too often",
    0xA1: "it has no subscription identifiers",
    0xA2: "it has no wildcards in subscriptions",
}
"""MQTT 5's reason codes."""
