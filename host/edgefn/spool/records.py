"""A message as a row: its body as it is, all else of it as JSON."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from edgefn.contracts import EdgeMessage

FIELDS = (
    "message_id",
    "correlation_id",
    "content_type",
    "content_encoding",
    "connection_device_id",
    "connection_module_id",
    "output_name",
    "input_name",
    "topic",
)
UNREADABLE = (ValueError, TypeError, AttributeError)
"""What reading a head that is not as it was written ends with."""
ABOUT = 256
"""Bytes that a row is taken to cost beside its message."""


def head_of(message: EdgeMessage, ttl: float | None = None) -> bytes:
    """All of a message but its body; with the seconds for which it is worth something, where that was declared."""
    head: dict[str, Any] = {name: value for name in FIELDS if (value := getattr(message, name))}
    if message.properties:
        head["properties"] = dict(message.properties)
    if message.created is not None:
        head["created"] = message.created
    if message.is_json:
        head["is_json"] = True
    if message.retain:
        head["retain"] = True
    if message.qos != 1:
        head["qos"] = message.qos
    if ttl is not None:
        head["ttl"] = ttl
    return orjson.dumps(head)


def message_of(head: bytes, body: bytes) -> EdgeMessage:
    """The message of a row; raises one of UNREADABLE where the file is damaged there."""
    known: Mapping[str, Any] = orjson.loads(head)
    created = known.get("created")
    return EdgeMessage(
        body,
        known.get("properties") or {},
        created=datetime.fromisoformat(created) if created else None,
        is_json=known.get("is_json", False),
        retain=known.get("retain", False),
        qos=known.get("qos", 1),
        **{name: known.get(name, "") for name in FIELDS},
    )


def has_ttl(head: bytes) -> bool:
    """Whether it was declared for how long the message of a row is worth something."""
    return "ttl" in orjson.loads(head)


def without_body(head: bytes) -> bytes:
    """The head of a message whose body is not kept with it."""
    return orjson.dumps({**orjson.loads(head), "is_whole": False})


def is_whole(head: bytes) -> bool:
    """Whether the body of a row is that of its message."""
    return bool(orjson.loads(head).get("is_whole", True))


def fingerprint(message: EdgeMessage, salt: bytes = b"") -> bytes:
    """Equal for two deliveries of one message, and for two messages only when all of them is equal, ``salt`` too."""
    digest = hashlib.blake2b(head_of(message), digest_size=16, salt=salt)
    digest.update(message.body)
    return digest.digest()


def id_of_output(store: str, row: int, function: str, index: int) -> str:
    """The id of a message that a function made of a stored one: the same whenever it is made."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{store}/{row}/{function}/{index}"))
