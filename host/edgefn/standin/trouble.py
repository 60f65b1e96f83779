"""How faults begin: some hold until they are over, and those that happen once happen here."""

from __future__ import annotations

import asyncio
import logging
import time

from edgefn.standin.broker import Broker
from edgefn.standin.certificates import Certificates
from edgefn.standin.clients import Clients
from edgefn.standin.faults import Fault, Faults
from edgefn.standin.folder import Folder

log = logging.getLogger("edgefn.standin")

GRACE = 0.05
"""Seconds in which who asks for a frozen hub gets the answer."""


class Trouble:
    """Of one hub; ``served`` is set when the workload API answers."""

    def __init__(
        self, faults: Faults, broker: Broker, clients: Clients, certificates: Certificates, folder: Folder
    ) -> None:
        self._faults = faults
        self._broker = broker
        self._clients = clients
        self._certificates = certificates
        self._folder = folder
        self._tasks: set[asyncio.Task[None]] = set()
        self.served = asyncio.Event()

    def begin(self, fault: Fault) -> None:
        """Lets a fault hold from now on, or happen once."""
        log.info("fault: %s", fault.status())
        if not fault.kind.holds:
            self._happen(fault)
            return
        self._faults.hold(fault, asyncio.get_running_loop().call_later)
        if fault.kind.name == "workload-gone":
            task = asyncio.create_task(self._without_workload(fault), name="workload-gone")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _happen(self, fault: Fault) -> None:
        happen = {
            "kill-connections": self._kill_connections,
            "forget-sessions": self._forget_sessions,
            "rotate-ca": self._rotate_ca,
            "freeze": self._freeze,
        }
        happen[fault.kind.name](fault)

    def _kill_connections(self, fault: Fault) -> None:
        self._broker.drop_all("killed, as asked for", fault.module)

    def _forget_sessions(self, fault: Fault) -> None:
        for client in self._clients:
            if fault.module in ("", client.identity.name):
                client.forget_session()
        self._broker.drop_all("its session is forgotten, as asked for", fault.module)

    def _rotate_ca(self, _fault: Fault) -> None:
        self._certificates.rotate()
        self._broker.renew()
        self._broker.drop_all("the certificates are new, as asked for")

    def _freeze(self, fault: Fault) -> None:
        """The loop stands, and with it all that the hub does."""
        asyncio.get_running_loop().call_later(GRACE, time.sleep, fault.number("seconds"))

    async def _without_workload(self, fault: Fault) -> None:
        await self.served.wait()
        path, aside = self._folder.workload_socket, self._folder.workload_aside
        if path.exists():  # else another fault of this name has it
            path.rename(aside)
        await fault.over.wait()
        if self._faults.find("workload-gone") is None and aside.exists():
            aside.rename(path)
