"""``mqtt``: a plain MQTT 5 broker as the hub, where host.json names one. See docs/mqtt.md.

    {"extensions": {"edgeHub": {"broker": "%MQTT_BROKER%", "topicPrefix": "site/box-7"}}}

Output ``out`` is the topic ``<prefix>/outputs/out``, input ``in`` is ``<prefix>/inputs/in``; the prefix is the id of
the module where none is given. A broker has no routes, direct methods and desired properties; what the host reports is
the retained message of ``<prefix>/reported``.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from edgefn.contracts import EdgeMessage, Hub, HubSink, HubState, Twin
from edgefn.desired import merged
from edgefn.errors import NotConnected, SettingError
from edgefn.hookspecs import hookimpl
from edgefn.hubs.inputs import Inputs
from edgefn.hubs.options import DEFAULT_MODULE, REPLICA, edge_hub_options
from edgefn.metrics import Metrics
from edgefn.mqtt.address import Address, address_of
from edgefn.mqtt.flights import failed
from edgefn.mqtt.intake import dropped_counter, known_again
from edgefn.mqtt.link import WINDOW, Link
from edgefn.mqtt.options import MqttOptions, mqtt_options
from edgefn.mqtt.remembered import Memory
from edgefn.mqtt.topics import Wanted, fault_of_topic
from edgefn.settings import HostConfig, Settings
from edgefn.supervision import for_ever

if TYPE_CHECKING:
    from edgefn.mqtt.connection import Came, Connection

log = logging.getLogger("edgefn.hub")

FILE = "mqtt-hub.json"
NOT_STARTED = {"state": HubState.OFFLINE, "since": "", "generation": 0, "lost": ""}


class MqttHub:
    """See edgefn.contracts.Hub."""

    name = "mqtt"
    window = WINDOW

    def __init__(
        self, address: Address, prefix: str, options: MqttOptions, state: Path, metrics: Metrics, replica: str = ""
    ) -> None:
        self._address = address
        self._prefix = prefix
        self._report_topic = f"{prefix}/reported/{replica}" if replica else f"{prefix}/reported"
        self._options = options
        self.unacknowledged = known_again(options.receive_maximum)
        """How many messages may be delivered again; edgeHub has one at a time."""
        self._memory = Memory(state / FILE)
        self._metrics = metrics
        self._connected = metrics.gauge("edgefn_hub_connected", "1 while the hub is connected")
        self._dropped = dropped_counter(metrics)
        self._link: Link | None = None
        self._taking: asyncio.Task[None] | None = None
        self._reported: Mapping[str, Any] = {}

    # --- life ----------------------------------------------------------------------------------------------------

    async def start(self, sink: HubSink) -> None:
        self._sink = sink
        self._inputs = Inputs(self.name, sink)
        self._link = self._make_link()
        inputs = Wanted(f"{self._prefix}/inputs/#")
        self._link.want({inputs.filter: inputs})
        self._taking = asyncio.create_task(for_ever(self._inputs.run, log, "The mqtt hub"), name="mqtt inputs")
        self._link.start()

    def _make_link(self) -> Link:
        own = self._address.client_id
        client_id = f"{own}-hub" if own else self._memory.client_id(f"{self._address.name}/{self._prefix}")
        remembered = self._memory.of(client_id)
        return Link(self._address, client_id, self._options, remembered, self, self._metrics)

    async def stop(self) -> None:
        if self._link is None or self._taking is None:
            return
        await self._link.stop()
        self._taking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._taking

    @property
    def state(self) -> HubState:
        return self._link.state if self._link else HubState.OFFLINE

    def status(self) -> Mapping[str, Any]:
        own = {"name": self.name, "broker": self._address.name, "prefix": self._prefix}
        return {**own, **(self._link.status() if self._link else NOT_STARTED)}

    # --- what the link tells ---------------------------------------------------------------------------------------

    def on_state(self, state: HubState) -> None:
        self._connected.set(state is HubState.ONLINE)
        self._sink.on_state(state)

    def on_message(self, connection: Connection, came: Came) -> None:
        if not came.message.qos and self._inputs.is_full:  # its sender said that it may be lost
            self._dropped.labels(self._address.name, "full").inc()
            return
        name = came.message.topic.removeprefix(f"{self._prefix}/inputs/")
        self._inputs.put(connection, came.delivery, dataclasses.replace(came.message, input_name=name))

    # --- what functions do -----------------------------------------------------------------------------------------

    def check(self, message: EdgeMessage) -> None:
        if self._link is not None:
            self._link.check(self._addressed(message))

    def publish(self, message: EdgeMessage) -> Awaitable[None]:
        """Not a coroutine: messages leave in the order of the calls, whatever awaits them."""
        return self._send(self._addressed(message))

    def _send(self, message: EdgeMessage) -> Awaitable[None]:
        if self._link is None:
            return failed(NotConnected(f"mqtt: the hub at {self._address.name} was not started"))
        return self._link.publish(message)

    def _addressed(self, message: EdgeMessage) -> EdgeMessage:
        name = message.output_name or "messages"
        return dataclasses.replace(message, topic=f"{self._prefix}/outputs/{name}", qos=1, retain=False)

    async def twin(self) -> Twin:
        """No desired properties; of the reported ones those that this host has reported since it was started."""
        return Twin(reported=self._reported)

    async def report(self, patch: Mapping[str, Any]) -> None:
        document = merged(self._reported, patch)
        await self._send(EdgeMessage(orjson.dumps(document), topic=self._report_topic, retain=True, is_json=True))
        self._reported = document


def prefix_of(root: Path, config: HostConfig) -> str:
    """What the topics begin with; raises SettingError for what no topic can begin with."""
    options = edge_hub_options(root, config)
    prefix = options.topic_prefix or options.module_id or DEFAULT_MODULE
    if (fault := fault_of_topic(prefix)) or prefix.endswith("/"):
        wrong, where = fault or "ends with /", config.at(root, "extensions", "edgeHub", "topicPrefix")
        raise SettingError(f"{where}: extensions.edgeHub.topicPrefix '{prefix}' {wrong}; site/box-7 would be right")
    return prefix


def replica_of(settings: Settings) -> str:
    """The name of this host among those of one app; raises SettingError for what no level of a topic can be."""
    name = (settings.get(REPLICA) or "").strip()
    if name and ("/" in name or fault_of_topic(name)):
        raise SettingError(f"{REPLICA}: '{name}' is no level of a topic; plant-0 would be right")
    return name


def hub_address(root: Path, config: HostConfig, settings: Settings) -> Address | None:
    """The broker that is the hub, where host.json names one; raises SettingError."""
    broker = edge_hub_options(root, config).broker
    if not broker:
        return None
    try:
        return address_of(settings.resolve(broker), settings, root)
    except SettingError as error:
        where = config.at(root, "extensions", "edgeHub", "broker")
        raise SettingError(f"{where}: extensions.edgeHub.broker: {error}") from None


@hookimpl
def edgefn_hub(root: Path, state: Path, config: HostConfig, settings: Settings, metrics: Metrics) -> Hub | None:
    address = hub_address(root, config, settings)
    if address is None:
        return None
    prefix, options = prefix_of(root, config), mqtt_options(root, config)
    return MqttHub(address, prefix, options, state, metrics, replica_of(settings))
