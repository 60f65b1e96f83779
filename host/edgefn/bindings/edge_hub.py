"""``edgeHub``: what a function gives goes to an output of the module."""

from __future__ import annotations

import dataclasses
import logging
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol, Self

import orjson
from pydantic import Field, field_validator, model_validator

from edgefn.bindings.result_gate import GatedOptions, Reason, ResultGate, declared_gate
from edgefn.contracts import EdgeMessage, Event, Needs, Outgoing, OutputKind, Services, VideoFrame
from edgefn.errors import EdgefnError
from edgefn.function import Binding, Seconds, Truth
from edgefn.gates.sightings import Sighting
from edgefn.hookspecs import hookimpl
from edgefn.ids import new_id
from edgefn.spool import Outbox
from edgefn.spool.options import WhenFull
from edgefn.values import json_bytes, refuse_pictures

if TYPE_CHECKING:
    from edgefn.spans import Spans

log = logging.getLogger("edgefn.host")

JSON = "application/json"
LARGE = 16_384
"""Bytes of JSON from which on a value is looked through for pictures."""
RATE = re.compile(r"^\s*(\d+)\s*/\s*(second|minute|hour|s|m|h)\s*$", re.IGNORECASE)
WINDOWS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class MessageOptions(GatedOptions):
    """The options of an output whose values become messages."""

    interval: Seconds = Field(default=0.0, ge=0.0)
    on_change: Annotated[bool | str | list[str], Truth] = False
    rate: str = Field(default="", json_schema_extra={"pattern": f"{RATE.pattern}|^$"})
    suppress: Annotated[bool, Truth] = False
    """Nothing leaves while it is true."""
    properties: dict[str, str] = Field(default_factory=dict)
    content_type: str = ""
    ttl: Seconds | None = Field(default=None, gt=0.0)
    when_full: WhenFull | None = None
    durable: Annotated[bool, Truth] = True

    @model_validator(mode="after")
    def _kept_or_not(self) -> Self:
        if not self.durable and (self.ttl is not None or self.when_full is not None):
            raise ValueError("ttl and whenFull are for messages that are kept; leave them out, or durable")
        return self

    @model_validator(mode="after")
    def _every_leave_is_sent(self) -> Self:
        if self.gate == "presence" and (self.interval or self.on_change or self.rate):
            raise ValueError(
                "interval, onChange and rate would hold back who enters or leaves; leave them out with gate presence, "
                "and take hold to have fewer messages"
            )
        return self

    @field_validator("rate")
    @classmethod
    def _rate(cls, value: str) -> str:
        match = RATE.match(value)
        if value and (match is None or int(match[1]) < 1):
            raise ValueError("should be a number of messages in a window, like 6/minute or 10/second")
        return value

    def limit(self) -> tuple[int, float] | None:
        """Messages and the seconds of the window in which at most so many leave."""
        match = RATE.match(self.rate)
        return (int(match[1]), WINDOWS[match[2][0].lower()]) if match else None

    def fields(self) -> list[str] | None:
        """The fields of a value that ``onChange`` compares; None for the whole value."""
        if isinstance(self.on_change, str):
            return [name.strip() for name in self.on_change.split(",")]
        return self.on_change if isinstance(self.on_change, list) else None


class EdgeHubOutputOptions(MessageOptions):
    """The options of ``edgeHub``."""

    output_name: str = ""

    @model_validator(mode="before")
    @classmethod
    def _without_batches(cls, declared: Any) -> Any:
        """``batchSize`` of the C# binding of IoT Edge is taken and left out: each message is sent at once."""
        return {name: value for name, value in declared.items() if name != "batchSize"}


class Post(Protocol):
    """Where the messages of an output go."""

    @property
    def output(self) -> str:
        """The name under which they wait: each has its order, its bounds and its counters."""

    @property
    def destination(self) -> str:
        """The broker; empty for the hub."""

    def addressed(self, message: EdgeMessage, event: Event) -> EdgeMessage:
        """The message with all that its destination has to know; raises EdgefnError."""


