"""The topics between a module or device and edgeHub, and the properties of messages in them.

There is no client id in the topics of twins and methods: who sent a request is known by its connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote

WIRE_NAMES: Mapping[str, str] = {
    "$.on": "outputName",
    "$.mid": "messageId",
    "$.cid": "cid",
    "$.uid": "userId",
    "$.ct": "contentType",
    "$.ce": "contentEncoding",
    "$.exp": "absolute-expiry-time",
    "$.to": "to",
    "$.schema": "messageSchema",
    "$.ctime": "creationTime",
    "$.ifid": "iothub-interface-id",
    "$.sub": "dt-subject",
    "iothub-operation": "operation",
    "ack": "ack",
}
"""System properties: what they are called on the wire, and in edgeHub and its routes."""

_OUT = {long: short for short, long in WIRE_NAMES.items() if short not in ("$.on", "$.ifid")} | {
    "connectionDeviceId": "$.cdid",
    "connectionModuleId": "$.cmid",
}

METHODS = "$iothub/methods/POST/#"
TWIN_ANSWERS = "$iothub/twin/res/#"
TWIN_PATCHES = "$iothub/twin/PATCH/properties/desired/#"

_TWIN_REQUEST = re.compile(r"\$iothub/twin/(GET|PATCH/properties/reported)/\?\$rid=([^&]*)")
_METHOD_ANSWER = re.compile(r"\$iothub/methods/res/([0-9]+)/\?\$rid=([^&]*)")


def identity_path(device: str, module: str) -> str:
    """``devices/edge/modules/cam``, or ``devices/thermometer`` for a device."""
    return f"devices/{device}/modules/{module}" if module else f"devices/{device}"


def inputs_filter(device: str, module: str) -> str:
    """What is subscribed for messages: those of all inputs, or from the cloud to a device."""
    return f"{identity_path(device, module)}/{'inputs' if module else 'messages/devicebound'}/#"


def split_properties(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """``%24.on=out&kind=alert`` as application properties and system properties; raises ValueError."""
    properties: dict[str, str] = {}
    system: dict[str, str] = {}
    for pair in text.split("&") if text else ():
        name, _, value = pair.partition("=")
        if "%" in pair:
            name, value = unquote(name, errors="strict"), unquote(value, errors="strict")
        long = WIRE_NAMES.get(name)
        if long is not None:
            system[long] = value
        elif not name:
            raise ValueError(f"a property without a name in {text!r}")
        else:
            properties[name] = value
    return properties, system


def joined_properties(properties: Mapping[str, str], system: Mapping[str, str]) -> str:
    """The properties of a message to an input, as edgeHub passes them on."""
    shorts = ((_OUT[long], value) for long, value in system.items() if long in _OUT)
    pairs: Iterable[tuple[str, str]] = (*shorts, *properties.items())
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)


def input_topic(device: str, module: str, name: str, properties: str) -> str:
    return f"{identity_path(device, module)}/inputs/{quote(name, safe='')}/{properties}"


def twin_request(topic: str) -> tuple[str, str] | None:
    """``GET`` or ``PATCH`` and the request id, or None if the topic is no request for a twin."""
    match = _TWIN_REQUEST.fullmatch(topic)
    return (match[1].partition("/")[0], match[2]) if match else None


def twin_answer(status: int, request: str, version: int | None = None) -> str:
    suffix = "" if version is None else f"&$version={version}"
    return f"$iothub/twin/res/{status}/?$rid={request}{suffix}"


def twin_patch(version: int) -> str:
    return f"$iothub/twin/PATCH/properties/desired/?$version={version}"


def method_request(name: str, request: str) -> str:
    return f"$iothub/methods/POST/{quote(name, safe='')}/?$rid={request}"


def method_answer(topic: str) -> tuple[int, str] | None:
    """The status and the request id, or None if the topic is no answer to a method."""
    match = _METHOD_ANSWER.fullmatch(topic)
    return (int(match[1]), unquote(match[2])) if match else None
