"""``edgeHubTrigger``: a message that came to an input of the module."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from edgefn.contracts import Copies, EdgeMessage, Emit, Event, Feed, Needs, Origin, Services, TriggerKind
from edgefn.errors import BindingError
from edgefn.function import Binding, Options, Word, named
from edgefn.hookspecs import hookimpl
from edgefn.spool import Subscription
from edgefn.spool.settlement import MessageSettlement
from edgefn.spool.subscription import Received
from edgefn.values import element_of, message_converter
from edgefn.workers import work


class TakingOptions(Options):
    """How a function takes messages: one or several at once, one after the other or side by side."""

    cardinality: Annotated[Literal["one", "many"], Word] = "one"
    max_batch_size: int = Field(default=64, ge=1)
    max_concurrency: int = Field(default=1, ge=1)


class EdgeHubTrigger(TakingOptions):
    """The options of ``edgeHubTrigger``."""

    input_name: Annotated[str, named("an input of the module, or * for all")] = "*"


class MessageListener:
    """Takes messages of one function from the inbox and runs it for each, or for several at once.

    A message ends with its outcome: done, with what it caused; or a dead letter, after the last attempt. Where the host
    stops before, it stays in the inbox.
    """

    feed = Feed.INBOX

    def __init__(
        self,
        options: TakingOptions,
        subscription: Subscription,
        fired: Callable[[EdgeMessage], str],
        about: Callable[[], Mapping[str, Any]],
    ) -> None:
        """``fired`` gives the words for the log, ``about`` what the status begins with."""
        self._options = options
        self._fired = fired
        self._about = about
        self._subscription = subscription
        self._many = options.cardinality == "many"
        self._limit = options.max_batch_size if self._many else 1
        self._taken = 0
        subscription.listen(listening=True)

    async def listen(self, emit: Emit) -> None:
        async def handle(rows: list[Received]) -> None:
            settlement = self._subscription.settlement(rows)
            try:
                await self._handle(settlement, emit)
            except BaseException:
                settlement.back()
                raise

        self._subscription.listen(listening=True)
        try:
            await work(self._options.max_concurrency, self._take, handle)
        finally:
            self._subscription.listen(listening=False)

    async def _take(self) -> list[Received]:
        rows = await self._subscription.take(self._limit, self._options.max_concurrency * self._limit)
        self._taken += len(rows)
        return rows

    async def _handle(self, settlement: MessageSettlement, emit: Emit) -> None:
        messages = [row.message for row in settlement.rows]
        value = messages if self._many else messages[0]
        outcome = await emit(Event(value, self._fired(messages[0]), settlement=settlement))
        await settlement.end(outcome)

    def status(self) -> Mapping[str, Any]:
        return {**self._about(), "messages": self._taken, "waiting": self._subscription.depth}


def edge_hub_listener(options: EdgeHubTrigger, subscription: Subscription) -> MessageListener:
    """Takes what came to an input of the module."""

    def fired(message: EdgeMessage) -> str:
        return f"EdgeHub trigger fired at {message.created or 'no known time'}"

    return MessageListener(options, subscription, fired, lambda: {"input": options.input_name})


def message_origin(system: str, destination: str) -> Callable[[Event], Origin]:
    """How messages tell where they came from: ``system`` is OpenTelemetry's word for who brought them."""

    def origin(event: Event) -> Origin:
        messages: list[EdgeMessage] = event.value if isinstance(event.value, list) else [event.value]
        attributes: dict[str, str | int] = {
            "messaging.system": system,
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.destination.name": messages[0].topic or messages[0].input_name or destination,
        }
        if len(messages) > 1:
            attributes["messaging.batch.message_count"] = len(messages)
        else:
            attributes["messaging.message.id"] = messages[0].message_id
            attributes["messaging.message.body.size"] = len(messages[0].body)
        return Origin("pubsub", [message.properties for message in messages], attributes)

    return origin


def converter(binding: Binding) -> Callable[[Any], Any] | None:
    """How one message, or several, become the annotated type of the parameter; None when they are passed as they are.

    Raises BindingError for types that they can not become.
    """
    assert isinstance(binding.options, TakingOptions)
    try:
        if binding.options.cardinality == "one":
            return message_converter(binding.annotation)
        one = message_converter(element_of(binding.annotation))
    except TypeError as error:
        raise BindingError(f"{binding.where()}: {error}") from None
    return None if one is None else lambda messages: [one(message) for message in messages]


class EdgeHubTriggerKind:
    """The binding type ``edgeHubTrigger``."""

    type = "edgeHubTrigger"
    options = EdgeHubTrigger
    level = logging.INFO

    def __init__(self, services: Services) -> None:
        self._inbox = services.spool.inbox

    def check(self, binding: Binding) -> None:
        self.convert(binding)

    def convert(self, binding: Binding) -> Callable[[Any], Any] | None:
        return converter(binding)

    def subscribe(self, binding: Binding) -> None:
        assert isinstance(binding.options, EdgeHubTrigger)
        self._inbox.subscribe(binding.function, binding.options.input_name)

    def unsubscribe(self, binding: Binding) -> None:
        self._inbox.unsubscribe(binding.function)

    def listener(self, binding: Binding) -> MessageListener:
        options = binding.options
        assert isinstance(options, EdgeHubTrigger)
        return edge_hub_listener(options, self._inbox.subscribe(binding.function, options.input_name))

    def origin(self, binding: Binding) -> Callable[[Event], Origin]:
        """The message, with the ``traceparent`` of who sent it."""
        assert isinstance(binding.options, EdgeHubTrigger)
        return message_origin("edgehub", binding.options.input_name)

    def manual(self, binding: Binding, text: str) -> Event:
        """The text as the body of a message that came to the input."""
        assert isinstance(binding.options, EdgeHubTrigger)
        message = EdgeMessage(text.encode(), input_name=binding.options.input_name, created=datetime.now(UTC))
        return Event([message] if binding.options.cardinality == "many" else message)

    def needs(self, binding: Binding) -> Needs:
        """The input that feeds it."""
        assert isinstance(binding.options, EdgeHubTrigger)
        return Needs(inputs=(binding.options.input_name,))

    def copies(self, binding: Binding) -> Copies:
        """An input belongs to the one module that has it."""
        return Copies("a message that comes to an input is for one host")

    async def close(self) -> None:
        """Shares nothing."""


@hookimpl
def edgefn_triggers(services: Services) -> Sequence[TriggerKind]:
    return [EdgeHubTriggerKind(services)]
