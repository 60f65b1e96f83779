"""One connection to the hub, from its CONNECT to its end. What is on it dies with it: the next one is a new client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from edgefn.errors import HubError, NotConnected
from edgefn.mqtt.deliveries import Delivery, Reception
from edgefn.mqtt.driving import Drive
from edgefn.mqtt.faults import Cause, Fault
from edgefn.mqtt.flights import Flights, failed

if TYPE_CHECKING:
    import paho.mqtt.client as mqtt

CONN_LOST, KEEPALIVE = 7, 16
"""paho's numbers for the end of a connection."""
NOT_AVAILABLE, NOT_GRANTED = 3, 0x80
"""MQTT's codes, of CONNACK and SUBACK."""

Client: TypeAlias = "mqtt.Client"
Receive = Callable[["Connection", Delivery], None]


class Connection:
    """All methods and callbacks belong to the event loop that it is made on."""

    def __init__(self, number: int, client: Client, receive: Receive, *, ack_timeout: float) -> None:
        self.number = number
        """No two connections of a hub have the same."""
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[Fault] = self._loop.create_future()
        """Why it ended, as soon as it has."""
        self.unwanted: asyncio.Future[Fault] = self._loop.create_future()
        """Why it should be ended, when somebody wants that."""
        self._client = client
        self._ack_timeout = ack_timeout
        self._reception = Reception(client, lambda delivery, _: receive(self, delivery))
        self._drive = Drive(client, self._reception.deliver, self._broke)
        self._messages = Flights("iotedge", ack_timeout, self._drive.read, self._overdue)
        self._controls = Flights("iotedge", ack_timeout, self._drive.read, self._overdue)
        self._subscribing: set[int] = set()
        self._step: asyncio.Future[None] = self._loop.create_future()
        self._adopt()

    # --- life ----------------------------------------------------------------------------------------------------

    async def ready(self, filters: Sequence[str], within: float) -> None:
        """Returns when the hub has taken the connection and all subscriptions; raises Fault."""
        waiting_for = "CONNECT"
        try:
            async with asyncio.timeout(within):
                await self._step
                waiting_for, self._step = "SUBSCRIBE", self._loop.create_future()
                self._subscribing = {mid for _, mid in (self._client.subscribe(name, 1) for name in filters) if mid}
                await self._step
        except TimeoutError:
            said = f"the hub did not answer {waiting_for} within {within:.1f} s; it should, and is asked again"
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
        await self._messages.quiet(self.lost)

    def ask_to_leave(self, fault: Fault) -> None:
        """For those that can not go on with it, but do not own it."""
        if not self.unwanted.done():
            self.unwanted.set_result(fault)

    def end(self, fault: Fault) -> None:
        """Ends it at once: whatever is on its way fails."""
        if self.lost.done():
            return
        self.lost.set_result(fault)
        if not self._step.done():
            self._step.set_exception(fault)
            self._step.exception()
        self._messages.fail(fault)
        self._controls.fail(fault)
        self._reception.end()
        self._drive.end()

    # --- packets that leave --------------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Messages that are not acknowledged yet."""
        return len(self._messages)

    def publish(self, topic: str, body: bytes) -> asyncio.Future[None]:
        """Sends a message; the future ends with its acknowledgement, or raises HubError."""
        return self._send(self._messages, topic, body)

    def tell(self, topic: str, body: bytes) -> asyncio.Future[None]:
        """The same for what is no message: requests and replies."""
        future = self._send(self._controls, topic, body)
        future.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return future

    def _send(self, flights: Flights, topic: str, body: bytes) -> asyncio.Future[None]:
        if self.lost.done():
            return failed(NotConnected(f"iotedge: the message did not leave: {self.lost.result()}"))
        try:
            info = self._client.publish(topic, body, 1)
        except ValueError as error:
            text = f"iotedge: a message can not be sent ({error}); look at the names in {topic[:100]!r}"
            return failed(HubError(text))
        return flights.launch(info)

    def _overdue(self) -> None:
        """Ends the connection where the oldest packet is overdue."""
        said = f"no acknowledgement within {self._ack_timeout:g} s; the hub should give one, and is connected to anew"
        self.end(Fault(Cause.UNACKNOWLEDGED, said))

    # --- paho ----------------------------------------------------------------------------------------------------

    def _adopt(self) -> None:
        client = self._client
        if client.socket() is None:
            self.end(Fault(Cause.CLOSED, "the hub closed the connection before it answered; it should be running"))
            return
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        self._drive.begin()

    def _broke(self, said: str) -> None:
        self.end(Fault(Cause.CLIENT, f"{said}; the hub should speak MQTT 3.1.1"))

    def _on_connect(self, client: Client, userdata: Any, flags: Any, code: Any) -> None:
        if code:
            self.end(_refused(int(code)))
        elif not self._step.done():
            self._step.set_result(None)

    def _on_subscribe(self, client: Client, userdata: Any, mid: int, granted: Any) -> None:
        if mid in self._subscribing and any(int(qos) >= NOT_GRANTED for qos in granted):
            said = "the hub does not grant a subscription; it should be edgeHub, and the identity one of its own"
            self.end(Fault(Cause.REFUSED, said))
        self._subscribing.discard(mid)
        if not self._subscribing and not self._step.done():
            self._step.set_result(None)

    def _on_publish(self, client: Client, userdata: Any, mid: int) -> None:
        if not self._messages.landed(mid):
            self._controls.landed(mid)

    def _on_disconnect(self, client: Client, userdata: Any, code: Any) -> None:
        self.end(_ended(int(code)))


def _refused(code: int) -> Fault:
    """Without the remedy, which depends on who was refused."""
    if code == NOT_AVAILABLE:
        return Fault(Cause.UNREACHABLE, f"the hub answered CONNECT with {code} (not available yet); it is asked again")
    reasons = {2: "identifier rejected", 4: "bad user name or password", 5: "not authorised"}
    return Fault(Cause.REFUSED, f"the hub answered CONNECT with {code} ({reasons.get(code, 'unknown')})")


def _ended(code: int) -> Fault:
    if code == KEEPALIVE:
        return Fault(Cause.SILENT, "the hub, or the network, did not answer a ping; it is connected to anew")
    if code == CONN_LOST:
        return Fault(Cause.CLOSED, "the hub, or the network, closed the connection; it is connected to anew")
    return Fault(Cause.CLOSED, f"the connection broke (paho: {code}); the hub should speak MQTT 3.1.1")
