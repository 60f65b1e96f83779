"""The topics between a module or device and edgeHub, and how large a message is on its way there.

They are the SDK's, letter by letter, and a test compares them; but a message is measured before the SDK is loaded.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote, unquote, urlencode

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


def outgoing(identity: Identity, message: EdgeMessage) -> str:
    """The topic of a message that leaves; raises TooLarge for one that edgeHub would drop, or hang up on."""
    system = (
        ("$.on", message.output_name),
        ("$.mid", message.message_id),
        ("$.cid", message.correlation_id),
        ("$.ct", message.content_type),
        ("$.ce", message.content_encoding),
        ("$.ctime", message.created.astimezone(UTC).isoformat() if message.created else ""),
    )
    pairs = [pair for pair in system if pair[1]]
    pairs += sorted(message.properties.items())
    topic = f"{identity.path}/messages/events/{urlencode(pairs, quote_via=quote)}"
    length = len(topic) if topic.isascii() else len(topic.encode())
    packet = 4 + length + len(message.body)
    if packet > LARGEST - _MARGIN or length > LONGEST_TOPIC:
        _measure(identity, message, packet, length)
    return topic


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
