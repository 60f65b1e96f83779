"""``eventHubTrigger``: a cloud function that consumes IoT Hub's events, fed by an input of the module.

The input has the name of the event hub, unless host.json maps it: ``extensions.eventHubs.inputs: {"my-hub": "in"}``.
Metadata has the names that Azure's Event Hubs extension gives it, so that ``func.EventHubEvent`` is complete.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import orjson

from edgefn.contracts import Copies, EdgeMessage, Event, Needs, Origin, Services, TriggerKind
from edgefn.errors import BindingError
from edgefn.event_hubs import event_hubs
from edgefn.function import Binding, Options, Word, named
from edgefn.hookspecs import hookimpl
from edgefn.triggers.edge_hub import EdgeHubTrigger, MessageListener, edge_hub_listener, message_origin
from edgefn.values import element_of, first_of_union, message_converter


class EventHubTrigger(Options):
    """The options of ``eventHubTrigger``; ``connection`` and ``consumerGroup`` mean nothing next to the camera."""

    event_hub_name: Annotated[str, named("an event hub")]
    connection: str = ""
    consumer_group: str = ""
    cardinality: Annotated[Literal["one", "many"], Word] = "one"


class EventHubTriggerKind:
    """The binding type ``eventHubTrigger``."""

    type = "eventHubTrigger"
    options = EventHubTrigger
    level = logging.INFO

    def __init__(self, services: Services) -> None:
        self._inbox = services.spool.inbox
        declared = event_hubs(services.root, services.config)
        self._inputs = declared.inputs
        self._batch = declared.max_event_batch_size
        self._numbers = itertools.count(1)

    def check(self, binding: Binding) -> None:
        self.convert(binding)

    def convert(self, binding: Binding) -> Callable[[Any], Any] | None:
        many = _options(binding).cardinality == "many"
        try:
            wanted = element_of(binding.annotation) if many else first_of_union(binding.annotation)
            if _is_event(wanted):
                return self._events if many else self._event
            one = message_converter(wanted) or (lambda message: message)
        except TypeError as error:
            raise BindingError(f"{binding.where()}: {error}; EventHubEvent would do too") from None
        return (lambda messages: [one(message) for message in messages]) if many else one

    def subscribe(self, binding: Binding) -> None:
        self._inbox.subscribe(binding.function, self._input(binding))

    def unsubscribe(self, binding: Binding) -> None:
        self._inbox.unsubscribe(binding.function)

    def listener(self, binding: Binding) -> MessageListener:
        name, cardinality = self._input(binding), _options(binding).cardinality
        taken = EdgeHubTrigger(input_name=name, cardinality=cardinality, max_batch_size=self._batch)
        return edge_hub_listener(taken, self._inbox.subscribe(binding.function, name))

    def _input(self, binding: Binding) -> str:
        name = _options(binding).event_hub_name
        return self._inputs.get(name, name)

    def origin(self, binding: Binding) -> Callable[[Event], Origin]:
        """The message, with the ``traceparent`` of who sent it."""
        return message_origin("edgehub", self._input(binding))

    def manual(self, binding: Binding, text: str) -> Event:
        """The text as the body of an event."""
        options = _options(binding)
        message = EdgeMessage(text.encode(), input_name=options.event_hub_name, created=datetime.now(UTC))
        return Event([message] if options.cardinality == "many" else message)

    def needs(self, binding: Binding) -> Needs:
        """The input that feeds it."""
        return Needs(inputs=(self._input(binding),))

    def copies(self, binding: Binding) -> Copies:
        """An input belongs to the one module that has it."""
        return Copies("a message that comes to an input is for one host")

    async def close(self) -> None:
        """Shares nothing."""

    def _event(self, message: EdgeMessage) -> Any:
        from azure.functions import eventhub, meta

        known = self._properties(message)
        texts = {
            "SystemProperties": known,
            "Properties": dict(message.properties),
            "PartitionContext": {"EventHubName": message.input_name, "ConsumerGroup": "$Default"},
        }
        data = {name: meta.Datum(orjson.dumps(value).decode(), "json") for name, value in texts.items()}
        for name in ("EnqueuedTimeUtc", "Offset", "PartitionKey"):
            data[name] = meta.Datum(known[name], "string")
        data["SequenceNumber"] = meta.Datum(known["SequenceNumber"], "int")
        body = meta.Datum(message.body, "bytes")
        return eventhub.EventHubTriggerConverter.decode(body, trigger_metadata=data)

    def _events(self, messages: Sequence[EdgeMessage]) -> Any:
        from azure.functions import eventhub, meta

        known = [self._properties(message) for message in messages]
        arrays = {
            "SystemPropertiesArray": known,
            "PropertiesArray": [dict(message.properties) for message in messages],
            "EnqueuedTimeUtcArray": [properties["EnqueuedTimeUtc"] for properties in known],
            "SequenceNumberArray": [properties["SequenceNumber"] for properties in known],
            "OffsetArray": [properties["Offset"] for properties in known],
        }
        data = {name: meta.Datum(orjson.dumps(value).decode(), "json") for name, value in arrays.items()}
        bodies = meta.Datum(SimpleNamespace(bytes=[message.body for message in messages]), "collection_bytes")
        return eventhub.EventHubTriggerConverter.decode(bodies, trigger_metadata=data)

    def _properties(self, message: EdgeMessage) -> dict[str, Any]:
        """The system properties of an event, in the names of IoT Hub's built-in endpoint."""
        number = next(self._numbers)
        enqueued = (message.created or datetime.now(UTC)).isoformat().replace("+00:00", "Z")
        if "." not in enqueued:
            enqueued = enqueued.replace("Z", ".000000Z")
        known = {
            "iothub-connection-device-id": message.connection_device_id,
            "iothub-connection-module-id": message.connection_module_id,
            "iothub-enqueuedtime": enqueued,
            "iothub-message-source": "Telemetry",
            "message-id": message.message_id,
            "correlation-id": message.correlation_id,
            "content-type": message.content_type,
            "content-encoding": message.content_encoding,
        }
        fixed = {"SequenceNumber": number, "Offset": str(number), "EnqueuedTimeUtc": enqueued}
        partition = {"PartitionKey": message.connection_device_id}
        return {name: value for name, value in known.items() if value} | fixed | partition


def _options(binding: Binding) -> EventHubTrigger:
    assert isinstance(binding.options, EventHubTrigger)
    return binding.options


def _is_event(annotation: Any) -> bool:
    """Whether the parameter wants Azure's own class, which is also what it gets without an annotation."""
    from azure.functions import EventHubEvent

    if annotation in (None, Any):
        return True
    return isinstance(annotation, type) and issubclass(annotation, EventHubEvent)


@hookimpl
def edgefn_triggers(services: Services) -> Sequence[TriggerKind]:
    return [EventHubTriggerKind(services)]
