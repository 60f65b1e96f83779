"""One connection of a module or device: its packets, as edgeHub reads and answers them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from typing import Protocol, cast

from edgefn.standin import packets
from edgefn.standin.clients import Client
from edgefn.standin.faults import Faults
from edgefn.standin.identities import Refused
from edgefn.standin.packets import Connect, PacketError, PacketReader
from edgefn.standin.requests import Requests
from edgefn.standin.store import Store
from edgefn.standin.topics import identity_path

log = logging.getLogger("edgefn.standin")

CONNECT_TIMEOUT = 60.0
"""Seconds until the first packet has to be there."""


class Door(Protocol):
    """Who decides about a CONNECT."""

    def admit(self, connect: Connect) -> tuple[Client, float]:
        """Who it is, and when its token ends; raises Refused."""


class Connection(asyncio.Protocol):
    """Acknowledges a message when it is committed, all of one turn of the event loop with one write."""

    def __init__(self, door: Door, requests: Requests, store: Store, faults: Faults) -> None:
        self._door = door
        self._requests = requests
        self._store = store
        self._faults = faults
        self._reader = PacketReader()
        self._transport: asyncio.Transport | None = None
        self._client: Client | None = None
        self._events = b""
        self._acks: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._expires = 0.0
        self._patience = CONNECT_TIMEOUT

    @property
    def name(self) -> str:
        return self._client.identity.name if self._client else ""

    # --- asyncio.Protocol ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._heard = time.monotonic()
        self._watch()

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        self._heard = time.monotonic()
        try:
            if self._client is None and not self._reader.waiting and data[0] >> 4 != packets.CONNECT:
                raise PacketError("its first bytes are no CONNECT of MQTT")
            for first, body in self._reader.feed(data):
                self._handle(first, body)
                if self._transport is None:
                    return
        except PacketError as error:
            self._store.counters["refused_packets"] += 1
            self.drop(str(error))
        if self._faults:
            self._abort_packet()

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            log.info("%s: connection lost%s", self.name or "a client", f": {error}" if error else "")
            self._leave()

    # --- Link ----------------------------------------------------------------------------------------------------

    def send(self, packet: bytes) -> None:
        if self._transport is not None:
            self._transport.write(packet)

    def drop(self, reason: str) -> None:
        """Ends the connection at once."""
        if (transport := self._transport) is not None:
            log.warning("%s: connection closed: %s", self.name or "a client", reason)
            self._leave()
            transport.abort()

    def _close(self) -> None:
        """Ends the connection when all is written."""
        if (transport := self._transport) is not None:
            self._leave()
            transport.close()

    def _leave(self) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        if self._client is not None:
            self._client.detach(self)

    # --- packets -------------------------------------------------------------------------------------------------

    def _handle(self, first: int, body: bytes) -> None:
        kind = first >> 4
        if self._client is None:
            if kind != packets.CONNECT:
                raise PacketError(f"a packet of kind {kind} before CONNECT")
            self._connect(packets.read_connect(body))
        elif kind == packets.PUBLISH:
            self._publish(first, body)
        elif kind == packets.PUBACK:
            self._client.inputs.acknowledged(int.from_bytes(body))
        elif kind == packets.SUBSCRIBE:
            self._subscribe(self._client, body)
        elif kind == packets.UNSUBSCRIBE:
            for name, _ in packets.read_filters(body, with_qos=False):
                self._client.unsubscribe(name)
            self.send(packets.unsuback(body[:2]))
        elif kind == packets.PINGREQ:
            self.send(packets.PINGRESP)
        elif kind == packets.DISCONNECT:
            log.info("%s disconnected", self.name)
            self._close()
        else:
            raise PacketError(f"a packet of kind {kind}")

    def _publish(self, first: int, body: bytes) -> None:
        if first & 0x04:
            raise PacketError("a message of QoS 2, which edgeHub does not take")
        end = 2 + int.from_bytes(body[:2])
        topic = body[2:end]
        if not first & 0x02:
            packet_id, content = b"", body[end:]
        else:
            packet_id, content = body[end : end + 2], body[end + 2 :]
            if len(packet_id) < 2:
                raise PacketError("a broken PUBLISH")
        assert self._client is not None
        if self._faults and self._is_poison(content):
            self.drop("its message is poison, as asked for")
            return
        if topic.startswith(self._events):
            self._requests.message(self._client, topic[len(self._events) :], content)
        else:
            self._requests.request(self._client, topic, content)
        if packet_id:
            if not self._acks:
                self._store.on_commit(self._acknowledge)
            self._acks.append(packets.PUBACK_HEAD + packet_id)

    def _subscribe(self, client: Client, body: bytes) -> None:
        granted = [client.subscribe(name, qos) for name, qos in packets.read_filters(body, with_qos=True)]
        self._store.on_commit(lambda _: self._subscribed(client, packets.suback(body[:2], granted)))

    def _subscribed(self, client: Client, suback: bytes) -> None:
        self.send(suback)
        client.subscribed()

    # --- CONNECT -------------------------------------------------------------------------------------------------

    def _connect(self, connect: Connect) -> None:
        if self._faults and self._faults.strike("no-connack", connect.client_id.rpartition("/")[2]):
            log.info("%s: its CONNECT is not answered, as asked for", connect.client_id)
            return
        try:
            client, self._expires = self._door.admit(connect)
        except Refused as refused:
            log.warning("%s: CONNECT is answered with %d: %s", connect.client_id or "a client", refused.code, refused)
            self.send(packets.connack(refused.code))
            self._close()
            return
        self._client = client
        self._events = f"{identity_path(client.identity.device, client.identity.module)}/messages/events/".encode()
        self._patience = connect.keep_alive * 1.5 if connect.keep_alive else float("inf")
        self._watch()
        present = client.attach(self, clean_session=connect.clean_session)
        log.info("%s connected%s", client.identity.client_id, ", its session goes on" if present else "")
        self.send(packets.connack(packets.ACCEPTED, session_present=present))
        client.ready()

    # --- acknowledgements ----------------------------------------------------------------------------------------

    def _acknowledge(self, written: bool) -> None:
        acks, self._acks = self._acks, []
        if not written:
            self.drop("its messages could not be stored")
        elif self._faults:
            self._acknowledge_faultily(acks)
        elif self._transport is not None:
            self._transport.write(b"".join(acks))

    def _acknowledge_faultily(self, acks: list[bytes]) -> None:
        faults, name = self._faults, self.name
        loop = asyncio.get_running_loop()
        for ack in acks:
            if (fault := faults.strike("die-before-puback", name)) and fault.struck >= fault.number("after"):
                os.kill(os.getpid(), signal.SIGKILL)
            if faults.strike("lose-pubacks", name):
                continue
            if fault := faults.strike("delay-pubacks", name):
                loop.call_later(fault.number("by"), self.send, ack)
                continue
            self.send(ack * 2 if faults.strike("double-pubacks", name) else ack)

    def _abort_packet(self) -> None:
        """The fault of that name: the end in the middle of a packet."""
        fault = self._faults.find("abort-packet", self.name)
        if fault is None or self._client is None or self._reader.waiting < fault.number("bytes"):
            return
        if self._faults.strike("abort-packet", self.name):
            self.drop(f"{self._reader.waiting} bytes of a packet have arrived, as asked for")

    def _is_poison(self, content: bytes) -> bool:
        fault = self._faults.find("poison", self.name)
        if fault is None or str(fault.own["text"]).encode() not in content:
            return False
        return self._faults.strike("poison", self.name) is not None

    # --- time ----------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Looks after keep-alive and the end of the token, whichever may come first."""
        if self._timer is not None:
            self._timer.cancel()
        now = time.monotonic()
        silent = self._heard + self._patience - now
        left = self._expires - time.time() if self._expires else float("inf")
        if silent <= 0:
            self.drop("nothing was heard from it for too long")
        elif left <= 0:
            self.drop("its token has expired")
        elif (wait := min(silent, left)) < float("inf"):
            self._timer = asyncio.get_running_loop().call_later(min(wait, 3600.0), self._watch)
