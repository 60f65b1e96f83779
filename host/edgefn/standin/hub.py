"""The stand-in as a whole: its parts, their lifetimes, and what can be asked of it while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson

from edgefn.errors import HubError
from edgefn.routes import DEFAULT_PRIORITY, ModuleInput
from edgefn.standin import topics
from edgefn.standin.broker import Broker
from edgefn.standin.certificates import Certificates
from edgefn.standin.clients import Client, Clients
from edgefn.standin.faults import Fault, Faults
from edgefn.standin.folder import Folder
from edgefn.standin.identities import Gateway
from edgefn.standin.messages import Injected, Message
from edgefn.standin.methods import Answer, Methods
from edgefn.standin.options import Options
from edgefn.standin.requests import Requests
from edgefn.standin.router import Router
from edgefn.standin.store import Store, Upstream
from edgefn.standin.trouble import Trouble

log = logging.getLogger("edgefn.standin")

CLEAN_EVERY = 60.0
"""Seconds between two looks for messages that expired; edgeHub looks each half hour."""


class Hub:
    """Start it, and it serves until it is stopped."""

    def __init__(self, options: Options) -> None:
        loop = asyncio.get_running_loop()
        self.options = options
        self.folder = Folder(options.folder)
        self.faults = Faults()
        self.certificates = Certificates(self.folder, options.names)
        self.store = Store(self.folder.store, options.max_upstream, loop.call_soon, self._wake_waiting)
        self.clients = Clients(options.device, self.store, options.ack_timeout)
        self.router = Router(options.routes, options.time_to_live, self.store, self.clients.wake)
        self.methods = Methods(self.faults)
        requests = Requests(self.router, self.methods, self.store, self.faults)
        self._broker = Broker(self.certificates, self.clients, requests, self.store, self.faults, options.iot_hub)
        self._trouble = Trouble(self.faults, self._broker, self.clients, self.certificates, self.folder)
        self._arrived = asyncio.Event()
        self._stopping = False
        self._cleaning: asyncio.Task[None] | None = None
        self.port = options.port

    @property
    def gateway(self) -> Gateway:
        """What clients are told of it."""
        options, folder = self.options, self.folder
        workload = f"unix://{folder.workload_socket}"
        return Gateway(options.iot_hub, options.gateway_name, workload, str(folder.trust_bundle))

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
        self._trouble.served.set()
        self.port = self._broker.start(self.options.host, self.port)
        self._cleaning = asyncio.create_task(self._clean(), name="clean-up")

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

    async def stop(self) -> None:
        if self._cleaning is not None:
            self._cleaning.cancel()
            await asyncio.wait([self._cleaning])
        await self._trouble.stop()
        await self._broker.stop()
        self.store.close()
        self.folder.close()

    # --- what can be asked of it ---------------------------------------------------------------------------------

    def environment(self, name: str, form: str) -> dict[str, str]:
        """The variables of a module (``module``, or ``debug``) or of a leaf device (``device``); raises HubError."""
        if form == "device":
            return self.gateway.device_variables(self.clients.leaf(name).identity)
        identity = self.clients.module(name).identity
        forms = {"module": self.gateway.module_variables, "debug": self.gateway.debug_variables}
        if form not in forms:
            raise HubError(f"environment of {name}: no form {form!r}; module, debug or device would be right")
        return forms[form](identity)

    async def send(self, module: str, name: str, messages: Sequence[Injected]) -> None:
        """Puts messages into the queue of a module, known or not; returns when they are committed."""
        if self.clients.find(f"{self.options.device}/{module}") is None:
            if self.clients.find(module) is not None:
                raise HubError(f"{module}: is a device, which has no inputs; a module would be right")
            log.warning("%s: no such module yet; its messages wait for it", module)
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
            "gateway": self.gateway.host_name,
            "device": self.options.device,
            "workload": self.gateway.workload_uri,
            "folder": str(self.folder.path),
            "manifest": sorted(self.options.modules),
            "clients": [_status_of(client, sizes) for client in self.clients],
            "counters": dict(sorted(self.store.counters.items())),
            "queued": sizes,
            "faults": self.faults.status(),
        }

    def fault(self, fault: Fault) -> None:
        """Lets it hold from now on, or happen once."""
        self._trouble.begin(fault)

    async def committed(self) -> None:
        """Returns when all that was added until now is; raises HubError where it could not be."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.store.on_commit(done.set_result)
        if not await done:
            raise HubError(f"{self.folder.store}: could not be written; the hub's log says why")


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
