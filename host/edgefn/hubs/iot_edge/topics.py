"""The topics between a module or device and edgeHub, and how large a message is on its way there.

They are the SDK's, letter by letter, and a test compares them; but a message is measured before the SDK is loaded.
"""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from edgefn.contracts import EdgeMessage
from edgefn.errors import TooLarge
from edgefn.hubs.iot_edge.identity import Identity

TWIN_ANSWERS = "$iothub/twin/res/"
TWIN_PATCHES = "$iothub/twin/PATCH/properties/desired/"
METHODS = "$iothub/methods/POST/"

LARGEST = 262_144
"""Bytes that edgeHub takes: of a packet after its fixed header, and of body and all properties together."""
LONGEST_TOPIC = 65_535
_ADDED = sum(map(len, ("edgeMessageId", "edgeHubOriginInterface", "internal", "enqueuedTime"))) + 36 + 28
"""What edgeHub adds to each message before it measures: two ids and a time."""
_MARGIN = 1024
"""More than edgeHub's sum can exceed the packet by: the names there are longer, but the values are not encoded."""
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
"""For texts that are in a topic what they are here."""
_LONGEST_LETTER = 12
"""Bytes of a letter in a topic at most: four of UTF-8, each as three."""
_NAME = 64
"""Letters of a text up to which its form in a topic is kept in mind."""
_SMALL = 32_768
"""Bytes below which, letters at their longest, a message fits whatever else is in its topic."""


def check(identity: Identity, message: EdgeMessage) -> None:
    """Raises TooLarge for a message that edgeHub would drop, or hang up on."""
    texts = (message.output_name, message.message_id, message.correlation_id, message.content_type)
    letters = sum(map(len, texts)) + len(message.content_encoding)
    for name, value in message.properties.items():
        letters += len(name) + len(value)
    if len(message.body) + _LONGEST_LETTER * letters > _SMALL:
        outgoing(identity, message)


def outgoing(identity: Identity, message: EdgeMessage) -> str:
    """The topic of a message that leaves; raises TooLarge for one that edgeHub would drop, or hang up on."""
    created = message.created.astimezone(UTC).isoformat() if message.created else ""
    created = created.replace(":", "%3A").replace("+", "%2B")
    system = (
        ("%24.on=", message.output_name),
        ("%24.mid=", message.message_id),
        ("%24.cid=", message.correlation_id),
        ("%24.ct=", message.content_type),
        ("%24.ce=", message.content_encoding),
    )
    pairs = [name + _quoted(value) for name, value in system if value]
    if created:
        pairs.append(f"%24.ctime={created}")
    pairs += [f"{_quoted(name)}={_quoted(value)}" for name, value in sorted(message.properties.items())]
    topic = f"{identity.path}/messages/events/{'&'.join(pairs)}"
    packet = 4 + len(topic) + len(message.body)
    if packet > LARGEST - _MARGIN or len(topic) > LONGEST_TOPIC:
        _measure(identity, message, packet, len(topic))
    return topic


def _quoted(text: str) -> str:
    if _PLAIN(text):
        return text
    return _of_few(text) if len(text) <= _NAME else quote(text, safe="")


@functools.lru_cache
def _of_few(text: str) -> str:
    """For types of content and the like, of which a host has few."""
    return quote(text, safe="")


def _measure(identity: Identity, message: EdgeMessage, packet: int, topic: int) -> None:
    """Raises TooLarge."""
    where = f"a message for output '{message.output_name}'"
    if topic > LONGEST_TOPIC:
        raise TooLarge(
            f"{where}: its properties make a topic of {topic:,} bytes; at most {LONGEST_TOPIC:,} can be sent"
        )
    size = max(packet, size_at_hub(identity, message))
    if size > LARGEST:
        raise TooLarge(
            f"{where}: it has {size:,} bytes with its properties, edgeHub takes {LARGEST:,}; send less of it, or in "
            "parts (a list is sent as one message for each element)"
        )


def size_at_hub(identity: Identity, message: EdgeMessage) -> int:
    """As edgeHub measures a message that has arrived: body, names and values of all properties."""
    system = {
        "outputName": message.output_name,
        "messageId": message.message_id,
        "cid": message.correlation_id,
        "contentType": message.content_type,
        "contentEncoding": message.content_encoding,
        "creationTime": message.created.astimezone(UTC).isoformat() if message.created else "",
        "connectionDeviceId": identity.device,
        "connectionModuleId": identity.module,
    }
    pairs = [*((name, value) for name, value in system.items() if value), *message.properties.items()]
    return len(message.body) + _ADDED + sum(_units(name) + _units(value) for name, value in pairs)


def _units(text: str) -> int:
    """The length of a text to .NET: UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def filters(identity: Identity) -> list[str]:
    """What is subscribed."""
    messages = "inputs" if identity.module else "messages/devicebound"
    return [f"{identity.path}/{messages}/#", f"{METHODS}#", f"{TWIN_ANSWERS}#", f"{TWIN_PATCHES}#"]


def inputs(identity: Identity) -> str:
    """How the topics of messages to the identity begin."""
    return f"{identity.path}/inputs/" if identity.module else f"{identity.path}/messages/devicebound/"


def incoming(identity: Identity, topic: str, body: bytes) -> EdgeMessage:
    """A message for an input; from the cloud to a device it is one for the input without a name."""
    rest = topic.removeprefix(inputs(identity))
    name, _, text = rest.partition("/") if identity.module else ("", "", rest)
    found = {unquote(key): unquote(value) for key, _, value in (pair.partition("=") for pair in text.split("&")) if key}
    found.pop("$.to", None)
    return EdgeMessage(
        body,
        message_id=found.pop("$.mid", ""),
        correlation_id=found.pop("$.cid", ""),
        content_type=found.pop("$.ct", ""),
        content_encoding=found.pop("$.ce", ""),
        created=_time(found.pop("$.ctime", "")),
        connection_device_id=found.pop("$.cdid", ""),
        connection_module_id=found.pop("$.cmid", ""),
        input_name=unquote(name),
        properties=found,
    )


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def twin_request(method: str, resource: str, request: str) -> str:
    """``GET`` of ``/``, or ``PATCH`` of ``/properties/reported/``."""
    return f"$iothub/twin/{method}{resource}?$rid={request}"


def twin_answer(topic: str) -> tuple[int, str]:
    """Status and request id; raises ValueError."""
    status, _, query = topic.removeprefix(TWIN_ANSWERS).partition("/")
    return int(status), _request(query)


def method_request(topic: str) -> tuple[str, str]:
    """Name of the method, and request id; raises ValueError."""
    name, _, query = topic.removeprefix(METHODS).partition("/")
    return unquote(name), _request(query)


def method_reply(status: int, request: str) -> str:
    return f"$iothub/methods/res/{status}/?$rid={quote(request, safe='')}"


def _request(query: str) -> str:
    for pair in query.removeprefix("?").split("&"):
        name, _, value = pair.partition("=")
        if name == "$rid":
            return unquote(value)
    raise ValueError(f"no request id in {query!r}")
