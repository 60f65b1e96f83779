"""What a broker keeps for this host: by which identity, and which subscriptions. In ``mqtt.json`` of the state folder.

A broker goes on with the subscriptions of a session that comes back, also with those that the app has no more.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edgefn.kept import Kept

FILE = "mqtt.json"


class Memory:
    """The file; it is read when it is first asked."""

    def __init__(self, path: Path) -> None:
        self._kept = Kept(path, "brokers know the host by another name, and keep what waits for the old one")
        self._document: dict[str, Any] | None = None

    def client_id(self, broker: str) -> str:
        """The name by which a broker knows the host, where none is declared: of this state folder and no other."""
        mark = hashlib.blake2b(broker.encode(), digest_size=3).hexdigest()
        return f"edgefn-{self._read()['id']}-{mark}"

    def of(self, client_id: str) -> Remembered:
        """What the brokers know that identity for."""
        return Remembered(self, self._read()["sessions"].setdefault(client_id, {}))

    def write(self) -> None:
        self._kept.write(self._read())

    @property
    def is_behind(self) -> bool:
        """Whether there was no room for what was written last."""
        return self._kept.is_behind

    def _read(self) -> dict[str, Any]:
        if self._document is None:
            self._document = self._kept.read_as(_whole)
        if self._document is None:
            self._document = {"id": secrets.token_hex(5), "sessions": {}}
            self._kept.write(self._document)
        return self._document


class Remembered:
    """The subscriptions of one identity, by their filters, each with the functions that it is for."""

    def __init__(self, memory: Memory, document: dict[str, Any]) -> None:
        self._memory = memory
        self._document = document
        self.functions: dict[str, tuple[str, ...]] = {}
        """For whom the filters are that are wanted now."""

    @property
    def filters(self) -> list[str]:
        return list(self._document.get("filters", {}))

    def functions_of(self, name: str) -> list[str]:
        return list(self._document.get("filters", {}).get(name, ()))

    @property
    def has_session(self) -> bool:
        """Whether the broker has kept a session of it."""
        return bool(self._document.get("session"))

    @has_session.setter
    def has_session(self, there: bool) -> None:
        if there is not self.has_session:
            self._document["session"] = there
            self._memory.write()

    def add(self, names: Iterable[str]) -> None:
        """Keeps filters before the broker is asked for them."""
        known: Mapping[str, Any] = self._document.get("filters", {})
        now = {**known, **{name: list(self.functions.get(name, ())) for name in names}}
        if now != known or self._memory.is_behind:
            self._document["filters"] = now
            self._memory.write()

    def remove(self, name: str) -> None:
        """Forgets a filter when the broker has."""
        if self._document.get("filters", {}).pop(name, None) is not None:
            self._memory.write()


def _whole(document: dict[str, Any]) -> dict[str, Any]:
    """The document of the file; raises ValueError or KeyError where it is none."""
    if not isinstance(document["id"], str):
        raise ValueError("its id should be a text")
    for name, session in document["sessions"].items():
        for wanted, functions in session.get("filters", {}).items():
            if not isinstance(functions, list):
                raise ValueError(f"of '{name}' the functions of '{wanted}' should be a list")
    return document
