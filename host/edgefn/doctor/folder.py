"""The state folder: writable, held by whom, on a disk with room."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgefn.doctor.lines import Line, note, ok, wrong
from edgefn.doctor.sizes import MB, size
from edgefn.doctor.software import user_name
from edgefn.doctor.subject import Subject
from edgefn.spool.lock import holder_of
from edgefn.web.options import MODULE

LITTLE, LITTLE_SHARE = 500 * MB, 0.05
TOO_LITTLE = 20 * MB
PASSING = ("overlay", "tmpfs")
"""File systems whose files go with the container."""
MOUNTS = Path("/proc/mounts")


def check_folder(subject: Subject) -> Iterator[Line]:
    state = subject.state.absolute()
    place = existing(state)
    yield _writable(state, place)
    yield from _lasting(state, place, subject.settings.get(MODULE) is not None)
    yield check_lock(state)
    yield check_disk(place)


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(each for each in (folder, *folder.parents) if each.exists())


def _writable(state: Path, place: Path) -> Line:
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"edgefn")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        found = f"{state} can not be written: {error.strerror}"
        return wrong("state folder", found, _remedy(error, place))
    return ok("state folder", f"{state} is writable" if place == state else f"{state} is made at the first start")


def _remedy(error: OSError, place: Path) -> str:
    if error.errno == errno.ENOSPC:
        return "make room on that disk"
    if error.errno == errno.ENOTDIR:
        return f"{place} is a file: move it away, or name another folder with --state"
    if error.errno == errno.EROFS:
        return "it is mounted read-only: mount a volume there, or name another folder with --state"
    user = user_name(os.getuid()) if hasattr(os, "getuid") else "this user"
    return f"make it writable for {user}, or name another folder with --state"


def _lasting(state: Path, place: Path, is_module: bool) -> Iterator[Line]:
    """In a module, whether the folder outlives the container."""
    kind = _file_system(place) if is_module else ""
    if kind in PASSING:
        found = f"{state} is on {kind}: messages that wait go with the container"
        remedy = f'mount a volume: "HostConfig": {{"Binds": ["edgefn-state:{state}"]}} in createOptions'
        yield note("state folder", found, remedy)


def _file_system(place: Path, mounts: Path = MOUNTS) -> str:
    """The kind of the file system that a folder is on; empty where that is not told."""
    if not mounts.exists():
        return ""
    entries = [line.split()[1:3] for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines()]
    found = [entry for entry in entries if place.resolve().is_relative_to(entry[0].replace("\\040", " "))]
    return max(found, key=lambda entry: len(entry[0]), default=["", ""])[1]


def check_lock(state: Path) -> Line:
    """A host that runs there is no fault: mostly it is the one that is asked about."""
    holder = holder_of(state)
    if holder is None:
        return ok("lock", "free: no host runs on the state folder")
    remedy = "nothing, if that is the host you mean; else stop it, or name another folder with --state"
    return note("lock", f"a host runs on the state folder: process {holder}", remedy)


def check_disk(place: Path) -> Line:
    usage = shutil.disk_usage(place)
    share = usage.free / usage.total if usage.total else 0.0
    return room(place, usage.free, share)


def room(place: Path, free: int, share: float) -> Line:
    """What so many free bytes, and such a share of the disk, mean."""
    found = f"{size(free)} free ({share:.0%}) at {place}"
    remedy = "make room, or bound what waits: extensions.spool in host.json"
    if free < TOO_LITTLE:
        return wrong("disk", found, remedy)
    if free < LITTLE or share < LITTLE_SHARE:
        return note("disk", found, remedy)
    return ok("disk", found)
