"""MQTT 3.1.1 on the wire, as far as edgeHub speaks it: what a server reads, and what it writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_PACKET = 262_144
"""Bytes after the fixed header that edgeHub takes; it closes the connection on more."""

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 4, 8, 10, 12, 14
PUBACK_HEAD = b"\x40\x02"
PINGRESP = b"\xd0\x00"

ACCEPTED, WRONG_VERSION, WRONG_CLIENT_ID, UNAVAILABLE, WRONG_PASSWORD, NOT_AUTHORIZED = range(6)
"""The codes of a CONNACK."""


class PacketError(Exception):
    """Bytes that are no MQTT 3.1.1, or that edgeHub closes the connection on."""


@dataclass(frozen=True, slots=True)
class Connect:
    """A CONNECT packet; ``level`` is 4 for MQTT 3.1.1."""

    protocol: str
    level: int
    clean_session: bool
    keep_alive: int
    client_id: str
    username: str
    password: str


class PacketReader:
    """Cuts a stream of bytes into packets."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    @property
    def waiting(self) -> int:
        """Bytes of a packet that has not arrived whole."""
        return len(self._rest)

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Each whole packet as its first byte and what follows the fixed header; raises PacketError."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while True:
            found = _length_at(data, at + 1, end)
            if found is None:
                break
            length, start = found
            if length > LONGEST_PACKET:
                self._rest = b""
                raise PacketError(f"a packet of {length} bytes; edgeHub takes at most {LONGEST_PACKET}")
            if start + length > end:
                break
            first, at = data[at], start + length
            yield first, data[start:at]
        self._rest = data[at:] if at else data


def _length_at(data: bytes, at: int, end: int) -> tuple[int, int] | None:
    """The remaining length of a packet and where it ends; None as long as it has not arrived."""
    length = shift = 0
    while at < end:
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return length, at
        shift += 7
        if shift > 21:
            raise PacketError("a length of more than four bytes; it would be no MQTT")
    return None


def read_connect(body: bytes) -> Connect:
    """Raises PacketError."""
    try:
        protocol, at = _text_at(body, 0)
        level, flags = body[at], body[at + 1]
        keep_alive = int.from_bytes(body[at + 2 : at + 4])
        client_id, at = _text_at(body, at + 4)
        if flags & 0x04:  # a will: edgeHub has no use for it
            _, at = _text_at(body, at)
            at += 2 + int.from_bytes(body[at : at + 2])
        username, at = _text_at(body, at) if flags & 0x80 else ("", at)
        password, at = _text_at(body, at) if flags & 0x40 else ("", at)
    except (IndexError, UnicodeDecodeError):
        raise PacketError("a broken CONNECT") from None
    return Connect(protocol, level, bool(flags & 0x02), keep_alive, client_id, username, password)


def read_filters(body: bytes, *, with_qos: bool) -> list[tuple[str, int]]:
    """The topic filters of a SUBSCRIBE or UNSUBSCRIBE, with the QoS asked for; raises PacketError."""
    filters, at = [], 2
    try:
        while at < len(body):
            name, at = _text_at(body, at)
            filters.append((name, body[at] & 0x03 if with_qos else 0))
            at += with_qos
    except (IndexError, UnicodeDecodeError):
        raise PacketError("a broken SUBSCRIBE or UNSUBSCRIBE") from None
    if not filters:
        raise PacketError("a SUBSCRIBE or UNSUBSCRIBE without a topic")
    return filters


def _text_at(body: bytes, at: int) -> tuple[str, int]:
    end = at + 2 + int.from_bytes(body[at : at + 2])
    if end > len(body) or at + 2 > len(body):
        raise IndexError
    return body[at + 2 : end].decode(), end


def connack(code: int, *, session_present: bool = False) -> bytes:
    return bytes((0x20, 2, session_present and code == ACCEPTED, code))


def suback(packet_id: bytes, granted: list[int]) -> bytes:
    return b"\x90" + _encoded_length(2 + len(granted)) + packet_id + bytes(granted)


def unsuback(packet_id: bytes) -> bytes:
    return b"\xb0\x02" + packet_id


def publish(topic: str, body: bytes, *, packet_id: int = 0, again: bool = False) -> bytes:
    """QoS 1 with a packet id, else QoS 0; ``again`` sets the flag DUP."""
    name = topic.encode()
    head = len(name).to_bytes(2) + name + (packet_id.to_bytes(2) if packet_id else b"")
    first = 0x30 | (0x02 if packet_id else 0) | (0x08 if again else 0)
    return bytes((first,)) + _encoded_length(len(head) + len(body)) + head + body


def _encoded_length(length: int) -> bytes:
    encoded = bytearray()
    while True:
        length, byte = divmod(length, 128)
        encoded.append(byte | (0x80 if length else 0))
        if not length:
            return bytes(encoded)
