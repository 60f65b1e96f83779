"""Sounds that were made before: in memory and on disk, by what their voice and their text are."""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from weakref import WeakValueDictionary

from edgefn.bindings.shelf import Shelf

OWN = re.compile(r"([0-9a-f]{32})-([0-9a-f]{16})\.wav")
"""Names of its files: what the sound is of, and what the file holds, so that a damaged one is known."""
MEMORY = 16 * 1024 * 1024
"""Bytes of the sounds that are in memory."""


def key_of(identity: str, text: str) -> str:
    """What a sound is known by."""
    return _digest(f"{identity}\0{text}".encode(errors="surrogatepass"), 16)


def _digest(content: bytes, size: int) -> str:
    return hashlib.blake2b(content, digest_size=size).hexdigest()


class SpeechCache:
    """The sounds of a folder, or of none. ``get`` and ``put`` take their time: for threads."""

    def __init__(self, folder: Path | None, max_files: int, max_bytes: int) -> None:
        self._shelf = None if folder is None else Shelf(folder, OWN, max_files, max_bytes)
        self._names: dict[str, str] | None = None
        self._memory: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def turn(self, key: str) -> asyncio.Lock:
        """Who makes the sound of a key holds this: others wait, and find it made."""
        return self._turns.setdefault(key, asyncio.Lock())

    def status(self) -> Mapping[str, int]:
        """How much is on disk."""
        return {"files": self._files, "bytes": 0 if self._shelf is None else self._shelf.bytes}

    @property
    def _files(self) -> int:
        return 0 if self._shelf is None else self._shelf.files

    def get(self, key: str) -> bytes | None:
        """The sound of a key, where there is one that is whole."""
        with self._lock:
            if (sound := self._memory.get(key)) is not None:
                self._memory.move_to_end(key)
            elif (sound := self._from_disk(key)) is not None:
                self._remember(key, sound)
            return sound

    def put(self, key: str, sound: bytes) -> None:
        """Keeps a sound; raises OSError where that is in memory only."""
        with self._lock:
            self._remember(key, sound)
            if self._shelf is not None:
                name = f"{key}-{_digest(sound, 8)}.wav"
                self._known()[key] = name
                self._shelf.put(name, sound)

    def _known(self) -> dict[str, str]:
        if self._names is None:
            assert self._shelf is not None
            self._names = {name[:32]: name for name in self._shelf.names()}
        elif len(self._names) > 2 * self._files + 100:
            self._names = None  # most of them went
            return self._known()
        return self._names

    def _from_disk(self, key: str) -> bytes | None:
        if self._shelf is None:
            return None
        with suppress(OSError):
            name = self._known().get(key)
            if name is None:
                return None
            with suppress(OSError):
                sound = self._shelf.read(name)
                if (match := OWN.fullmatch(name)) and match[2] == _digest(sound, 8):
                    return sound
            del self._known()[key]
            self._shelf.remove(name)
        return None

    def _remember(self, key: str, sound: bytes) -> None:
        self._bytes += len(sound) - len(self._memory.pop(key, b""))
        self._memory[key] = sound
        while self._bytes > MEMORY:
            self._bytes -= len(self._memory.popitem(last=False)[1])
