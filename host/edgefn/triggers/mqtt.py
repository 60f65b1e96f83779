"""``mqttTrigger``: a message of an MQTT broker, stored in the inbox before the broker may forget it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from edgefn.contracts import Copies, EdgeMessage, Event, Needs, Origin, Services, TriggerKind
from edgefn.errors import BindingError, SettingError
from edgefn.function import Binding, Truth, named
from edgefn.hookspecs import hookimpl
from edgefn.mqtt.brokers import Broker
from edgefn.mqtt.topics import fault_of_filter, fault_of_group, shared
from edgefn.spool import Subscription
from edgefn.triggers.edge_hub import MessageListener, TakingOptions, converter, message_origin


class MqttTrigger(TakingOptions):
    """The options of ``mqttTrigger``."""

    topic: Annotated[str, named("a topic such as plant/+/temperature")]
    """With + for any one level, and # for all further ones."""
    broker: str = ""
    """The address; empty for the setting MQTT_BROKER, or the environment of Azure IoT Operations."""
    share: str = ""
    """The group whose members each get a part of the messages; empty where each host gets all."""
    qos: int = Field(default=1, ge=0, le=1)
    retained: Annotated[bool, Truth] = True
    """Whether a new subscription begins with the messages that the broker retains."""

    @model_validator(mode="after")
    def _can_be_subscribed(self) -> Self:
        if fault := fault_of_filter(self.topic):
            raise ValueError(f"topic '{self.topic}' {fault}")
        if fault := fault_of_group(self.share):
            raise ValueError(f"share '{self.share}' {fault}")
        return self

    @property
    def filter(self) -> str:
        """What the broker is asked for."""
        return shared(self.share, self.topic)


class MqttTriggerKind:
    """The binding type ``mqttTrigger``."""

    type = "mqttTrigger"
    options = MqttTrigger
    level = logging.INFO
    fixed = ("broker",)

    def __init__(self, services: Services) -> None:
        self._brokers = services.brokers

    def check(self, binding: Binding) -> None:
        converter(binding)
        try:
            self._brokers.address(_options(binding).broker)
        except SettingError as error:
            raise BindingError(f"{binding.where()}: {error}") from None

    def convert(self, binding: Binding) -> Callable[[Any], Any] | None:
        return converter(binding)

    def subscribe(self, binding: Binding) -> None:
        self._subscribed(binding)

    def unsubscribe(self, binding: Binding) -> None:
        self._brokers.unsubscribe(binding.function)

    def listener(self, binding: Binding) -> MessageListener:
        options = _options(binding)
        broker, subscription = self._subscribed(binding)

        def about() -> Mapping[str, Any]:
            refusal = broker.refusal(options.filter)
            state = {"broker": broker.name, "state": broker.state}
            return {"topic": options.filter, **state, **({"refused": refusal} if refusal else {})}

        return MessageListener(options, subscription, _fired, about)

    def _subscribed(self, binding: Binding) -> tuple[Broker, Subscription]:
        options = _options(binding)
        wanted = (binding.function, options.filter, options.qos)
        return self._brokers.subscribe(options.broker, *wanted, retained=options.retained)

    def origin(self, binding: Binding) -> Callable[[Event], Origin]:
        """The message, with the ``traceparent`` among its user properties."""
        return message_origin("mqtt", _options(binding).topic)

    def manual(self, binding: Binding, text: str) -> Event:
        """The text as the body of a message of the topic; a wildcard in that stands for itself."""
        options = _options(binding)
        message = EdgeMessage(text.encode(), topic=options.topic)
        return Event([message] if options.cardinality == "many" else message)

    def needs(self, binding: Binding) -> Needs:
        """Its broker."""
        return self._brokers.needs(_options(binding).broker)

    def copies(self, binding: Binding) -> Copies:
        """A part of the messages for each host, by the group of a shared subscription."""
        options = _options(binding)
        if not options.share:
            return Copies('without share each host would get all of its messages; share="GROUP" gives each a part')
        return Copies(self._brokers.why_one(options.broker), shares=True)

    async def close(self) -> None:
        """Brokers are closed by the host, after what waits for them was sent."""


def _fired(message: EdgeMessage) -> str:
    return f"MQTT trigger fired for topic {message.topic}"


def _options(binding: Binding) -> MqttTrigger:
    assert isinstance(binding.options, MqttTrigger)
    return binding.options


@hookimpl
def edgefn_triggers(services: Services) -> Sequence[TriggerKind]:
    return [MqttTriggerKind(services)]
