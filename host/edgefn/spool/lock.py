"""One host a state folder: a lock that ends with the process that holds it, however that ends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from edgefn.errors import EdgefnError

FILE = "host.lock"


class FolderLock:
    """Holds a state folder for this process."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Raises EdgefnError when another process has the folder; where no lock can be written, there is none."""
        if self._file is not None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("a+", encoding="utf-8")
        except OSError:
            return  # what can not be written is told by the spool, which needs it
        if not _locked(file):
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise EdgefnError(
                f"{self._path.parent}: another host uses this state folder (process {holder}); stop it, or name "
                "another folder with --state"
            )
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def holder_of(folder: Path) -> str | None:
    """The process that holds a state folder, ``unknown`` where it does not say; None where none does."""
    try:
        with (folder / FILE).open("r", encoding="utf-8") as file:
            return None if _locked(file) else file.read().strip() or "unknown"
    except OSError:
        return None


def _locked(file: IO[str]) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