class HubPost:
    """An output of the module."""

    destination = ""

    def __init__(self, options: MessageOptions) -> None:
        assert isinstance(options, EdgeHubOutputOptions)
        self.output = options.output_name

    def addressed(self, message: EdgeMessage, event: Event) -> EdgeMessage:
        return message


class Encoded(NamedTuple):
    """What a function set, ready to be sent; ``key`` is what ``onChange`` compares."""

    messages: list[EdgeMessage]
    key: bytes = b""
    named: bool = False
    """Whether the function gave its messages ids of their own."""
    results: Sequence[Sighting] | None = None
    """What the gate is fed with; None where there was none when the function set the value."""

    def because(self, reasons: Sequence[Reason]) -> Encoded:
        """One message for each reason, which is in its properties."""
        (message,) = self.messages
        return self._replace(messages=[_with_reason(message, reason, n) for n, reason in enumerate(reasons)])


def _with_reason(message: EdgeMessage, reason: Reason, number: int) -> EdgeMessage:
    message_id = f"{message.message_id}.{number}" if number else message.message_id
    return dataclasses.replace(message, properties={**message.properties, **reason}, message_id=message_id)


class Gate:
    """Decides what leaves: only changes, at most one in an interval, at most so many in a window; counts the rest."""

    def __init__(self, options: MessageOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._sent: deque[float] = deque()
        self._clock = clock
        self._due: float | None = None
        self._left: float | None = None
        self._last: bytes | None = None
        self._before: tuple[bytes | None, float | None, float | None] = (None, None, None)
        self.held_back: Counter[str] = Counter()
        self.interval = 0.0
        self.change(options)

    def change(self, options: MessageOptions) -> None:
        """Decides by other options from now on; an interval counts from the last message that left."""
        self._on_change = bool(options.on_change)
        self._suppress = options.suppress
        self._limit = options.limit()
        if options.interval != self.interval:
            self.interval = options.interval
            self._due = self._due_after(self._left)
            last, left, _ = self._before
            self._before = (last, left, self._due_after(left))

    def admits(self, key: bytes, count: int = 1) -> int:
        """How many of the messages of a value may leave now; these count as sent, until ``undo`` says otherwise."""
        now = self._clock()
        if self._suppress:
            return self._hold("suppressed")
        if self._on_change and key == self._last:
            return self._hold("unchanged")
        if self._due is not None and now < self._due:
            return self._hold("interval")
        leaving = min(count, self._room(now)) if self._limit else count
        self.held_back.update({"rate": count - leaving} if leaving < count else {})
        if not leaving:
            return 0
        self._before = (self._last, self._left, self._due)
        self._last, self._left = key, now
        if self._limit:
            self._sent.extend([now] * leaving)
        if self.interval:
            self._due = self._next(now)
        return leaving

    def undo(self, count: int) -> None:
        """Takes the last admission back, of so many messages: the next value is not late, and no repetition."""
        self._last, self._left, self._due = self._before
        for _ in range(min(count, len(self._sent))):
            self._sent.pop()

    def _due_after(self, left: float | None) -> float | None:
        return None if left is None else left + self.interval

    def _next(self, now: float) -> float:
        """The next due time, on a grid from the first message on, so that late frames do not add up to a drift."""
        due = (self._due or now) + self.interval
        return due if due > now else now + self.interval - (now - due) % self.interval

    def _room(self, now: float) -> int:
        """How many messages the window has room for."""
        assert self._limit is not None
        count, window = self._limit
        while self._sent and self._sent[0] <= now - window:
            self._sent.popleft()
        return count - len(self._sent) if len(self._sent) < count else 0

    def _hold(self, cause: str) -> int:
        self.held_back[cause] += 1
        return 0


class MessageOutput:
    """An output of the module, or of a broker, as one function writes to it."""

    def __init__(
        self,
        options: MessageOptions,
        outbox: Outbox,
        gate: Gate,
        result_gate: ResultGate | None = None,
        post: Callable[[Any], Post] = HubPost,
        spans: Spans | None = None,
    ) -> None:
        self._options = options
        self._spans = spans
        self._make_post = post
        self._post = post(options)
        self._outbox = outbox
        self._gate = gate
        self._result_gate = result_gate
        self._published = 0
        self._fields = options.fields()

    def encode(self, value: Any) -> Encoded:
        """One message for a value, or one for each element of a list, a tuple, or a text that is a JSON array.

        With a gate it is one message always.
        """
        if self._result_gate is not None:
            return Encoded([self._message(value)], self._key(value), _has_id(value), self._result_gate.results(value))
        if isinstance(value, list | tuple):
            return Encoded([self._message(element) for element in value], self._key(value), any(map(_has_id, value)))
        message = self._message(value)
        if isinstance(value, str) and message.content_type == JSON and value.lstrip().startswith("["):
            return Encoded([self._message(element) for element in orjson.loads(value)], message.body)
        return Encoded([message], self._key(value) if self._fields else message.body, _has_id(value))

    async def send(self, encoded: Encoded, event: Event) -> None:
        if self._result_gate is None or encoded.results is None:
            await self._pass(encoded, event)
        elif reasons := self._result_gate.feed(encoded.results, event):
            await self._pass_or_undo(encoded.because(reasons), event, self._result_gate)
        else:
            self._gate.held_back[self._result_gate.name] += 1

    async def _pass_or_undo(self, encoded: Encoded, event: Event, opened: ResultGate) -> None:
        sent = False
        try:
            sent = await self._pass(encoded, event)
        finally:
            if not sent:
                opened.undo()

    async def _pass(self, encoded: Encoded, event: Event) -> bool:
        """Sends the messages, unless they come too soon or too often; whether it did."""
        admitted = encoded.messages[: self._gate.admits(encoded.key, len(encoded.messages))]
        if not admitted:
            return not encoded.messages
        messages = self._addressed(admitted, event)
        if not self._options.durable:
            for message in messages:
                going = self._outbox.pass_by(message, self._post.destination)
                if self._spans is not None and going is not None:
                    self._spans.sending(message, going)
        elif event.settlement is not None:
            for message in messages:
                if not encoded.named:
                    message = dataclasses.replace(message, message_id=event.settlement.next_id())
                event.settlement.put(self._outgoing(message))
            event.settlement.otherwise(partial(self._take_back, len(messages)))
        else:
            await self._store([self._outgoing(message) for message in messages])
        self._published += len(messages)
        return True

    def _take_back(self, count: int) -> None:
        """The message that caused these is tried again, or has failed: they do not leave."""
        self._gate.undo(count)
        self._published -= count

    def _addressed(self, messages: Sequence[EdgeMessage], event: Event) -> list[EdgeMessage]:
        try:
            addressed = [self._post.addressed(message, event) for message in messages]
        except EdgefnError:
            self._gate.undo(len(messages))
            raise
        return addressed if self._spans is None else list(map(self._spans.carried, addressed))

    async def _store(self, messages: Sequence[Outgoing]) -> None:
        stored = False
        try:
            await self._outbox.put(messages)
            stored = True
        finally:
            if not stored:
                self._gate.undo(len(messages))

    def _outgoing(self, message: EdgeMessage) -> Outgoing:
        return Outgoing(message, self._options.when_full or "", self._options.ttl, self._post.destination)

    def adopt(self, binding: Binding) -> Callable[[], None] | None:
        """All options change in place; what is held back, what has left, and what its gate has seen, counts on."""
        options = binding.options
        return partial(self._change, options) if isinstance(options, MessageOptions) else None

    def _change(self, options: MessageOptions) -> None:
        self._options, self._fields = options, options.fields()
        self._post = self._make_post(options)
        self._gate.change(options)
        self._result_gate = declared_gate(options, self._result_gate)

    def status(self) -> Mapping[str, Any]:
        return {
            "output": self._post.output,
            "published": self._published,
            "held_back": dict(self._gate.held_back),
        }

    async def close(self) -> None:
        """Holds nothing."""

    def _key(self, value: Any) -> bytes:
        if not self._options.on_change:
            return b""
        if self._fields is None:
            return json_bytes(value)
        document = orjson.loads(json_bytes(value))
        return json_bytes([document.get(name) if isinstance(document, dict) else document for name in self._fields])

    def _message(self, value: Any) -> EdgeMessage:
        if isinstance(value, EdgeMessage):
            message = dataclasses.replace(_checked(value), output_name=self._post.output, input_name="")
            body, kind = message.body, message.content_type
        else:
            message = None
            if isinstance(value, VideoFrame):
                refuse_pictures(value)
            body, kind = body_of(value)
            if len(body) > LARGE and not isinstance(value, str | bytes | bytearray):
                refuse_pictures(value)
        properties = {**self._options.properties, **(message.properties if message else {})}
        return EdgeMessage(
            body,
            properties,
            message_id=(message and message.message_id) or new_id(),
            correlation_id=message.correlation_id if message else "",
            content_type=self._options.content_type or kind,
            created=datetime.now(UTC),
            output_name=self._post.output,
            is_json=kind == JSON and not message,
        )


TEXTS = ("message_id", "correlation_id", "content_type", "content_encoding")


def _checked(message: EdgeMessage) -> EdgeMessage:
    """A message that a function made itself, as one that can leave; raises TypeError."""
    if not isinstance(message.body, bytes | bytearray | memoryview):
        found = type(message.body).__name__
        raise TypeError(
            f"the body of an EdgeMessage is a {found}; bytes would be right, or the value itself without one"
        )
    texts = [(name, getattr(message, name)) for name in TEXTS]
    for name, value in message.properties.items():
        texts += [(f"the name of property {name!r}", name), (f"property {name!r}", value)]
    for what, text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{what} of an EdgeMessage is a {type(text).__name__}; a text would be right")
        if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            raise TypeError(f"{what} of an EdgeMessage is no text that UTF-8 has")
    return dataclasses.replace(message, body=bytes(message.body))


def _has_id(value: Any) -> bool:
    return isinstance(value, EdgeMessage) and bool(value.message_id)


def body_of(value: Any) -> tuple[bytes, str]:
    """The body and content type of a value: text and bytes as they are, everything else as JSON.

    Raises TypeError for what JSON can not hold.
    """
    if isinstance(value, str | bytes | bytearray):
        body = value.encode() if isinstance(value, str) else bytes(value)
        other = "text/plain" if isinstance(value, str) else "application/octet-stream"
        return body, JSON if _is_json(body) else other
    return json_bytes(value), JSON


def _is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


class EdgeHubOutputKind:
    """The binding type ``edgeHub``."""

    type = "edgeHub"
    options = EdgeHubOutputOptions

    def __init__(self, services: Services, clock: Callable[[], float] = time.monotonic) -> None:
        self._outbox = services.spool.outbox
        self._traces = services.traces
        self._clock = clock

    def check(self, binding: Binding) -> None:
        """Any annotation will do: what can not be sent is said when it is set."""
        if "batchSize" in binding.declared:
            log.warning("%s: batchSize does nothing here: each message is sent at once; leave it out", binding.where())

    async def open(self, binding: Binding) -> MessageOutput:
        assert isinstance(binding.options, EdgeHubOutputOptions)
        gate = Gate(binding.options, self._clock)
        spans = self._traces.spans
        return MessageOutput(binding.options, self._outbox, gate, declared_gate(binding.options), spans=spans)

    def needs(self, binding: Binding) -> Needs:
        """The output that it writes to."""
        assert isinstance(binding.options, EdgeHubOutputOptions)
        return Needs(outputs=(binding.options.output_name,))

    async def close(self) -> None:
        """Shares nothing."""


@hookimpl
def edgefn_outputs(services: Services) -> Sequence[OutputKind]:
    return [EdgeHubOutputKind(services)]
