"""Files in a folder that never holds more than so many of them, and so many bytes."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

LEFT_OVER = re.compile(r"\.[0-9a-f]{16}\.edgefn-part$")
"""Files that are being written, or were when the process ended."""
STALE = 600.0
"""Seconds after which the process has ended; before, another output, or a host, may be at it in the same folder."""


class Shelf:
    """The files in a folder whose names are of one kind, oldest first. All of it takes its time: for a thread."""

    def __init__(self, folder: Path, own: re.Pattern[str], max_files: int, max_bytes: int) -> None:
        self._folder = folder
        self._own = own
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._files: OrderedDict[str, int] | None = None
        self.bytes = 0

    @property
    def files(self) -> int:
        return len(self._files or ())

    def names(self) -> list[str]:
        """The names of the files, oldest first; raises OSError."""
        return list(self._opened())

    def read(self, name: str) -> bytes:
        """What a file holds, which is the newest by that; raises OSError."""
        path = self._folder / name
        content = path.read_bytes()
        with suppress(OSError):
            os.utime(path)
        with suppress(KeyError):
            self._opened().move_to_end(name)
        return content

    def remove(self, name: str) -> None:
        """Takes a file away; raises OSError."""
        (self._folder / name).unlink(missing_ok=True)
        self._forget(self._opened(), name)

    def put(self, name: str, content: bytes) -> None:
        """Writes a file, whole or not at all, after the oldest had to go where there was no room; raises OSError."""
        files = self._opened()
        part = self._folder / f".{secrets.token_hex(8)}.edgefn-part"
        try:
            part.write_bytes(content)
            self._forget(files, name)
            self._make_room(files, len(content))
            part.replace(self._folder / name)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        files[name] = len(content)
        self.bytes += len(content)

    def _opened(self) -> OrderedDict[str, int]:
        """What is there, looked up when it is first needed, and again after it was found to be different."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._files is None:
            found = []
            for entry in os.scandir(self._folder):
                if LEFT_OVER.match(entry.name):
                    with suppress(OSError):
                        if time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE:
                            os.unlink(entry.path)
                elif self._own.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    known = entry.stat()
                    found.append((known.st_mtime_ns, entry.name, known.st_size))
            self._files = OrderedDict((name, size) for _, name, size in sorted(found))
            self.bytes = sum(self._files.values())
        return self._files

    def _forget(self, files: OrderedDict[str, int], name: str) -> None:
        self.bytes -= files.pop(name, 0)

    def _make_room(self, files: OrderedDict[str, int], size: int) -> None:
        while files and (len(files) >= self._max_files or self.bytes + size > self._max_bytes):
            oldest = next(iter(files))
            (self._folder / oldest).unlink(missing_ok=True)
            self._forget(files, oldest)
