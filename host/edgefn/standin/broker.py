"""Where modules connect: listens on the address, makes TLS of TCP, and decides who may come in."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
import time

from edgefn.errors import HubError
from edgefn.standin.certificates import Certificates
from edgefn.standin.clients import Client, Clients
from edgefn.standin.connection import Connection
from edgefn.standin.faults import Faults
from edgefn.standin.identities import Refused, token_end
from edgefn.standin.packets import NOT_AUTHORIZED, WRONG_VERSION, Connect
from edgefn.standin.requests import Requests
from edgefn.standin.store import Store

log = logging.getLogger("edgefn.standin")

MQTT_3_1_1 = 4
BACKLOG = 1024
HANDSHAKE_TIMEOUT = 20.0


class Broker:
    """One listening address. Connections are closed with it."""

    def __init__(
        self,
        certificates: Certificates,
        clients: Clients,
        requests: Requests,
        store: Store,
        faults: Faults,
        iot_hub: str,
    ) -> None:
        self._certificates = certificates
        self._clients = clients
        self._requests = requests
        self._store = store
        self._faults = faults
        self._iot_hub = iot_hub
        self._context: ssl.SSLContext | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket: socket.socket | None = None

    def start(self, host: str, port: int) -> int:
        """Listens; gives the port. Raises HubError."""
        self._context = self._certificates.context()
        self._socket = _bound(host, port)
        self._own(asyncio.create_task(self._accept(self._socket), name="broker"))
        return int(self._socket.getsockname()[1])

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()
        self.drop_all("the hub stops")

    def renew(self) -> None:
        """Shows the certificate that is there now to those who connect from now on."""
        self._context = self._certificates.context()

    def drop_all(self, reason: str, module: str = "") -> None:
        for client in self._clients:
            if client.link is not None and module in ("", client.identity.name):
                client.link.drop(reason)

    def admit(self, connect: Connect) -> tuple[Client, float]:
        """Who it is and until when, if it may come in; raises Refused."""
        name = connect.client_id.rpartition("/")[2]
        if self._faults and (fault := self._faults.strike("refuse-connect", name)):
            raise Refused(int(fault.number("code")), "as asked for")
        if connect.level != MQTT_3_1_1:
            raise Refused(WRONG_VERSION, f"MQTT level {connect.level}; 4, which is MQTT 3.1.1, would be right")
        client = self._clients.find(connect.client_id)
        if client is None:
            text = f"there is no identity {connect.client_id!r}; `edgefn hub env` makes one"
            raise Refused(NOT_AUTHORIZED, text)
        return client, token_end(connect, client.identity, self._iot_hub, time.time())

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError as error:  # too many open files: those who wait are accepted later
                log.error("a connection could not be accepted: %s", error)
                await asyncio.sleep(0.1)
                continue
            self._own(asyncio.create_task(self._secure(accepted), name="handshake"))

    async def _secure(self, accepted: socket.socket) -> None:
        """TLS, and from there on the connection runs by itself."""
        if self._faults and (fault := self._faults.strike("no-tls")):
            with accepted:
                await fault.over.wait()
            return
        context = self._context
        if self._faults and self._faults.strike("wrong-host-name"):
            context = self._certificates.context_of_another_host()
        loop = asyncio.get_running_loop()
        try:
            # asyncio does so for sockets that it made itself; an acknowledgement takes 40 ms without
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.connect_accepted_socket(
                self._new_connection, accepted, ssl=context, ssl_handshake_timeout=HANDSHAKE_TIMEOUT
            )
        except OSError as error:  # of which ssl.SSLError is one
            log.info("a client did not get through TLS: %s; does it trust the hub's root certificate?", error)
            accepted.close()

    def _new_connection(self) -> Connection:
        return Connection(self, self._requests, self._store, self._faults)

    def _own(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise HubError(f"--host {host}: {error.strerror}; an address of this machine would be right") from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise HubError(f"{host}:{port}: {_why(error, port)}") from None
    return listening


def _why(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is taken; stop who has it, or name another --host, as 127.0.0.2, or --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return "not an address of this machine; 127.0.0.1 would be right"
    if error.errno == errno.EACCES:
        return f"port {port} is not for this user; one from 1024 on would be right"
    return f"can not be listened on: {error.strerror}"
