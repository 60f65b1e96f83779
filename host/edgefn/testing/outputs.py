"""Outputs that tell what their function gave to them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import azure.functions as func
import orjson

from edgefn.bindings.edge_hub import Encoded
from edgefn.contracts import EdgeMessage, Event, Hub, Outgoing, Output, OutputKind
from edgefn.function import Binding
from edgefn.values import json_bytes
from edgefn.web.replies import Reply

TEXTUAL = ("text/", "application/json")


class Out(func.Out[Any]):
    """An output parameter for a function that a test calls plainly: keeps what is set."""

    def __init__(self) -> None:
        self.value: Any = None

    def set(self, val: Any) -> None:
        self.value = val

    def get(self) -> Any:
        return self.value


class Told(NamedTuple):
    """What a function gave to an output: as the output took it, and as it was then."""

    encoded: Any
    said: Any


Tell = Callable[[str, Event, Any], None]
"""Is told of an output by its parameter, the event, and what was given."""


class ToldOutput:
    """An output that tells what is sent by it, and sends it."""

    def __init__(self, name: str, output: Output, tell: Tell) -> None:
        self._name = name
        self._output = output
        self._tell = tell
        self.required = bool(getattr(output, "required", False))

    def encode(self, value: Any) -> Told:
        encoded = self._output.encode(value)
        return Told(encoded, _said(encoded, value))

    async def send(self, encoded: Told, event: Event) -> None:
        self._tell(self._name, event, encoded.said)
        await self._output.send(encoded.encoded, event)

    def adopt(self, binding: Binding) -> Callable[[], None] | None:
        adopt = getattr(self._output, "adopt", None)
        change: Callable[[], None] | None = adopt(binding) if adopt is not None else None
        return change

    def status(self) -> Mapping[str, Any]:
        return self._output.status()

    async def close(self) -> None:
        await self._output.close()


class ToldOutputKind:
    """An output kind whose outputs tell what one function gives to them."""

    def __init__(self, kind: OutputKind, function: str, tell: Tell) -> None:
        self._kind = kind
        self._function = function
        self._tell = tell
        self.type = kind.type
        self.options = kind.options
        self.fixed: Sequence[str] = getattr(kind, "fixed", ())

    def check(self, binding: Binding) -> None:
        self._kind.check(binding)

    async def open(self, binding: Binding) -> Output:
        opened = await self._kind.open(binding)
        return ToldOutput(binding.name, opened, self._tell) if binding.function == self._function else opened

    async def close(self) -> None:
        await self._kind.close()


class Unsent:
    """An output that checks what it is given, and sends nothing."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self.required = bool(getattr(output, "required", False))

    def encode(self, value: Any) -> Any:
        return self._output.encode(value)

    async def send(self, encoded: Any, event: Event) -> None:
        """Nothing leaves a test."""

    def status(self) -> Mapping[str, Any]:
        return self._output.status()

    async def close(self) -> None:
        await self._output.close()


class Outbox:
    """Keeps messages in place of the spool's; raises TooLarge for one that the hub would never take."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._messages: list[EdgeMessage] = []

    async def put(self, messages: Sequence[Outgoing]) -> None:
        for outgoing in messages:
            self.pass_by(outgoing.message, outgoing.destination)

    def pass_by(self, message: EdgeMessage, destination: str = "") -> None:
        if not destination:
            self._hub.check(message)
        self._messages.append(message)

    def taken(self) -> list[EdgeMessage]:
        """The messages that came since it was last asked."""
        taken, self._messages = self._messages, []
        return taken


# --- as JSON -----------------------------------------------------------------------------------------------------


def _said(encoded: Any, value: Any) -> Any:
    """What a function gave, as it is at this moment: messages, a response, or JSON."""
    if isinstance(encoded, Encoded):
        return encoded.messages
    if isinstance(encoded, Reply):
        return encoded
    if encoded is None:
        return []  # a user's converter made nothing of it
    return snapshot(value)


def snapshot(value: Any) -> bytes:
    """A value as JSON, so that later changes do not show; of what JSON does not know, how it prints."""
    try:
        return json_bytes(value)
    except TypeError:
        return orjson.dumps(repr(value))


def values_of(said: Any) -> list[Any]:
    """What a function gave to an output as JSON values: one for each message."""
    if isinstance(said, bytes):
        return [orjson.loads(said)]
    if isinstance(said, Reply):
        return [{"status": said.status, "body": body_value(said.body, "application/json")}]
    return [body_value(message.body, message.content_type) for message in said]


def properties_of(said: Any) -> list[dict[str, str]]:
    """The properties of the messages that a function gave to an output; empty where none has any."""
    messages = said if isinstance(said, list) else []
    return [dict(message.properties) for message in messages] if any(m.properties for m in messages) else []


def body_value(body: bytes, content_type: str) -> Any:
    """A body as the JSON value or the text that it is; other bytes stay bytes."""
    if content_type == "application/json":
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def as_json(value: Any) -> Any:
    """A value of ``values_of`` for a file: bytes in base64."""
    if isinstance(value, dict):
        return {name: as_json(item) for name, item in value.items()}
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
