"""Disks that are full, read-only or damaged, and files that somebody else holds."""

from __future__ import annotations

import ctypes
import errno
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

MEGABYTE = 1024 * 1024


@contextmanager
def held(file: Path) -> Iterator[None]:
    """Another process has begun to write into a SQLite file, and does not end that."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


def use_up_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the system watch no further folder: ``fs.inotify.max_user_instances`` is 128, and editors share it."""

    def full() -> int:
        ctypes.set_errno(errno.EMFILE)
        return -1

    monkeypatch.setattr("watchdog.observers.inotify_c.inotify_init", full)


class Disk:
    """A small disk of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def full(self) -> Iterator[None]:
        """Nothing can be written meanwhile."""
        filler = self.folder / "filler"
        try:
            with filler.open("wb", buffering=0) as file:
                while file.write(b"\0" * 4096):
                    pass
        except OSError:
            pass
        try:
            yield
        finally:
            filler.unlink()

    def read_only(self, *, yes: bool) -> None:
        subprocess.run(["mount", "-o", f"remount,{'ro' if yes else 'rw'}", self.folder], check=True)


@contextmanager
def small_disk(folder: Path, megabytes: int = 4) -> Iterator[Disk]:
    """A disk in memory; who may not mount one skips the test."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "edgefn-test", folder]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk, and not in every container")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def damage(file: Path, first: int, count: int) -> None:
    """Overwrites bytes of a file with others; what is in a write-ahead log stays."""
    with file.open("r+b") as opened:
        opened.seek(first)
        opened.write(os.urandom(count))


def checkpoint(file: Path) -> None:
    """Brings all of the write-ahead log into the file."""
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
