"""One connection to the hub, from its CONNECT to its end. What is on it dies with it: the next one is a new client.

The event loop reads and writes for paho: there is no thread that could die unseen, wait for another, or be left over,
and nothing is told across threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from edgefn.errors import AckTimeout, ConnectionLost, HubError, NotConnected
from edgefn.hubs.iot_edge.deliveries import Delivery, Receipts
from edgefn.hubs.iot_edge.faults import Cause, Fault

if TYPE_CHECKING:
    import paho.mqtt.client as mqtt

TICK = 0.5
"""Seconds between two looks at the keep-alive."""
READS = 16
"""Packets that one turn of the loop reads at most."""
CONN_LOST, KEEPALIVE = 7, 16
"""paho's numbers for the end of a connection."""
NOT_AVAILABLE, NOT_GRANTED = 3, 0x80
"""MQTT's codes, of CONNACK and SUBACK."""

Client: TypeAlias = "mqtt.Client"
Receive = Callable[["Connection", Delivery], None]


class _Flight(NamedTuple):
    future: asyncio.Future[None]
    sent: float


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
        self._receive = receive
        self._ack_timeout = ack_timeout
        self._messages: dict[int, _Flight] = {}
        self._controls: dict[int, _Flight] = {}
        self._subscribing: set[int] = set()
        self._step: asyncio.Future[None] = self._loop.create_future()
        self._idle: asyncio.Future[None] | None = None
        self._came: list[Any] = []
        self._begun = False
        self._receipts = Receipts(lambda packet_id: client.ack(packet_id, 1))
        self._flushing = False
        self._timers: dict[str, asyncio.TimerHandle] = {}
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
        """Hands over what came and comes. A session goes on before all is subscribed; its messages wait until then."""
        self._begun = True
        self._deliver()

    async def quiet(self) -> None:
        """Returns when no message is on its way any more, or the connection has ended."""
        if self._messages and not self.lost.done():
            self._idle = self._loop.create_future()
            either: set[asyncio.Future[Any]] = {self._idle, self.lost}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)

    def ask_to_leave(self, fault: Fault) -> None:
        """For those that can not go on with it, but do not own it."""
        if not self.unwanted.done():
            self.unwanted.set_result(fault)

    def end(self, fault: Fault) -> None:
        """Ends it at once: whatever is on its way fails."""
        if self.lost.done():
            return
        self.lost.set_result(fault)
        for timer in self._timers.values():
            timer.cancel()
        if not self._step.done():
            self._step.set_exception(fault)
            self._step.exception()
        self._fail_flights(fault)
        self._loop.call_soon(self._hang_up)  # later: paho's callbacks must not call it back

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

    def _send(self, flights: dict[int, _Flight], topic: str, body: bytes) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self._loop.create_future()
        if self.lost.done():
            future.set_exception(NotConnected(f"iotedge: the message did not leave: {self.lost.result()}"))
            return future
        try:
            info = self._client.publish(topic, body, 1)
        except ValueError as error:
            text = f"iotedge: a message can not be sent ({error}); look at the names in {topic[:100]!r}"
            future.set_exception(HubError(text))
            return future
        if info.rc:
            future.set_exception(NotConnected("iotedge: the connection has just ended; the message did not leave"))
            return future
        flights[info.mid] = _Flight(future, time.monotonic())
        if "acks" not in self._timers:
            self._timers["acks"] = self._loop.call_later(self._ack_timeout, self._look_at_acks)
        return future

    def _look_at_acks(self) -> None:
        """Ends the connection where the oldest packet is overdue."""
        del self._timers["acks"]
        self._read()  # what the loop had no time to read did come in time
        sent = [next(iter(flights.values())).sent for flights in (self._messages, self._controls) if flights]
        if self.lost.done() or not sent:
            return
        left = min(sent) + self._ack_timeout - time.monotonic()
        if left > 0:
            self._timers["acks"] = self._loop.call_later(left, self._look_at_acks)
            return
        said = f"no acknowledgement within {self._ack_timeout:g} s; the hub should give one, and is connected to anew"
        self.end(Fault(Cause.UNACKNOWLEDGED, said))

    def _fail_flights(self, fault: Fault) -> None:
        flights = [*self._messages.values(), *self._controls.values()]
        self._messages, self._controls = {}, {}
        overdue = time.monotonic() - self._ack_timeout
        for future, sent in flights:
            if future.done():
                continue
            if sent <= overdue:
                text = f"not acknowledged within {self._ack_timeout:g} s; the message may have arrived, or not"
                future.set_exception(AckTimeout(f"iotedge: {text}"))
            else:
                text = f"the connection ended before the acknowledgement; the message may have arrived, or not: {fault}"
                future.set_exception(ConnectionLost(f"iotedge: {text}"))

    # --- paho, and the loop that reads and writes for it -----------------------------------------------------------

    def _adopt(self) -> None:
        client, sock = self._client, self._client.socket()
        if sock is None:
            self.end(Fault(Cause.CLOSED, "the hub closed the connection before it answered; it should be running"))
            return
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = lambda *came: self._came.append(came[2])
        client.on_socket_register_write = self._on_register_write
        client.on_socket_close = self._on_socket_close
        self._loop.add_reader(sock, self._read)
        self._timers["tick"] = self._loop.call_later(TICK, self._tick)
        self._loop.call_soon(self._flush)
        self._loop.call_soon(self._read)  # what TLS has read along is not announced by the socket

    def _read(self) -> None:
        if self.lost.done():
            return
        for _ in range(READS):
            self._drive(self._client.loop_read)
            sock: Any = self._client.socket()
            if sock is None or not sock.pending():
                break
        else:
            self._loop.call_soon(self._read)
        self._deliver()

    def _deliver(self) -> None:
        """Hands over what came; outside of paho's callbacks, which hold its locks."""
        if not self._begun:
            return
        came, self._came = self._came, []
        for packet in came:
            try:
                topic = packet.topic
            except UnicodeDecodeError:
                topic = ""
            delivery = Delivery(topic, bytes(packet.payload), packet.mid, packet.dup, self._receipts)
            if packet.qos:
                self._receipts.owe(delivery)
            if not self.lost.done():
                self._receive(self, delivery)

    def _flush(self) -> None:
        """Writes what waits; the rest when there is room."""
        self._flushing = False
        if self.lost.done():
            return
        self._drive(self._client.loop_write)
        sock: Any = self._client.socket()
        if sock is None:
            return
        if self._client.want_write():
            self._loop.add_writer(sock, self._flush)
        else:
            self._loop.remove_writer(sock)

    def _tick(self) -> None:
        self._read()
        if not self.lost.done():
            self._drive(self._client.loop_misc)
            self._timers["tick"] = self._loop.call_later(TICK, self._tick)

    def _drive(self, step: Callable[[], Any]) -> None:
        """One step of paho. An error of its own must not leave a connection that looks alive, and is not."""
        try:
            step()
        except Exception as error:
            said = f"paho failed ({type(error).__name__}: {error}); the hub should speak MQTT 3.1.1"
            self.end(Fault(Cause.CLIENT, said))

    def _hang_up(self) -> None:
        """Says DISCONNECT where that can be written at once, and closes the socket."""
        if self._client.socket() is not None:
            self._drive(self._client.disconnect)
            self._drive(self._client.loop_write)
        sock: Any = self._client.socket()
        if sock is not None:
            self._on_socket_close(self._client, None, sock)
            sock.close()

    def _on_register_write(self, client: Client, userdata: Any, sock: Any) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _on_socket_close(self, client: Client, userdata: Any, sock: Any) -> None:
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)

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
        flight = self._messages.pop(mid, None) or self._controls.pop(mid, None)
        if flight is not None and not flight.future.done():
            flight.future.set_result(None)
        if self._idle is not None and not self._messages and not self._idle.done():
            self._idle.set_result(None)

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
