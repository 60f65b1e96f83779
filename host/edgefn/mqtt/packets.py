"""Messages as MQTT 5 has them: what of a message is where in a PUBLISH, and how large that is.

A message's id is the user property ``message-id``, since MQTT has no place for one; all else has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from edgefn.contracts import EdgeMessage
from edgefn.errors import Refused, TooLarge
from edgefn.mqtt.topics import LONGEST, fault_of_topic

MESSAGE_ID = "message-id"
LARGEST = 268_435_455
"""Bytes that a packet can have after its fixed header."""
LONGEST_EXPIRY = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Publication:
    """A PUBLISH that is to leave."""

    topic: str
    body: bytes
    qos: int = 1
    retain: bool = False
    content_type: str = ""
    correlation: bytes = b""
    is_text: bool = False
    expiry: int | None = None
    """Seconds for which the broker keeps it for those that are away."""
    properties: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> int:
        """Bytes of the packet, at most: the lengths in it are counted in full."""
        properties = sum(5 + _length(name) + _length(value) for name, value in self.properties)
        properties += 3 + _length(self.content_type) + 3 + len(self.correlation) + 2 + 5
        return 5 + 2 + _length(self.topic) + 2 + 4 + properties + len(self.body)


def outgoing(message: EdgeMessage, left: float | None = None) -> Publication:
    """The packet of a message; raises Refused for what MQTT can not carry."""
    properties = dict(message.properties)
    if message.message_id:
        properties[MESSAGE_ID] = message.message_id
    fault = fault_of_topic(message.topic)
    if fault:
        raise Refused(f"the topic '{message.topic[:100]}' {fault}; a topic like plant/line1/alarms would be right")
    texts = (message.content_type, message.correlation_id, *properties, *properties.values())
    for text in texts:
        if (fault := _fault_of_text(text)) != "":
            raise Refused(f"a message for topic '{message.topic[:100]}': {fault}; shorter, plain text would be right")
    return Publication(
        message.topic,
        message.body,
        message.qos,
        message.retain,
        message.content_type,
        message.correlation_id.encode(),
        message.is_json,
        None if left is None else min(LONGEST_EXPIRY, max(1, math.ceil(left))),
        tuple(properties.items()),
    )


def check(message: EdgeMessage, largest: int) -> None:
    """Raises TooLarge for a message that makes a larger packet."""
    topic = f"topic '{message.topic[:100]}'"
    size = outgoing(message, 1.0).size
    if size > largest:
        raise TooLarge(
            f"a message for {topic} makes a packet of {size:,} bytes, the broker takes {largest:,}; send less of it, "
            "or in parts (a list is sent as one message for each element)"
        )


def incoming(
    topic: str,
    body: bytes,
    *,
    properties: Iterable[tuple[str, str]] = (),
    content_type: str = "",
    correlation: bytes = b"",
    is_text: bool = False,
    qos: int = 1,
    retain: bool = False,
) -> EdgeMessage:
    """The message of a packet. Of a user property that is there several times the last one counts."""
    known = dict(properties)
    return EdgeMessage(
        body,
        message_id=known.pop(MESSAGE_ID, ""),
        correlation_id=correlation.decode(errors="backslashreplace"),
        content_type=content_type,
        content_encoding="utf-8" if is_text else "",
        topic=topic,
        retain=retain,
        qos=qos,
        properties=known,
    )


def _length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


def _fault_of_text(text: str) -> str:
    if any("\ud800" <= letter <= "\udfff" or letter in "\0\ufeff" for letter in text):
        return f"{text[:40]!r} holds letters that MQTT does not have"
    length = _length(text)
    return f"{text[:40]!r}... has {length} bytes, at most {LONGEST} can be sent" if length > LONGEST else ""
