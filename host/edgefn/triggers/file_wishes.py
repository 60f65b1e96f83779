"""What becomes of a file after its function has run well: it is kept, deleted, or moved to another folder.

The wish is noted in the transaction that ends the file's message, so that it is fulfilled also after a kill.
"""

from __future__ import annotations

import errno
import filecmp
import hashlib
import itertools
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edgefn.spool.arrivals import Arrival
from edgefn.triggers.folder import changed

DELETE = "delete"
MOVE = "move "
"""Followed by the path that the file is to have."""
NAMING = threading.Lock()
"""Held from the look whether a name is free until it is taken: functions may move to one folder."""


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
    source = Path(arrival.path)
    try:
        _give_name(source, arrival, wanted)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, arrival, wanted)
    if _is_same(source, arrival):  # else it was renamed, or there is another one by now
        source.unlink(missing_ok=True)


def _give_name(file: Path, arrival: Arrival, wanted: Path) -> None:
    """Gives a file the first name that is free; none where it has one, by a process that was killed then."""
    with NAMING:
        for target in _names(wanted):
            if _is_same(target, arrival) and filecmp.cmp(file, target, shallow=False):
                return
            if not os.path.lexists(target):
                file.rename(target)
                return


def _copy(source: Path, arrival: Arrival, wanted: Path) -> None:
    """Copies a file, whole or not at all, to where a power cut does not lose it."""
    mark = hashlib.blake2b(repr(arrival).encode(errors="replace"), digest_size=8).hexdigest()
    part = wanted.with_name(f".{mark}.edgefn-part")  # the same after a kill: what that left is written over
    try:
        shutil.copy2(source, part)
        with part.open("rb") as copied:
            os.fsync(copied.fileno())
        _give_name(part, arrival, wanted)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _names(wanted: Path) -> Iterator[Path]:
    yield wanted
    for number in itertools.count(2):
        yield wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")


def _is_same(path: Path, arrival: Arrival) -> bool:
    try:
        known = path.lstat()
    except OSError:
        return False
    return (known.st_size, changed(known)) == (arrival.size, arrival.modified)
