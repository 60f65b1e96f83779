"""``iotedge``: the hub of an IoT Edge module, or of a device. See docs/hubs.md for what it withstands."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
from collections import Counter
from collections.abc import Awaitable, Mapping
from typing import Any

from edgefn.contracts import EdgeMessage, HubSink, HubState, Twin
from edgefn.errors import HubError, NotConnected
from edgefn.hubs.inputs import Inputs
from edgefn.hubs.iot_edge import topics
from edgefn.hubs.iot_edge.connection import Connection
from edgefn.hubs.iot_edge.identity import Identity
from edgefn.hubs.iot_edge.keeper import Keeper
from edgefn.hubs.iot_edge.methods import Methods
from edgefn.hubs.iot_edge.patches import Patches
from edgefn.hubs.iot_edge.twins import TwinRequests
from edgefn.hubs.options import EdgeHubOptions
from edgefn.metrics import Metrics
from edgefn.mqtt.deliveries import Delivery
from edgefn.mqtt.driving import check_loop
from edgefn.mqtt.faults import Fault
from edgefn.mqtt.flights import failed
from edgefn.mqtt.standing import Standing
from edgefn.supervision import for_ever

log = logging.getLogger("edgefn.hub")

WINDOW = 20
RELEASE = 1.0
"""Seconds for what is being taken in, and again for what is on its way, before a planned end."""
SDK, KNOWN = "azure-iot-device", ("2.15",)


class IotEdgeHub:
    """See edgefn.contracts.Hub."""

    name = "iotedge"
    window = WINDOW

    def __init__(self, identity: Identity, options: EdgeHubOptions, metrics: Metrics) -> None:
        self._identity = identity
        self._options = options
        self._standing = Standing(identity.host, log, self._told)
        self._connection: Connection | None = None
        self._twins: TwinRequests | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._counts = Counter(published=0, received=0)
        self._connected = metrics.gauge("edgefn_hub_connected", "1 while the hub is connected")
        self._connections = metrics.counter("edgefn_hub_connections", "Connections to the hub")
        self._losses = metrics.counter("edgefn_hub_lost", "Connections that ended, by cause", ("cause",))
        self._published = metrics.counter("edgefn_hub_published", "Messages that the hub has acknowledged")
        self._received = metrics.counter("edgefn_hub_received", "Messages that came from the hub")

    # --- life ----------------------------------------------------------------------------------------------------

    async def start(self, sink: HubSink) -> None:
        _check_sdk()
        check_loop()
        self._sink = sink
        self._inputs, self._patches, self._methods = Inputs(self.name, sink), Patches(sink), Methods(sink)
        keeper = Keeper(self._identity, self._options, self._receive, self)
        self._standing.enter(HubState.CONNECTING)
        self._tasks = [
            asyncio.create_task(for_ever(part.run, log, "The iotedge hub"), name=f"iotedge {type(part).__name__}")
            for part in (keeper, self._inputs, self._patches)
        ]

    async def stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        if not tasks:
            return
        self._connection = self._twins = None
        for task in tasks:
            task.cancel()
        self._methods.stop()
        await asyncio.wait(tasks, timeout=RELEASE)
        await asyncio.sleep(0)  # the turn of the loop in which the connection says that it ends
        self._connected.set(0)
        self._standing.enter(HubState.OFFLINE)

    @property
    def state(self) -> HubState:
        return self._standing.state

    # --- what functions do -----------------------------------------------------------------------------------------

    def check(self, message: EdgeMessage) -> None:
        topics.check(self._identity, message)

    def publish(self, message: EdgeMessage) -> Awaitable[None]:
        """Not a coroutine: messages leave in the order of the calls, whatever awaits them."""
        connection = self._connection
        try:
            if connection is None or connection.lost.done():
                raise self._not_connected()
            if connection.in_flight >= WINDOW:
                raise HubError(f"iotedge: {WINDOW} messages are on their way; wait for one of them")
            topic = topics.outgoing(self._identity, message)
        except HubError as error:
            return failed(error)
        future = connection.publish(topic, message.body)
        future.add_done_callback(self._count)
        return future

    async def twin(self) -> Twin:
        return await self._requests().get()

    async def report(self, patch: Mapping[str, Any]) -> None:
        await self._requests().report(patch)

    def status(self) -> Mapping[str, Any]:
        return {
            "name": self.name,
            **self._standing.status(),
            "identity": self._identity.name,
            "gateway": self._identity.host,
            "in_flight": self._connection.in_flight if self._connection else 0,
            **self._counts,
        }

    def _requests(self) -> TwinRequests:
        if self._connection is None or self._twins is None:
            raise self._not_connected()
        return self._twins

    def _not_connected(self) -> NotConnected:
        return NotConnected(
            f"iotedge: '{self._identity.name}' is not connected to {self._identity.host}: {self._standing.lost}"
        )

    def _count(self, ended: asyncio.Future[None]) -> None:
        if not ended.cancelled() and ended.exception() is None:
            self._counts["published"] += 1
            self._published.inc()

    # --- what the keeper tells -------------------------------------------------------------------------------------

    def online(self, connection: Connection) -> None:
        self._connection = connection
        self._twins = TwinRequests(connection, self._options.twin_timeout)
        # told before those whose messages fail are: they find the state that they are in
        connection.lost.add_done_callback(lambda _: self._leave(connection))
        self._connections.inc()
        self._connected.set(1)
        self._standing.online(self._identity.name)

    async def release(self, connection: Connection) -> None:
        taking = (self._inputs.quiet(connection), self._methods.quiet())
        await _at_most(RELEASE, asyncio.gather(*taking))
        self._leave(connection)
        await _at_most(RELEASE, connection.quiet())

    def _leave(self, connection: Connection) -> None:
        """Nothing is sent by the connection any more."""
        if self._connection is connection:
            self._connection = None
            self._connected.set(0)
            self._standing.enter(HubState.CONNECTING)

    def offline(self, fault: Fault) -> None:
        self._losses.labels(fault.cause).inc()
        self._standing.ended(fault)

    def failed(self, fault: Fault) -> None:
        self._standing.failed(fault)

    def _told(self, state: HubState) -> None:
        self._sink.on_state(state)

    # --- what the hub sends ----------------------------------------------------------------------------------------

    def _receive(self, connection: Connection, delivery: Delivery) -> None:
        """Sorts what came. All but messages is settled at once: it has been seen, and nothing more is promised."""
        topic = delivery.topic
        try:
            if topic.startswith(topics.inputs(self._identity)):
                if self._identity.module and delivery.is_repeated:
                    delivery.settle()  # edgeHub has one input of a module on its way: this is that one, once more
                    return
                message = topics.incoming(self._identity, topic, delivery.body)
                self._counts["received"] += 1
                self._received.inc()
                self._inputs.put(connection, delivery, message)
                return
            if topic.startswith(topics.TWIN_ANSWERS) and self._twins is not None:
                self._twins.answered(topic, delivery.body)
            elif topic.startswith(topics.TWIN_PATCHES):
                self._patches.put(connection, delivery.body)
            elif topic.startswith(topics.METHODS):
                self._methods.came(connection, delivery)
        except Exception as error:  # whatever the hub sends, what comes after it is read
            log.warning("iotedge: the hub sent what makes no sense (%s) on topic %.200r; it is dropped", error, topic)
        delivery.settle()


def _check_sdk() -> None:
    """Raises HubError where the SDK is none that this adapter was tried with."""
    try:
        version = importlib.metadata.version(SDK)
    except importlib.metadata.PackageNotFoundError:
        version = "none"
    if not version.startswith(KNOWN):
        raise HubError(f"{SDK} {version} is installed; {SDK}>=2.15.0rc1,<2.16 would be right")


async def _at_most(seconds: float, waiting: Awaitable[Any]) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(waiting, seconds)
