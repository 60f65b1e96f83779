"""The files of a folder, and which of them are whole: those that did not change for a while.

Nobody can tell of a file that its writer is done with it. What tells best is that size and time of change stay the
same; names that writers use meanwhile, and empty files, never count.
"""

from __future__ import annotations

import errno
import math
import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".crdownload", ".filepart", ".download", ".swp", "~")
"""How names end while their files are being written; those that begin with a dot count too."""

MOST = 2**63 - 1


def is_unfinished(name: str) -> bool:
    """Whether a name is one that a writer gives to what is not whole yet."""
    return name.startswith(".") or name.lower().endswith(UNFINISHED)


@dataclass(frozen=True, slots=True)
class Found:
    """A file as it was when it was looked at; of a link to one, the link itself."""

    path: str
    name: str
    """Its path in the folder, with / between the parts."""
    size: int
    modified: int
    """Time of its last change; see ``changed``."""


def changed(known: os.stat_result) -> int:
    """When a file was changed last, in nanoseconds since the epoch as the file system has it, in 64 bits.

    What is beyond them, a time after the year 2262, is no time of a clock; yet files have such.
    """
    return max(-MOST, min(known.st_mtime_ns, MOST))


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder, and which names in it are wanted; all of it takes its time: for a thread."""

    path: Path
    patterns: tuple[str, ...]
    """Of names, in lower case; empty for all."""
    subfolders: bool

    def files(self) -> list[Found]:
        """All wanted files, oldest first; raises OSError where the folder itself can not be read."""
        return _in_order(self._found_in(str(self.path), ""))

    def those_of(self, paths: Iterable[str]) -> list[Found]:
        """Those of some paths that are wanted files of this folder, oldest first."""
        return _in_order(found for path in paths if (found := self.one(path)) is not None)

    def one(self, path: str) -> Found | None:
        """The file at a path, where it is wanted and there."""
        name = os.path.relpath(path, self.path).replace(os.sep, "/")
        *above, last = name.split("/")
        if (above and not self.subfolders) or any(each.startswith(".") for each in above) or not self.wants(last):
            return None
        if any(os.path.islink(self.path.joinpath(*above[: n + 1])) for n in range(len(above))):
            return None
        try:
            is_file, known = stat.S_ISREG(os.stat(path).st_mode), os.lstat(path)
        except (OSError, ValueError):
            return None
        return Found(path, name, known.st_size, changed(known)) if is_file else None

    def wants(self, name: str) -> bool:
        """Whether a file of that name is to arrive; patterns match without regard to case."""
        small = name.lower()
        return not is_unfinished(name) and (
            not self.patterns or any(fnmatchcase(small, pattern) for pattern in self.patterns)
        )

    def _found_in(self, folder: str, above: str) -> Iterator[Found]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if self.subfolders and not entry.name.startswith("."):
                        with suppress(OSError):  # it went, or is not for us; the others are
                            yield from self._found_in(entry.path, f"{above}{entry.name}/")
                elif self.wants(entry.name):
                    with suppress(OSError):
                        if entry.is_file():
                            known = entry.stat(follow_symlinks=False)
                            yield Found(entry.path, above + entry.name, known.st_size, changed(known))


def opened(path: str) -> BinaryIO:
    """A file, for reading. Raises OSError, also for a link: by one who may write to the folder could name any file of
    this machine.
    """
    if os.path.islink(path):
        raise OSError(errno.ELOOP, "it is a symbolic link, and links are not followed")
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NOFOLLOW", 0)))


def _in_order(found: Iterable[Found]) -> list[Found]:
    return sorted(found, key=lambda file: (file.modified, file.name))


class Settling:
    """Files that may still be written."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[str, tuple[Found, float]] = {}

    def __len__(self) -> int:
        return len(self._since)

    def settled(self, found: Sequence[Found], looked_at: Collection[str] | None, quiet: float) -> list[Found]:
        """Those that have not changed for ``quiet`` seconds, in their order; the others are kept in mind.

        ``looked_at`` are the paths that were looked at, None for all: what was not found there is gone.
        """
        now, before = self._clock(), self._since
        gone = before.keys() if looked_at is None else before.keys() & set(looked_at)
        self._since = {path: known for path, known in before.items() if path not in gone}
        whole = []
        for file in found:
            known = before.get(file.path)
            since = known[1] if known is not None and known[0] == file else now
            if file.size and now - since >= quiet:
                whole.append(file)
            else:
                self._since[file.path] = (file, since)
        return whole

    def ripe(self, quiet: float) -> set[str]:
        """The paths of those that may be whole by now."""
        before = self._clock() - quiet
        return {path for path, (file, since) in self._since.items() if file.size and since <= before}

    def due(self, quiet: float) -> float:
        """Seconds until one of them may be whole; infinite where none can."""
        since = min((since for file, since in self._since.values() if file.size), default=math.inf)
        return max(0.0, since + quiet - self._clock())
