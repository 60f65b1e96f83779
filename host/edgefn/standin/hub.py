"""The stand-in as a whole: its parts, their lifetimes, and what can be asked of it while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from edgefn.errors import HubError
from edgefn.routes import DEFAULT_PRIORITY, ModuleInput, Routes, parse_routes
from edgefn.standin import topics
from edgefn.standin.broker import Broker
from edgefn.standin.certificates import Certificates
from edgefn.standin.clients import Client, Clients
from edgefn.standin.faults import Fault, Faults
from edgefn.standin.folder import Folder
from edgefn.standin.identities import Place
from edgefn.standin.messages import Message
from edgefn.standin.methods import Answer, Methods
from edgefn.standin.requests import Requests
from edgefn.standin.router import DEFAULT_TIME_TO_LIVE, Router
from edgefn.standin.store import Store, Upstream

log = logging.getLogger("edgefn.standin")

EVERYTHING_UPSTREAM = {"upstream": "FROM /messages/* INTO $upstream"}
SENDER = "hub"
"""The module that messages of ``send`` seem to come from, unless they say another."""
CLEAN_EVERY = 60.0
"""Seconds between two looks for messages that expired; edgeHub looks each half hour."""
IOT_HUB = "stand-in.azure-devices.invalid"
DEVICE = "edge"


@dataclass(frozen=True, slots=True)
class Options:
    """What a hub is started with."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 8883
    gateway: str = ""
    device: str = DEVICE
    iot_hub: str = IOT_HUB
    ack_timeout: float = 30.0
    max_upstream: int = 100_000_000
    routes: Routes = field(default_factory=lambda: parse_routes(EVERYTHING_UPSTREAM))
    time_to_live: float | None = DEFAULT_TIME_TO_LIVE
    modules: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    """The modules of the manifest, with their desired properties where it declares some."""
    warnings: Sequence[str] = ()
    """What to say at the start."""
    faults: Sequence[Fault] = ()

    @property
    def gateway_name(self) -> str:
        """The name that clients look for in the server's certificate."""
        if self.gateway:
            return self.gateway
        return socket.gethostname() if self.host in ("0.0.0.0", "::", "") else self.host


@dataclass(frozen=True, slots=True)
class Injected:
    """A message that ``send`` puts into the queue of a module."""

    body: bytes
    properties: Mapping[str, str] = field(default_factory=dict)
    system: Mapping[str, str] = field(default_factory=dict)
    sender: str = SENDER


