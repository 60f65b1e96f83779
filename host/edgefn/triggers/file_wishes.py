"""What becomes of a file after its function has run well: it is kept, deleted, or moved to another folder.

The wish is noted in the transaction that ends the file's message, so that it is fulfilled also after a kill.
"""

from __future__ import annotations

import errno
import itertools
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edgefn.spool.arrivals import Arrival

DELETE = "delete"
MOVE = "move "
"""Followed by the path that the file is to have."""


def fulfil(arrival: Arrival) -> None:
    """Does with a file what was wished, as long as it is the one that arrived. For a thread; raises OSError."""
    if not _is_same(Path(arrival.path), arrival):
        return
    if arrival.wish == DELETE:
        Path(arrival.path).unlink(missing_ok=True)
    elif arrival.wish.startswith(MOVE):
        _move(arrival, Path(arrival.wish.removeprefix(MOVE)))


def _move(arrival: Arrival, wanted: Path) -> None:
    """Moves a file, over the border of a disk too; no other file is written over."""
    wanted.parent.mkdir(parents=True, exist_ok=True)
    target = next(path for path in _names(wanted) if _is_same(path, arrival) or not os.path.lexists(path))
    if _is_same(target, arrival):  # it was copied before, by a process that was killed then
        os.unlink(arrival.path)
        return
    try:
        os.rename(arrival.path, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(arrival.path, target)
        os.unlink(arrival.path)


def _copy(path: str, target: Path) -> None:
    """Copies a file, whole or not at all."""
    part = target.with_name(f".{secrets.token_hex(8)}.edgefn-part")
    try:
        shutil.copy2(path, part)
        part.replace(target)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _names(wanted: Path) -> Iterator[Path]:
    yield wanted
    for number in itertools.count(2):
        yield wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")


def _is_same(path: Path, arrival: Arrival) -> bool:
    try:
        known = path.stat()
    except OSError:
        return False
    return (known.st_size, known.st_mtime_ns) == (arrival.size, arrival.modified)
