"""Events as JSON, and back: frames, messages, requests, and whatever is JSON already."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import azure.functions as func
import orjson

from edgefn.contracts import EdgeMessage, Event, VideoFrame
from edgefn.errors import EdgefnError
from edgefn.redaction import MASK, redact, redacted
from edgefn.testing.pictures import picture_of, png_of
from edgefn.web.http import Slot

CONFIDENTIAL = re.compile(r"authorization|cookie|key|token|secret|password|signature", re.IGNORECASE)
"""Names of headers and parameters whose values no file gets."""
Keep = Callable[[bytes], str]
"""Keeps a picture; gives its name."""


class NotRecordable(Exception):
    """An event whose value has no form in a file."""


# --- to JSON -----------------------------------------------------------------------------------------------------


def form_of(event: Event, keep: Keep) -> dict[str, Any]:
    """The event as JSON, without secrets; pictures go to ``keep``. Raises NotRecordable."""
    value = event.value
    if isinstance(value, list) and value and all(isinstance(one, VideoFrame | EdgeMessage) for one in value):
        return {"several": [_one(one, keep) for one in value]}
    return _one(value, keep)


def _one(value: Any, keep: Keep) -> dict[str, Any]:
    if isinstance(value, VideoFrame):
        return {"frame": _frame(value, keep)}
    if isinstance(value, EdgeMessage):
        return {"message": _message(value)}
    if isinstance(value, func.HttpRequest):
        return {"request": _request(value)}
    try:
        return {"json": redacted(orjson.loads(orjson.dumps(value)))}
    except TypeError:
        raise NotRecordable(f"a {type(value).__name__} is no JSON value") from None


def _frame(frame: VideoFrame, keep: Keep) -> dict[str, Any]:
    return {
        "picture": keep(png_of(frame.image)),
        "id": frame.id,
        "timestamp": frame.timestamp.isoformat(),
        "position": frame.position,
        "source": redact(frame.source),
        "fps": frame.fps,
        "item": frame.item,
    }


def _message(message: EdgeMessage) -> dict[str, Any]:
    texts = {name: getattr(message, name) for name in MESSAGE_TEXTS}
    created = message.created.isoformat() if message.created else None
    properties = redacted(dict(message.properties))
    return {"body": _body(message.body), "properties": properties, "created": created, **texts}


MESSAGE_TEXTS = (
    "message_id",
    "correlation_id",
    "content_type",
    "content_encoding",
    "connection_device_id",
    "connection_module_id",
    "input_name",
    "topic",
)


def _request(request: Any) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": redact(request.url),
        "headers": _confidential(request.headers),
        "params": _confidential(request.params),
        "route_params": redacted(dict(request.route_params)),
        "body": _body(request.get_body()),
    }


def _confidential(pairs: Mapping[str, str]) -> dict[str, str]:
    return {k: MASK if CONFIDENTIAL.search(k) or k.lower() == "code" else redact(v) for k, v in pairs.items()}


def _body(body: bytes) -> dict[str, str]:
    try:
        return {"text": redact(body.decode())}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


# --- and back ----------------------------------------------------------------------------------------------------


def event_of(form: Mapping[str, Any], pictures: Mapping[str, bytes], where: str) -> Event:
    """The event of a form; raises EdgefnError, which names ``where``, for what is none."""
    try:
        if "several" in form:
            return Event([_value(one, pictures, where) for one in form["several"]])
        value = _value(form, pictures, where)
    except (KeyError, TypeError, ValueError) as error:
        raise EdgefnError(
            f"{where}: the event can not be read: {type(error).__name__}: {error}; record it again"
        ) from None
    return Event(value, metadata={"reply": Slot()} if isinstance(value, func.HttpRequest) else {})


def _value(form: Mapping[str, Any], pictures: Mapping[str, bytes], where: str) -> Any:
    if "frame" in form:
        rest = {name: value for name, value in form["frame"].items() if name != "picture"}
        rest["timestamp"] = datetime.fromisoformat(rest["timestamp"])
        name = form["frame"]["picture"]
        return VideoFrame(picture_of(pictures.get(name, b""), f"{where}: {name}"), **rest)
    if "message" in form:
        texts = form["message"]
        message = EdgeMessage(
            _bytes(texts["body"]), texts["properties"], **{name: texts.get(name, "") for name in MESSAGE_TEXTS}
        )
        return replace(message, created=datetime.fromisoformat(texts["created"]) if texts["created"] else None)
    if "request" in form:
        about = dict(form["request"])
        body = _bytes(about.pop("body"))
        return func.HttpRequest(about.pop("method"), about.pop("url"), body=body, **about)
    return form["json"]


def _bytes(body: Mapping[str, str]) -> bytes:
    return base64.b64decode(body["base64"]) if "base64" in body else body["text"].encode()


def name_of(form: Mapping[str, Any], number: int) -> str:
    """How a report names the event."""
    first = form["several"][0] if form.get("several") else form
    if "frame" in first:
        return f"frame {first['frame']['id']} at {first['frame']['position']:.2f} s"
    if "message" in first:
        return f"message {first['message']['message_id'] or number}"
    if "request" in first:
        return f"{first['request']['method']} {first['request']['url']}"
    return f"event {number}"