class Hub:
    """Start it, and it serves until it is stopped."""

    def __init__(self, options: Options) -> None:
        loop = asyncio.get_running_loop()
        self.options = options
        self.folder = Folder(options.folder)
        self.faults = Faults()
        names = dict.fromkeys((options.gateway_name, options.host, "localhost", "127.0.0.1", socket.gethostname()))
        self.certificates = Certificates(self.folder, tuple(names))
        self.store = Store(self.folder.store, options.max_upstream, loop.call_soon, self._wake_waiting)
        self.clients = Clients(options.device, self.store, options.ack_timeout)
        self.router = Router(options.routes, options.time_to_live, self.store, self.clients.wake)
        self.methods = Methods(self.faults)
        requests = Requests(self.router, self.methods, self.store, self.faults)
        self._broker = Broker(self.certificates, self.clients, requests, self.store, self.faults, options.iot_hub)
        self._arrived = asyncio.Event()
        self._served = asyncio.Event()
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = options.port

    @property
    def place(self) -> Place:
        """Where clients find it."""
        options, folder = self.options, self.folder
        workload = f"unix://{folder.workload_socket}"
        return Place(options.iot_hub, options.device, options.gateway_name, workload, str(folder.trust_bundle))

    def open(self) -> None:
        """Takes the folder; raises HubError where it can not be had."""
        for warning in self.options.warnings:
            log.warning("%s", warning)
        self.folder.open()
        self.certificates.open()
        self.store.open()
        self.clients.open()
        for name, desired in self.options.modules.items():
            client = self.clients.module(name)
            if desired is not None and client.twin.replace_desired(desired) is not None:
                client.save_twin()
        self.store.commit()
        for fault in self.options.faults:
            self.fault(fault)

    def listen(self) -> None:
        """Lets modules in, when the workload API is served; raises HubError where the address can not be had."""
        self._served.set()
        self.port = self._broker.start(self.options.host, self.port)
        self._own(asyncio.create_task(self._clean(), name="clean-up"))

    def release(self) -> None:
        """Lets go all who wait for something of it; nobody waits from now on."""
        self._stopping = True
        self.faults.clear()
        self._wake_waiting()

    def _wake_waiting(self) -> None:
        arrived, self._arrived = self._arrived, asyncio.Event()
        arrived.set()

    async def _clean(self) -> None:
        """Frees the room of messages that expired, also of modules that never come."""
        while True:
            await asyncio.sleep(CLEAN_EVERY)
            self.store.forget_expired(time.time())

    def _own(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._broker.stop()
        self.store.close()

    # --- what can be asked of it ---------------------------------------------------------------------------------

    def environment(self, name: str, form: str) -> dict[str, str]:
        """The variables of a module (``module``, ``connection-string``) or of a leaf device (``device``)."""
        if form == "device":
            return self.place.device_variables(self.clients.leaf(name).identity)
        identity = self.clients.module(name).identity
        return self.place.debug_variables(identity) if form == "debug" else self.place.module_variables(identity)

    async def send(self, module: str, name: str, messages: Sequence[Injected]) -> None:
        """Puts messages into the queue of a module, known or not; returns when they are committed."""
        if self.clients.find(module) is not None and self.clients.find(f"{self.options.device}/{module}") is None:
            raise HubError(f"{module}: is a device, which has no inputs; a module would be right")
        for sent in messages:
            system = {"connectionDeviceId": self.options.device, "connectionModuleId": sent.sender, **sent.system}
            message = Message("", self.options.device, sent.sender, sent.properties, system, sent.body)
            self.router.queue(message, ModuleInput(module, name), DEFAULT_PRIORITY, None)
        await self.committed()

    async def set_twin(self, name: str, desired: Mapping[str, Any], *, replace: bool) -> dict[str, Any]:
        """Merges the desired properties, or makes them exactly these; tells the module, gives its whole twin."""
        client = self.clients.named(name)
        patch = client.twin.replace_desired(desired) if replace else client.twin.patch_desired(desired)
        client.save_twin()
        await self.committed()
        if patch is not None:
            client.tell(topics.TWIN_PATCHES, topics.twin_patch(client.twin.desired_version), orjson.dumps(patch))
        return client.twin.document()

    def twin(self, name: str) -> dict[str, Any]:
        return self.clients.named(name).twin.document()

    async def invoke(
        self, name: str, method: str, payload: Any, *, connect_timeout: float, response_timeout: float
    ) -> Answer:
        client = self.clients.named(name)
        return await self.methods.invoke(
            client, method, payload, connect_timeout=connect_timeout, response_timeout=response_timeout
        )

    async def upstream(self, after: int, limit: int, wait: float) -> list[tuple[int, Upstream]]:
        """Messages that went upstream, after a number; waits so many seconds for the first of them."""
        found = list(self.store.upstream(after, limit))
        if not found and wait and not self._stopping:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), wait)
            found = list(self.store.upstream(after, limit))
        return found

    def status(self) -> dict[str, Any]:
        sizes = self.store.sizes()
        return {
            "pid": os.getpid(),
            "host": self.options.host,
            "port": self.port,
            "gateway": self.place.gateway,
            "device": self.options.device,
            "workload": self.place.workload_uri,
            "folder": str(self.folder.path),
            "clients": [_status_of(client, sizes) for client in self.clients],
            "counters": dict(sorted(self.store.counters.items())),
            "queued": sizes,
            "faults": self.faults.status(),
        }

    async def committed(self) -> None:
        """Returns when all that was added until now is; raises HubError where it could not be."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.store.on_commit(done.set_result)
        if not await done:
            raise HubError(f"{self.folder.store}: could not be written; the hub's log says why")

    # --- faults --------------------------------------------------------------------------------------------------

    def fault(self, fault: Fault) -> None:
        """Lets it hold from now on, or happen once."""
        log.info("fault: %s", fault.status())
        happen = {
            "kill-connections": self._kill_connections,
            "forget-sessions": self._forget_sessions,
            "rotate-ca": self._rotate_ca,
            "freeze": self._freeze,
        }
        if not fault.kind.holds:
            happen[fault.kind.name](fault)
            return
        self.faults.hold(fault, asyncio.get_running_loop().call_later)
        if fault.kind.name == "workload-gone":
            self._own(asyncio.create_task(self._without_workload(fault), name="workload-gone"))

    def _kill_connections(self, fault: Fault) -> None:
        self._broker.drop_all("killed, as asked for", fault.module)

    def _forget_sessions(self, fault: Fault) -> None:
        for client in self.clients:
            if fault.module in ("", client.identity.name):
                client.forget_session()
        self._broker.drop_all("its session is forgotten, as asked for", fault.module)

    def _rotate_ca(self, _fault: Fault) -> None:
        self.certificates.rotate()
        self._broker.renew()
        self._broker.drop_all("the certificates are new, as asked for")

    def _freeze(self, fault: Fault) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(
            0.05, time.sleep, fault.number("seconds")
        )  # the loop stands, when who asked for it has his answer

    async def _without_workload(self, fault: Fault) -> None:
        await self._served.wait()
        path, aside = self.folder.workload_socket, self.folder.workload_aside
        path.rename(aside)
        try:
            await fault.over.wait()
        finally:
            aside.rename(path)


@contextlib.asynccontextmanager
async def opened(options: Options) -> AsyncIterator[Hub]:
    """A hub with its folder; it stops at the end."""
    hub = Hub(options)
    try:
        hub.open()
        yield hub
    finally:
        await hub.stop()


def _status_of(client: Client, sizes: Mapping[str, int]) -> dict[str, Any]:
    identity = client.identity
    return {
        "name": identity.name,
        "kind": "module" if identity.module else "device",
        "connected": client.link is not None,
        "subscriptions": client.subscriptions,
        "queued": sizes.get(identity.module, 0) if identity.module else 0,
        "desiredVersion": client.twin.desired_version,
        "reportedVersion": client.twin.reported_version,
    }
