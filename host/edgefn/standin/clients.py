"""Modules and devices as the hub knows them: identity, session, twin, and the connection while there is one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Protocol

import orjson

from edgefn.errors import HubError, listing, nearest
from edgefn.standin import packets, topics
from edgefn.standin.identities import Identity, new_identity
from edgefn.standin.inputs import Inputs
from edgefn.standin.store import Store
from edgefn.standin.twins import Twin

log = logging.getLogger("edgefn.standin")

_SAVE_TWIN = (
    "INSERT INTO twins VALUES (?, ?, ?, ?, ?) ON CONFLICT (client) DO UPDATE SET desired = excluded.desired,"
    " reported = excluded.reported, desired_version = excluded.desired_version,"
    " reported_version = excluded.reported_version"
)
_SAVE_SESSION = "INSERT INTO sessions VALUES (?, ?) ON CONFLICT (client) DO UPDATE SET filters = excluded.filters"
_FORGET_SESSION = "DELETE FROM sessions WHERE client = ?"


class Link(Protocol):
    """A connection, as far as a client needs it."""

    def send(self, packet: bytes) -> None: ...

    def drop(self, reason: str) -> None: ...


class Client:
    """One module or device. A second connection of it closes the first."""

    def __init__(self, identity: Identity, store: Store, ack_timeout: float) -> None:
        self.identity = identity
        self.twin = Twin()
        self.link: Link | None = None
        self.inputs = Inputs(self, store, ack_timeout)
        self._store = store
        self._filters: dict[str, int] = {}
        self._has_session = False
        self._keeps_session = True
        self._packet_id = 0
        self._waiting: set[asyncio.Event] = set()

    # --- connections ---------------------------------------------------------------------------------------------

    def attach(self, link: Link, *, clean_session: bool) -> bool:
        """Makes this its connection; gives whether there was a session to go on with."""
        if self.link is not None:
            self._store.counters["taken_over"] += 1
            old, self.link = self.link, None
            old.drop("another connection with the same client id took over")
        self.inputs.reset()
        present = self._has_session and not clean_session
        if not present:
            self.forget_session()
        self._keeps_session = not clean_session
        if self._keeps_session and not present:
            self._save_session()
        self.link = link
        return present

    def ready(self) -> None:
        """When its CONNACK is on the way."""
        self._changed()

    def detach(self, link: Link) -> None:
        if self.link is link:
            self.link = None
            self.inputs.reset()
            if not self._keeps_session:
                self.forget_session()

    # --- session -------------------------------------------------------------------------------------------------

    def subscribe(self, name: str, qos: int) -> int:
        """Gives the QoS that is granted."""
        if name not in self._known_filters():
            log.warning("%s subscribes to %r, on which edgeHub sends nothing", self.identity.client_id, name)
        self._filters[name] = min(qos, 1)
        self._save_session()
        return self._filters[name]

    def unsubscribe(self, name: str) -> None:
        self._filters.pop(name, None)
        self._save_session()

    def granted(self, name: str) -> int | None:
        """The QoS of a subscription, None where there is none."""
        return self._filters.get(name)

    @property
    def subscriptions(self) -> list[str]:
        return sorted(self._filters)

    @property
    def inputs_filter(self) -> str:
        return topics.inputs_filter(self.identity.device, self.identity.module)

    def forget_session(self) -> None:
        self._filters.clear()
        if self._has_session:
            self._has_session = False
            self._store.change(_FORGET_SESSION, self.identity.client_id)

    def restore(self, filters: dict[str, int]) -> None:
        self._filters, self._has_session = filters, True

    def _known_filters(self) -> tuple[str, ...]:
        return self.inputs_filter, topics.METHODS, topics.TWIN_ANSWERS, topics.TWIN_PATCHES

    def _save_session(self) -> None:
        if self._keeps_session:
            self._has_session = True
            self._store.change(_SAVE_SESSION, self.identity.client_id, orjson.dumps(self._filters).decode())

    # --- sending -------------------------------------------------------------------------------------------------

    def next_packet_id(self) -> int:
        self._packet_id = self._packet_id % 65_535 + 1
        return self._packet_id

    def tell(self, name: str, topic: str, body: bytes) -> bool:
        """Publishes on a topic of that filter; gives whether somebody is there who subscribed to it."""
        qos = self._filters.get(name)
        if self.link is None or qos is None:
            return False
        self.link.send(packets.publish(topic, body, packet_id=self.next_packet_id() if qos else 0))
        return True

    async def listening(self, name: str, seconds: float) -> bool:
        """Waits until it is connected and has subscribed; gives whether that came about in time."""
        changed = asyncio.Event()
        self._waiting.add(changed)
        try:
            async with asyncio.timeout(seconds):
                while self.link is None or name not in self._filters:
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(changed)
        return True

    def subscribed(self) -> None:
        """When the SUBACK is on the way."""
        self._changed()

    def _changed(self) -> None:
        for event in self._waiting:
            event.set()
        self.inputs.pump()

    def save_twin(self) -> None:
        twin = self.twin
        documents = orjson.dumps(twin.desired).decode(), orjson.dumps(twin.reported).decode()
        versions = twin.desired_version, twin.reported_version
        self._store.change(_SAVE_TWIN, self.identity.client_id, *documents, *versions)


class Clients:
    """All of them, by client id; made on demand, and found again after a restart."""

    def __init__(self, device: str, store: Store, ack_timeout: float) -> None:
        self.device = device
        self._store = store
        self._ack_timeout = ack_timeout
        self._known: dict[str, Client] = {}
        self._woken: set[str] = set()

    def open(self) -> None:
        rows = self._store.rows
        for _, *fields in rows("SELECT client, device, module, key, generation FROM identities"):
            self._add(Identity(*fields))
        for client, filters in rows("SELECT client, filters FROM sessions"):
            self._known[client].restore(orjson.loads(filters))
        for client, desired, reported, *versions in rows("SELECT * FROM twins"):
            self._known[client].twin = Twin(orjson.loads(desired), orjson.loads(reported), *versions)

    def __iter__(self) -> Iterator[Client]:
        return iter(self._known.values())

    def find(self, client_id: str) -> Client | None:
        return self._known.get(client_id)

    def named(self, name: str) -> Client:
        """The module of that name, else the leaf device; raises HubError."""
        client = self._known.get(f"{self.device}/{name}") or self._known.get(name)
        if client is None:
            names = [known.identity.name for known in self]
            text = f"{name}: neither a module nor a device{nearest(name, names)}; there are {listing(sorted(names))}"
            raise HubError(text)
        return client

    def module(self, name: str) -> Client:
        """The module of that name, made if it is not there; raises HubError for a wrong name."""
        return self._known.get(f"{self.device}/{name}") or self._make(self.device, name)

    def leaf(self, name: str) -> Client:
        """The leaf device of that name, likewise."""
        return self._known.get(name) or self._make(name, "")

    def wake(self, module: str) -> None:
        """Hands a module its next message after the commit, if it waits for one."""
        if not self._woken:
            self._store.on_commit(self._pump_woken)
        self._woken.add(module)

    def _pump_woken(self, _written: bool) -> None:
        woken, self._woken = self._woken, set()
        for module in woken:
            client = self._known.get(f"{self.device}/{module}")
            if client is not None:
                client.inputs.pump()

    def _make(self, device: str, module: str) -> Client:
        client = self._add(new_identity(device, module))
        identity = client.identity
        row = (identity.client_id, identity.device, identity.module, identity.key, identity.generation)
        self._store.change("INSERT INTO identities VALUES (?, ?, ?, ?, ?)", *row)
        client.save_twin()
        return client

    def _add(self, identity: Identity) -> Client:
        client = Client(identity, self._store, self._ack_timeout)
        self._known[identity.client_id] = client
        return client
