"""Keeps a host connected to a broker: one connection after the other, for ever, each with a new client.

A connection counts as one when the broker has answered for all subscriptions. One that it refuses does not keep the
others from going on; it is asked for again later.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
import threading
import time
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from edgefn.contracts import EdgeMessage, HubState
from edgefn.errors import HubError, NotConnected
from edgefn.mqtt import packets
from edgefn.mqtt.address import Address
from edgefn.mqtt.attempts import attempt
from edgefn.mqtt.driving import check_loop
from edgefn.mqtt.faults import Cause, Fault, planned, stopped
from edgefn.mqtt.flights import failed
from edgefn.mqtt.options import MqttOptions
from edgefn.mqtt.remembered import Remembered
from edgefn.mqtt.rivals import Rivals
from edgefn.mqtt.standing import Standing
from edgefn.mqtt.topics import Wanted
from edgefn.supervision import for_ever
from edgefn.threads import Threads

if TYPE_CHECKING:
    from edgefn.metrics import Metrics
    from edgefn.mqtt.connection import Came, Connection
    from edgefn.mqtt.dialling import Dialled

log = logging.getLogger("edgefn.mqtt")

WINDOW = 20
"""Messages on their way at once, where the broker does not want fewer."""
FIRST_PAUSE, LONGEST_PAUSE, LONGEST_REFUSED = 0.2, 5.0, 30.0
"""Seconds before the next attempt; the last one where the broker says no, which hardly changes by itself."""
HEALTHY = 5.0
"""Seconds that a connection has to last for the next one to be made without pause."""
ROTATION = 5.0
"""Seconds between two looks at the token file."""
RELEASE = 1.0
"""Seconds for what is on its way, before a planned end."""
AGAIN = 60.0
"""Seconds after which a subscription that was refused is asked for again."""
ATTEMPTS_AT_ONCE = 4
"""Threads for attempts; one that hangs in the look-up of a name can not be stopped."""
NO = {Cause.REFUSED, Cause.CERTIFICATE, Cause.RIVAL}


class Watcher(Protocol):
    """Who is told."""

    def on_state(self, state: HubState) -> None: ...

    def on_message(self, connection: Connection, came: Came) -> None: ...


class Link:
    """``start`` it; all of it belongs to one event loop."""

    def __init__(
        self,
        address: Address,
        client_id: str,
        options: MqttOptions,
        remembered: Remembered,
        watcher: Watcher,
        metrics: Metrics,
    ) -> None:
        self.address = address
        self.client_id = client_id
        self._options = options
        self._remembered = remembered
        self._watcher = watcher
        self._standing = Standing(address.name, log, watcher.on_state)
        self._wanted: dict[str, Wanted] = {}
        self._changed = asyncio.Event()
        self.refused: dict[str, str] = {}
        """Subscriptions that the broker does not grant, with its words."""
        self._connection: Connection | None = None
        self._largest = packets.LARGEST
        self._numbers = itertools.count(1)
        self._failures = 0
        self._rivals = Rivals()
        self._clean_start = address.clean_start
        self._task: asyncio.Task[None] | None = None
        counters = _counters(metrics, address.name)
        self._connected, self._losses, self._published, self._received, self._forgotten = counters

    # --- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins to connect, and keeps connected; raises HubError where that can never be."""
        check_loop()
        self._standing.enter(HubState.CONNECTING)
        who = self.address.name
        self._task = asyncio.create_task(for_ever(self._run, log, f"The link to {who}"), name=f"mqtt {who}")

    async def stop(self) -> None:
        """Ends the connection; the broker keeps the session."""
        task, self._task = self._task, None
        if task is None:
            return
        self._connection = None
        task.cancel()
        await asyncio.wait({task}, timeout=RELEASE)
        await asyncio.sleep(0)  # the turn of the loop in which the connection says that it ends
        self._connected.set(0)
        self._standing.enter(HubState.OFFLINE)

    @property
    def state(self) -> HubState:
        return self._standing.state

    def status(self) -> Mapping[str, Any]:
        return {
            **self._standing.status(),
            "client": self.client_id,
            "subscriptions": sorted(self._connection.granted) if self._connection else [],
            "in_flight": self._connection.in_flight if self._connection else 0,
            **({"refused": dict(self.refused)} if self.refused else {}),
        }

    # --- what is wanted of it --------------------------------------------------------------------------------------

    def want(self, wanted: Mapping[str, Wanted]) -> None:
        """These are the subscriptions from now on; no other."""
        self._wanted = dict(wanted)
        self._changed.set()

    @property
    def window(self) -> int:
        return min(WINDOW, self._connection.receive_maximum if self._connection else 1)

    def check(self, message: EdgeMessage) -> None:
        """Raises TooLarge by what the broker said last."""
        packets.check(message, self._largest)

    def publish(self, message: EdgeMessage, left: float | None = None) -> Awaitable[None]:
        """Not a coroutine: messages leave in the order of the calls, whatever awaits them."""
        connection = self._connection
        try:
            if connection is None or connection.lost.done():
                raise NotConnected(f"{self.address.name}: not connected: {self._standing.lost}")
            if connection.in_flight >= self.window:
                raise HubError(f"{self.address.name}: {self.window} messages are on their way; wait for one of them")
            packets.check(message, connection.largest)
            packet = packets.outgoing(message, left)
        except HubError as error:
            return failed(error)
        future = connection.publish(packet)
        future.add_done_callback(self._count)
        return future

    def _count(self, ended: asyncio.Future[None]) -> None:
        if not ended.cancelled() and ended.exception() is None:
            self._published.inc()

    # --- one connection after the other ----------------------------------------------------------------------------

    async def _run(self) -> None:
        self._threads = Threads(ATTEMPTS_AT_ONCE)
        try:
            while True:
                try:
                    connection, token = await self._connect()
                except Fault as fault:
                    self._rivals.failed()
                    self._standing.failed(fault)
                    await asyncio.sleep(self._pause(fault))
                    continue
                await self._keep(connection, token)
        finally:
            self._threads.close()

    async def _connect(self) -> tuple[Connection, bytes]:
        """A connection that is ready, and the token that it was made with; raises Fault, and leaves nothing behind."""
        ends = time.monotonic() + self._options.connect_timeout
        dialled = await self._dial()
        from edgefn.mqtt.connection import Connection  # paho has been loaded by now, in the thread that has dialled

        name, number = self.address.name, next(self._numbers)
        connection = Connection(number, dialled.client, name, self._receive, ack_timeout=self._options.ack_timeout)
        try:
            await connection.opened(max(0.1, ends - time.monotonic()))
            self._largest = connection.largest
            self._tell_forgotten(connection)
            await self._subscribe(connection, anew=True)
        except Fault as fault:
            connection.end(fault)
            raise self._placed(fault) from None
        except BaseException:
            connection.end(stopped())
            raise
        self._clean_start = False
        return connection, dialled.token

    async def _dial(self) -> Dialled:
        limit = self._options.connect_timeout
        said = f"{self.address.name}: no answer within {limit:g} s; a broker should be running there"
        call = partial(_dial, self.address, self.client_id, self._options, clean_start=self._clean_start)
        return await attempt(self._threads, call, limit, Fault(Cause.UNREACHABLE, said), _hang_up, self.address.name)

    def _tell_forgotten(self, connection: Connection) -> None:
        """Says that the broker does not have what it was to keep for the host."""
        is_kept = self._options.session_expiry and self.address.session_expiry != 0 and not self._clean_start
        if is_kept and self._remembered.has_session and not connection.is_resumed:
            self._forgotten.inc()
            log.warning(
                "%s has forgotten the session of '%s': messages since the last connection did not come",
                self.address.name,
                self.client_id,
            )

    async def _subscribe(self, connection: Connection, *, anew: bool = False) -> None:
        """Makes the broker's subscriptions those that are wanted; raises Fault."""
        wanted = dict(self._wanted)
        asked = [each for name, each in wanted.items() if anew or connection.granted.get(name) != each]
        self._remembered.add(wanted)
        answers = await asyncio.gather(*(connection.subscribe(each) for each in asked), return_exceptions=True)
        for each, answer in zip(asked, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            self._granted(connection, each, answer)
        for name in [name for name in self._remembered.filters if name not in wanted]:
            await connection.unsubscribe(name)
            connection.granted.pop(name, None)
            self.refused.pop(name, None)
            self._remembered.remove(name)
        self._remembered.has_session = bool(wanted)

    def _granted(self, connection: Connection, wanted: Wanted, refusal: str) -> None:
        name = wanted.filter
        if not refusal:
            connection.granted[name] = wanted
            if self.refused.pop(name, None):
                log.info("%s grants the subscription of '%s' now", self.address.name, name)
            return
        if name not in self.refused:
            right = f"its access rules should let '{self.client_id}' read there"
            log.error("%s does not grant the subscription of '%s' (%s); %s", self.address.name, name, refusal, right)
        self.refused[name] = refusal

    async def _keep(self, connection: Connection, token: bytes) -> None:
        """Returns when the connection has ended, and it is time for the next."""
        began = time.monotonic()
        what = f"Following what is wanted of {self.address.name}"
        following = asyncio.create_task(
            for_ever(partial(self._follow, connection), log, what), name="mqtt subscriptions"
        )
        rotation = asyncio.create_task(self._rotated(token), name="mqtt token")
        any_end: set[asyncio.Future[Any]] = {connection.lost, connection.unwanted, rotation}
        try:
            self._online(connection)
            connection.begin()
            await asyncio.wait(any_end, return_when=asyncio.FIRST_COMPLETED)
            if not connection.lost.done():
                self._leave(connection)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(connection.quiet(), RELEASE)
                connection.end(planned(connection.unwanted))
        finally:
            connection.end(stopped())
            rotation.cancel()
            following.cancel()
        fault = self._placed(connection.lost.result())
        self._losses.labels(self.address.name, fault.cause).inc()
        self._standing.ended(fault)
        await asyncio.sleep(self._pause_after(fault, time.monotonic() - began))

    def _pause_after(self, fault: Fault, lasted: float) -> float:
        """Seconds until the next attempt."""
        self._rivals.ended(lasted, by_hub=fault.cause in (Cause.CLOSED, Cause.RIVAL))
        if self._rivals.suspected:
            self._standing.failed(self._rival())
            return self._rivals.pause() * random.uniform(0.5, 1.0)
        if lasted >= HEALTHY or fault.cause is Cause.RENEWAL:
            self._failures = 0
            return 0.0
        return self._pause(fault)

    def _rival(self) -> Fault:
        said = f"the broker has closed the connection of '{self.client_id}' {self._rivals.takeovers} times in a row"
        right = "stop the other one, or give it a clientId of its own"
        whole = f"{said}, each after seconds: a second host seems to run with this client id; {right}"
        return Fault(Cause.RIVAL, f"{self.address.name}: {whole}")

    def _online(self, connection: Connection) -> None:
        self._connection = connection
        # told before those whose messages fail are: they find the state that they are in
        connection.lost.add_done_callback(lambda _: self._leave(connection))
        self._connected.set(1)
        self._standing.online(self.client_id)

    def _leave(self, connection: Connection) -> None:
        """Nothing is sent by the connection any more."""
        if self._connection is connection:
            self._connection = None
            self._connected.set(0)
            self._standing.enter(HubState.CONNECTING)

    async def _follow(self, connection: Connection) -> None:
        """Asks for subscriptions when others are wanted, and again for those that were refused."""
        with contextlib.suppress(Fault):  # the end of the connection, which is noticed elsewhere
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(AGAIN):
                        await self._changed.wait()
                self._changed.clear()
                try:
                    await self._subscribe(connection)
                except BaseException:
                    self._changed.set()
                    raise

    async def _rotated(self, token: bytes) -> None:
        """Returns when the token file holds another token than the connection was made with."""
        while True:
            await asyncio.sleep(ROTATION)
            with contextlib.suppress(Fault):
                if self.address.token and await asyncio.to_thread(_token_of, self.address) != token:
                    return

    def _receive(self, connection: Connection, came: Came) -> None:
        self._received.inc()
        try:
            self._watcher.on_message(connection, came)
        except Exception as error:  # whatever the broker sends, what comes after it is read
            text = "%s: a message of topic %.200r makes no sense (%s: %s); it is dropped"
            log.warning(text, self.address.name, came.message.topic, type(error).__name__, error)
            came.delivery.settle()

    def _placed(self, fault: Fault) -> Fault:
        """The fault of a connection, with the broker it was made to; and with what may be wrong where that said no."""
        right = ""
        if fault.cause is Cause.REFUSED:
            right = f"; user, password and client id '{self.client_id}' should be those that the broker knows"
        return Fault(fault.cause, f"{self.address.name}: {fault}{right}")

    def _pause(self, fault: Fault) -> float:
        self._failures += 1
        longest = LONGEST_REFUSED if fault.cause in NO else LONGEST_PAUSE
        pause: float = min(longest, FIRST_PAUSE * 2.0 ** min(self._failures - 1, 10))
        return pause * random.uniform(0.5, 1.0)


def _counters(metrics: Metrics, name: str) -> tuple[Any, Any, Any, Any, Any]:
    """Whether it is connected, and how many were lost (by cause), published, received and forgotten."""
    by = ("broker",)
    return (
        metrics.gauge("edgefn_mqtt_connected", "1 while the broker is connected", by).labels(name),
        metrics.counter("edgefn_mqtt_lost", "Connections to brokers that ended, by cause", (*by, "cause")),
        metrics.counter("edgefn_mqtt_published", "Messages that a broker has acknowledged", by).labels(name),
        metrics.counter("edgefn_mqtt_received", "Messages that came from a broker", by).labels(name),
        metrics.counter("edgefn_mqtt_forgotten", "Sessions that a broker has forgotten", by).labels(name),
    )


def _dial(
    address: Address, client_id: str, options: MqttOptions, given_up: threading.Event, *, clean_start: bool
) -> Dialled:
    from edgefn.mqtt.dialling import dial

    return dial(address, client_id, options, given_up, clean_start=clean_start)


def _hang_up(dialled: asyncio.Future[Dialled]) -> None:
    """Closes a connection that came about when nobody waited for it any more."""
    from edgefn.mqtt.dialling import hang_up

    if not dialled.cancelled() and dialled.exception() is None:
        hang_up(dialled.result())


def _token_of(address: Address) -> bytes:
    from edgefn.mqtt.dialling import token_of

    return token_of(address)
