"""``mqtt``: what a function gives is published to a topic of an MQTT broker; until then it waits in the outbox."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from edgefn.bindings.edge_hub import Gate, MessageOptions, MessageOutput
from edgefn.bindings.patterns import Pattern, pattern
from edgefn.bindings.result_gate import declared_gate
from edgefn.contracts import Copies, EdgeMessage, Event, Needs, OutputKind, Services
from edgefn.errors import BindingError, SettingError
from edgefn.function import Binding, Truth, named
from edgefn.hookspecs import hookimpl
from edgefn.mqtt.topics import fault_of_topic


class MqttOutputOptions(MessageOptions):
    """The options of ``mqtt``."""

    topic: Annotated[str, named("a topic such as plant/{function}")]
    """With values in braces, which are those of the event."""
    broker: str = ""
    """The address; empty for the setting MQTT_BROKER, or the environment of Azure IoT Operations."""
    qos: int = Field(default=1, ge=0, le=1)
    retain: Annotated[bool, Truth] = False

    @model_validator(mode="after")
    def _can_be_a_topic(self) -> Self:
        literal = "".join(f"{text}{'x' if field else ''}" for text, field, _ in self.pattern.parts)
        if fault := fault_of_topic(literal):
            raise ValueError(f"topic '{self.topic}' {fault}")
        return self

    @property
    def pattern(self) -> Pattern:
        return pattern(self.topic)


class Topic:
    """The messages of one output: where each goes."""

    def __init__(self, options: MqttOutputOptions, destination: str, function: str) -> None:
        self.destination = destination
        self.output = f"{destination}/{options.topic}"
        self._options = options
        self._pattern = options.pattern
        self._function = function

    def addressed(self, message: EdgeMessage, event: Event) -> EdgeMessage:
        topic = self._pattern.made_for(event, self._function, level)
        return dataclasses.replace(message, topic=topic, qos=self._options.qos, retain=self._options.retain)


def level(text: str) -> str:
    """A value as it may stand in a topic; a / in it begins another level."""
    return "".join("_" if letter in "+#\0" else letter for letter in text)


class MqttOutputKind:
    """The binding type ``mqtt``."""

    type = "mqtt"
    options = MqttOutputOptions
    fixed = ("broker",)

    def __init__(self, services: Services, clock: Callable[[], float] = time.monotonic) -> None:
        self._outbox = services.spool.outbox
        self._brokers = services.brokers
        self._traces = services.traces
        self._clock = clock

    def check(self, binding: Binding) -> None:
        """Any annotation will do: what can not be sent is said when it is set."""
        try:
            self._brokers.address(_options(binding).broker)
        except SettingError as error:
            raise BindingError(f"{binding.where()}: {error}") from None

    async def open(self, binding: Binding) -> MessageOutput:
        options = _options(binding)
        broker = self._brokers.broker(options.broker)
        broker.send()
        post: Callable[[Any], Topic] = partial(Topic, destination=broker.name, function=binding.function)
        gate, spans = Gate(options, self._clock), self._traces.spans
        return MessageOutput(options, self._outbox, gate, declared_gate(options), post, spans)

    def needs(self, binding: Binding) -> Needs:
        """Its broker."""
        return self._brokers.needs(_options(binding).broker)

    def copies(self, binding: Binding) -> Copies:
        """Each host publishes, under a client id of its own."""
        return Copies(self._brokers.why_one(_options(binding).broker))

    async def close(self) -> None:
        """Brokers are closed by the host, after what waits for them was sent."""


def _options(binding: Binding) -> MqttOutputOptions:
    assert isinstance(binding.options, MqttOutputOptions)
    return binding.options


@hookimpl
def edgefn_outputs(services: Services) -> Sequence[OutputKind]:
    return [MqttOutputKind(services)]
