"""The brokers of one host: each once, for all functions that name it; connected to when a function needs it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefn.contracts import EdgeMessage, HubState, Needs
from edgefn.errors import HubError, NotConnected, SettingError
from edgefn.metrics import Metrics
from edgefn.mqtt.address import VARIABLES, Address, address_of, files_of
from edgefn.mqtt.flights import failed
from edgefn.mqtt.intake import Intake, dropped_counter
from edgefn.mqtt.link import Link
from edgefn.mqtt.options import MqttOptions, mqtt_options
from edgefn.mqtt.remembered import FILE, Memory
from edgefn.mqtt.topics import Wanted, identifier, matches
from edgefn.settings import HostConfig, Settings
from edgefn.spool import Spool, Subscription
from edgefn.supervision import for_ever

if TYPE_CHECKING:
    from edgefn.mqtt.connection import Came, Connection
    from edgefn.spool.sender import Sender

log = logging.getLogger("edgefn.mqtt")


class Broker:
    """One broker, by one identity: what functions take from it and send to it goes by one connection."""

    def __init__(self, address: Address, options: MqttOptions, memory: Memory, spool: Spool, metrics: Metrics) -> None:
        self.address = address
        self.name = address.name
        self._options = options
        self._memory = memory
        self._spool = spool
        self._metrics = metrics
        self._link: Link | None = None
        self._wanted: dict[str, tuple[str, int, bool]] = {}
        """Of each function its filter, QoS, and whether it wants what is retained."""
        self._by_filter: dict[str, list[Subscription]] = {}
        self._sender: Sender | None = None
        self._storing: asyncio.Task[None] | None = None
        self._needed = False

    # --- what functions want ---------------------------------------------------------------------------------------

    def subscribe(self, function: str, wanted: str, qos: int, *, retained: bool) -> Subscription:
        """The messages of a function: those that came for it earlier, and from now on those of a filter."""
        found = self._spool.inbox.subscribe(function, "")
        self._wanted[function] = (wanted, qos, retained)
        self._change()
        return found

    def unsubscribe(self, function: str) -> None:
        """Messages that come from now on are not for that function; what came before stays until it is worked off."""
        if self._wanted.pop(function, None) is not None:
            self._change()

    def send(self) -> None:
        """From now on messages of the outbox that are for this broker go there."""
        if self._sender is None:
            self._sender = self._spool.serve(self.name, self)
            self._need()

    def refusal(self, wanted: str) -> str:
        """Why the broker does not grant a subscription; empty where it does."""
        return self._link.refused.get(wanted, "") if self._link else ""

    def _change(self) -> None:
        self._need()
        if self._link is not None:
            self._apply()

    def _apply(self) -> None:
        """Tells the link what is wanted, and keeps for whom that is."""
        assert self._link is not None
        wanted: dict[str, Wanted] = {}
        functions: dict[str, list[str]] = {}
        for function, (name, qos, retained) in {**self._missing, **self._wanted}.items():
            before = wanted.get(name)
            qos, retained = (max(qos, before.qos), retained or before.retained) if before else (qos, retained)
            wanted[name] = Wanted(name, qos, retained)
            functions.setdefault(name, []).append(function)
        self._by_filter = {
            name: [self._spool.inbox.subscribe(function, "") for function in several]
            for name, several in functions.items()
        }
        self._remembered.functions = {name: tuple(several) for name, several in functions.items()}
        self._link.want(wanted)

    def _of_last_run(self) -> dict[str, tuple[str, int, bool]]:
        """What functions wanted that may be there again some day, where a part of the app can not be loaded."""
        if self._spool.functions is not None:
            return {}
        known = self._remembered
        return {
            function: (name, 1, False)
            for name in known.filters
            for function in known.functions_of(name)
            if function not in self._wanted and not self._spool.inbox.input_of(function)
        }

    # --- its connection --------------------------------------------------------------------------------------------

    def _need(self) -> None:
        """Connects when the spool has begun: before, nothing could be stored."""
        if self._needed:
            return
        self._needed = True
        if self._spool.begun:
            self._begin()
        else:
            self._spool.beginning.append(self._begin)

    def _begin(self) -> None:
        client_id = self.address.client_id or self._memory.client_id(self.name)
        self._remembered = self._memory.of(client_id)
        self._missing = self._of_last_run()
        dropped = dropped_counter(self._metrics)
        self._intake = Intake(self._spool.inbox, self.name, self._options.receive_maximum, dropped)
        self._link = Link(self.address, client_id, self._options, self._remembered, self, self._metrics)
        self._apply()
        self._storing = asyncio.create_task(
            for_ever(self._intake.run, log, f"Taking messages of {self.name}"), name=f"mqtt inbox {self.name}"
        )
        try:
            self._link.start()
        except HubError as error:
            log.error("%s: %s", self.name, error)

    def on_state(self, state: HubState) -> None:
        if self._sender is not None:
            self._sender.on_state(state)

    def on_message(self, connection: Connection, came: Came) -> None:
        self._intake.put(connection, came, self._listening(came))

    def _listening(self, came: Came) -> list[Subscription]:
        """For whom a message is: by the subscriptions that the broker names, else by the topic alone."""
        topic, numbers = came.message.topic, came.identifiers
        return [
            one
            for name, several in self._by_filter.items()
            if (not numbers or identifier(name) in numbers) and matches(name, topic)
            for one in several
        ]

    async def close(self) -> None:
        if self._link is None or self._storing is None:
            return
        await self._link.stop()
        self._storing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._storing

    # --- a destination of the outbox -------------------------------------------------------------------------------

    @property
    def state(self) -> HubState:
        return self._link.state if self._link else HubState.OFFLINE

    @property
    def window(self) -> int:
        return self._link.window if self._link else 1

    def check(self, message: EdgeMessage) -> None:
        if self._link is not None:
            self._link.check(message)

    def publish(self, message: EdgeMessage, left: float | None) -> Awaitable[None]:
        if self._link is None:
            return failed(NotConnected(f"{self.name}: the host has not begun to connect"))
        return self._link.publish(message, left)

    def status(self) -> Mapping[str, Any]:
        """Where it is and how it stands, as JSON values."""
        known = dict(self._link.status()) if self._link else {"state": HubState.OFFLINE}
        return {"address": self.name, **known, **({"dropped": dict(self._intake.counts)} if self._link else {})}


class Brokers:
    """See the module's text; lent to plugins by the host."""

    def __init__(
        self, root: Path, state: Path, config: HostConfig, settings: Settings, spool: Spool, metrics: Metrics
    ) -> None:
        self._root = root
        self._options = mqtt_options(root, config)
        self._settings = settings
        self._memory = Memory(state / FILE)
        self._spool = spool
        self._metrics = metrics
        self._brokers: dict[Address, Broker] = {}
        self._named: dict[str, Address] = {}

    def address(self, text: str) -> Address:
        """What a binding names; raises SettingError, also where one broker is named in two ways."""
        found = address_of(text, self._settings, self._root)
        if self._named.setdefault(found.name, found) != found:
            raise SettingError(
                f"the broker {found.name} is named in two ways, with other passwords, client ids or files; one and the "
                "same address everywhere would be right, or a start of the host anew where it was changed"
            )
        return found

    def broker(self, text: str) -> Broker:
        """The broker that a binding names, the same for each that names it so; raises SettingError."""
        address = self.address(text)
        if address not in self._brokers:
            self._brokers[address] = Broker(address, self._options, self._memory, self._spool, self._metrics)
        return self._brokers[address]

    def subscribe(
        self, text: str, function: str, wanted: str, qos: int, *, retained: bool
    ) -> tuple[Broker, Subscription]:
        """The messages of a function from a broker, and from no other any more; raises SettingError."""
        chosen = self.broker(text)
        for other in self._brokers.values():
            if other is not chosen:
                other.unsubscribe(function)
        return chosen, chosen.subscribe(function, wanted, qos, retained=retained)

    def unsubscribe(self, function: str) -> None:
        """Messages that come from now on are not for that function."""
        for broker in self._brokers.values():
            broker.unsubscribe(function)

    def needs(self, text: str) -> Needs:
        """What a binding that names a broker needs: the way there, the files of its address, the settings of it."""
        address = self.address(text)
        note = f"the broker {address.name} should be reached from the machine"
        if address.host in ("localhost", "::1") or address.host.startswith("127."):
            note = f"the broker {address.name} is looked for in the container itself; name the machine that it is on"
        return Needs(reads=tuple(files_of(address, self._root)), variables=VARIABLES, notes=(note,))

    def why_one(self, text: str) -> str:
        """Why only one host may be at a broker under the address that a binding names; empty where several may."""
        address = self.address(text)
        if not address.client_id:
            return ""
        return (
            f"its broker {address.name} knows the host by a client id that the settings name, and ends the connection "
            "of one host for another of the same id; without clientId each makes its own"
        )

    def status(self) -> Mapping[str, Any]:
        return {broker.name: dict(broker.status()) for broker in self._brokers.values()}

    async def close(self) -> None:
        """Disconnects; brokers keep what comes, for as long as ``sessionExpiry`` says."""
        await asyncio.gather(*(broker.close() for broker in self._brokers.values()))
