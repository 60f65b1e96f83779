"""``eventHub``: what a cloud function sends to an event hub goes to an output of the module.

The output has the name of the event hub, unless host.json maps it: ``extensions.eventHubs.outputs: {"my-hub": "out"}``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from edgefn.bindings.edge_hub import EdgeHubOutputOptions, Gate, MessageOutput
from edgefn.contracts import Needs, OutputKind, Services
from edgefn.event_hubs import event_hubs
from edgefn.function import Binding, Options, named
from edgefn.hookspecs import hookimpl


class EventHubOutputOptions(Options):
    """The options of ``eventHub``; ``connection`` means nothing next to the camera."""

    event_hub_name: Annotated[str, named("an event hub")]
    connection: str = ""


class EventHubOutputKind:
    """The binding type ``eventHub``."""

    type = "eventHub"
    options = EventHubOutputOptions

    def __init__(self, services: Services) -> None:
        self._outbox = services.spool.outbox
        self._traces = services.traces
        self._outputs = event_hubs(services.root, services.config).outputs

    def check(self, binding: Binding) -> None:
        """Any annotation will do: what can not be sent is said when it is set."""

    async def open(self, binding: Binding) -> MessageOutput:
        options = EdgeHubOutputOptions(output_name=self._output(binding))
        return MessageOutput(options, self._outbox, Gate(options), spans=self._traces.spans)

    def needs(self, binding: Binding) -> Needs:
        """The output that it writes to."""
        return Needs(outputs=(self._output(binding),))

    def _output(self, binding: Binding) -> str:
        assert isinstance(binding.options, EventHubOutputOptions)
        name = binding.options.event_hub_name
        return self._outputs.get(name, name)

    async def close(self) -> None:
        """Shares nothing."""


@hookimpl
def edgefn_outputs(services: Services) -> Sequence[OutputKind]:
    return [EventHubOutputKind(services)]
