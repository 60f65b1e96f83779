"""What is around a function in a test: a clock that waits, a hub that is not connected, an outbox that keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from edgefn.bindings.edge_hub import EdgeHubOutputKind
from edgefn.bindings.event_hub import EventHubOutputKind
from edgefn.bindings.mqtt import MqttOutputKind
from edgefn.contracts import Hub, OutputKind, Services, TriggerKind
from edgefn.hookspecs import hookimpl
from edgefn.hubs import local
from edgefn.metrics import Metrics
from edgefn.settings import HostConfig, Settings
from edgefn.spool import Spool
from edgefn.testing.clock import Clock
from edgefn.testing.outputs import Outbox
from edgefn.triggers.timer import TimerTriggerKind


class LocalHubOnly:
    """A plugin that leaves the app the hub inside its process, whatever the environment names."""

    @hookimpl
    def edgefn_hub(
        self, root: Path, state: Path, config: HostConfig, settings: Settings, metrics: Metrics
    ) -> Hub | None:
        return local.edgefn_hub(root, state, config, settings, metrics)


class Surroundings(LocalHubOnly):
    """A plugin with the kinds that would look at the clock or send messages."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._outbox: Outbox | None = None

    @property
    def outbox(self) -> Outbox:
        """What the outputs of the app put their messages into."""
        assert self._outbox is not None
        return self._outbox

    @hookimpl
    def edgefn_triggers(self, services: Services) -> Sequence[TriggerKind]:
        return [TimerTriggerKind(services, self._clock)]

    @hookimpl
    def edgefn_outputs(self, services: Services) -> Sequence[OutputKind]:
        self._outbox = Outbox(services.hub)
        kept = replace(services, spool=cast("Spool", SimpleNamespace(outbox=self._outbox)))
        return [
            EdgeHubOutputKind(kept, self._clock.monotonic),
            EventHubOutputKind(kept),
            MqttOutputKind(kept, self._clock.monotonic),
        ]
