"""Keeps a host connected: makes one connection after the other, for ever, each with a new client, token and roots."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from functools import partial
from typing import Any, Protocol

from edgefn.hubs.iot_edge import topics
from edgefn.hubs.iot_edge.connection import Client, Connection, Receive
from edgefn.hubs.iot_edge.credentials import Credentials, fetch_credentials
from edgefn.hubs.iot_edge.identity import Identity, WorkloadKey
from edgefn.hubs.options import EdgeHubOptions
from edgefn.mqtt.attempts import attempt
from edgefn.mqtt.faults import Cause, Fault, planned, stopped
from edgefn.mqtt.rivals import Rivals
from edgefn.threads import Threads

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 3.0
"""An attempt takes at most ``connectTimeout``: with this pause a hub that is back is found within 15 s."""
HEALTHY = 5.0
"""Seconds that a connection has to last for the next one to be made without pause."""
FETCHING = 12.0
"""Seconds for both calls of the workload API."""
RENEW_BEFORE, RENEW_SHARE = 300.0, 0.25
"""A token is renewed so many seconds before its end, or so large a part of its life, whichever is less."""
ATTEMPTS_AT_ONCE = 4
"""Threads for attempts; one that hangs in the look-up of a name can not be stopped."""


class Watcher(Protocol):
    """Who is told."""

    def online(self, connection: Connection) -> None: ...

    def offline(self, fault: Fault) -> None:
        """A connection has ended."""

    def failed(self, fault: Fault) -> None:
        """An attempt has come to nothing."""

    async def release(self, connection: Connection) -> None:
        """A connection is about to be ended: lets what is on its way arrive, for a limited time."""


class Keeper:
    """``run`` it; all of it belongs to one event loop."""

    def __init__(self, identity: Identity, options: EdgeHubOptions, receive: Receive, watcher: Watcher) -> None:
        self._identity = identity
        self._options = options
        self._receive = receive
        self._watcher = watcher
        self._numbers = itertools.count(1)
        self._rivals = Rivals()
        self._failures = 0

    async def run(self) -> None:
        """Until it is cancelled; then the connection ends at once."""
        prepared: Credentials | None = None
        self._threads = Threads(ATTEMPTS_AT_ONCE)
        try:
            while True:
                try:
                    credentials = prepared or await self._fetch()
                    connection = await self._connect(credentials)
                except Fault as fault:
                    prepared = None
                    self._rivals.failed()
                    self._watcher.failed(fault)
                    await asyncio.sleep(self._pause())
                    continue
                prepared = await self._keep(connection, credentials)
        finally:
            self._threads.close()

    # --- one attempt -----------------------------------------------------------------------------------------------

    async def _fetch(self) -> Credentials:
        asked = partial(_fetch, self._identity, self._options.token_lifetime)
        said = f"IOTEDGE_WORKLOADURI: the workload API did not answer within {FETCHING:.0f} s; it is asked again"
        return await attempt(self._threads, asked, FETCHING, Fault(Cause.WORKLOAD, said), _let_go, "iotedge")

    async def _connect(self, credentials: Credentials) -> Connection:
        """A connection that is ready; raises Fault, and leaves nothing behind."""
        ends = time.monotonic() + self._options.connect_timeout
        client = await self._dial(credentials)
        number = next(self._numbers)
        connection = Connection(number, client, self._receive, ack_timeout=self._options.ack_timeout)
        try:
            await connection.ready(topics.filters(self._identity), max(0.1, ends - time.monotonic()))
        except Fault as fault:
            raise self._placed(fault) from None
        except BaseException:
            connection.end(stopped())
            raise
        return connection

    async def _dial(self, credentials: Credentials) -> Client:
        identity, limit = self._identity, self._options.connect_timeout
        said = f"{identity.host_setting}: {identity.host} does not answer within {limit:g} s; edgeHub should run there"
        late = Fault(Cause.UNREACHABLE, said)
        dialled = partial(_dial, identity, credentials, self._options)
        return await attempt(self._threads, dialled, limit, late, _close, "iotedge")

    def _placed(self, fault: Fault) -> Fault:
        """The fault of a connection, with the host it was made to; and with what may be wrong where that said no."""
        identity, right = self._identity, ""
        if fault.cause is Cause.REFUSED:
            right = f"; {identity.key_setting} should be those of '{identity.name}', and the clock should be right"
        return Fault(fault.cause, f"{identity.host}: {fault}{right}")

    def _pause(self) -> float:
        self._failures += 1
        longest: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failures - 1, 10))
        return longest * random.uniform(0.5, 1.0)

    # --- one connection --------------------------------------------------------------------------------------------

    async def _keep(self, connection: Connection, credentials: Credentials) -> Credentials | None:
        """Returns when the connection has ended, and it is time for the next; with credentials where they are new."""
        began = time.monotonic()
        renewal = asyncio.create_task(self._renewed(credentials), name="iotedge renewal")
        any_end: set[asyncio.Future[Any]] = {connection.lost, connection.unwanted, renewal}
        try:
            self._watcher.online(connection)
            connection.begin()
            await asyncio.wait(any_end, return_when=asyncio.FIRST_COMPLETED)
            if not connection.lost.done():
                await self._watcher.release(connection)
                connection.end(planned(connection.unwanted))
        finally:
            connection.end(stopped())
            renewal.cancel()
        fault = self._placed(self._named(connection.lost.result(), credentials))
        self._watcher.offline(fault)
        await asyncio.sleep(self._pause_after(fault, time.monotonic() - began))
        return renewal.result() if renewal.done() and not renewal.cancelled() else None

    async def _renewed(self, credentials: Credentials) -> Credentials:
        """The next credentials, in time before the end of these; asked for again and again."""
        early = min(RENEW_BEFORE, self._options.token_lifetime * RENEW_SHARE)
        await asyncio.sleep(max(0.0, credentials.ends - early - time.monotonic()))
        pause = FIRST_PAUSE
        while True:
            try:
                return await self._fetch()
            except Fault as fault:
                self._watcher.failed(fault)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)

    def _named(self, fault: Fault, credentials: Credentials) -> Fault:
        if fault.cause is Cause.CLOSED and time.monotonic() >= credentials.ends - 1:
            return Fault(Cause.EXPIRED, "the hub closed the connection, its token has expired; a new one is asked for")
        return fault

    def _pause_after(self, fault: Fault, lasted: float) -> float:
        """Seconds until the next attempt."""
        self._rivals.ended(lasted, by_hub=fault.cause is Cause.CLOSED)
        if self._rivals.suspected:
            self._watcher.failed(_rival(self._identity, self._rivals.takeovers))
            return self._rivals.pause() * random.uniform(0.5, 1.0)
        if lasted >= HEALTHY or fault.cause is Cause.RENEWAL:
            self._failures = 0
            return 0.0
        return self._pause()


def _fetch(identity: Identity, lifetime: float, given_up: threading.Event) -> Credentials:
    return fetch_credentials(identity, lifetime)


def _dial(identity: Identity, credentials: Credentials, options: EdgeHubOptions, given_up: threading.Event) -> Client:
    from edgefn.hubs.iot_edge.sdk import dial

    return dial(identity, credentials, options, given_up)


def _close(dialled: asyncio.Future[Client]) -> None:
    """Hangs up where a connection came about that nobody waits for any more."""
    from edgefn.hubs.iot_edge.sdk import hang_up

    if not dialled.cancelled() and dialled.exception() is None:
        hang_up(dialled.result())


def _let_go(ended: asyncio.Future[Any]) -> None:
    """Takes note of an error that nobody waits for any more."""
    if not ended.cancelled():
        ended.exception()


def _rival(identity: Identity, times: int) -> Fault:
    who = "IOTEDGE_MODULEID" if isinstance(identity.key, WorkloadKey) else identity.key.variable
    said = f"{who}: the hub has closed the connection of '{identity.name}' {times} times in a row, each after seconds"
    right = "stop the other one, or give it an identity of its own"
    return Fault(Cause.RIVAL, f"{said}: a second host seems to run with this identity; {right}")
