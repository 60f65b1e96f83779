"""The folder of one hub: its keys, certificates, store and sockets, for this user only."""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import stat
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

from edgefn.errors import HubError

LONGEST_SOCKET_PATH = 107
"""Bytes that the address of a unix socket has room for, without the zero at its end."""
SHORT = "edgefn-hub-"
"""How short folders begin, for sockets whose path would be too long; they lie beside other temporary files."""
SETTLED = 60.0
"""Seconds after which a folder without listener is that of a hub that was killed, not of one that begins."""


class Folder:
    """Names the files of a hub; ``open`` makes the folder and keeps others out until the process ends."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None
        self._is_ours = False

    @property
    def store(self) -> Path:
        return self.path / "hub.db"

    @property
    def trust_bundle(self) -> Path:
        """The root certificate, for clients that want a file."""
        return self.path / "root.pem"

    @property
    def control_socket(self) -> Path:
        return self._socket("control.sock")

    @property
    def workload_socket(self) -> Path:
        return self._socket("workload.sock")

    @property
    def workload_aside(self) -> Path:
        """Where the socket is while nobody shall find it."""
        return self.workload_socket.with_suffix(".gone")

    def open(self) -> None:
        """Raises HubError where another hub has the folder, or where it can not be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.chmod(0o700)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            text = f"{self.path}: can not be written: {error.strerror}; name a folder of yours with --dir"
            raise HubError(text) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(self._lock, 32, 0).decode().strip()
            text = f"{self.path}: process {owner or '?'} runs a hub there; stop it, or name another folder with --dir"
            raise HubError(text) from None
        self._is_ours = True
        _sweep(Path(tempfile.gettempdir()))
        os.truncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)
        for path in (self.control_socket, self.workload_socket):
            path.parent.mkdir(exist_ok=True, mode=0o700)
            _check_owner(path.parent)
            path.unlink(missing_ok=True)
        self.workload_aside.unlink(missing_ok=True)

    def close(self) -> None:
        """Removes what was made outside of the folder; its sockets are closed by now."""
        if self._is_ours and self.workload_socket.parent != self.path:
            with suppress(OSError):
                self.workload_aside.unlink(missing_ok=True)
                self.workload_socket.parent.rmdir()

    def write(self, name: str, content: bytes) -> Path:
        """Puts a file that only this user may read in place, whole or not at all; raises HubError."""
        path = self.path / name
        part = path.with_name(f"{name}.part")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(content)
            part.replace(path)
        except OSError as error:
            raise HubError(f"{path}: can not be written: {error.strerror}; make room, or name another --dir") from None
        return path

    def _socket(self, name: str) -> Path:
        """In the folder, or in a short one of its own where the path would be too long for a socket."""
        path = self.path / name
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        mark = hashlib.sha256(os.fsencode(self.path.resolve())).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"{SHORT}{mark}" / name


def _sweep(folder: Path) -> None:
    """Removes the short folders of hubs that were killed; nobody answers on the sockets in them any more."""
    for path in folder.glob(f"{SHORT}{'[0-9a-f]' * 16}"):
        with suppress(OSError):
            found = path.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and time.time() - found.st_mtime > SETTLED:
                there = list(path.iterdir())
                if all(each.is_socket() and not _answers(each) for each in there):
                    for each in there:
                        each.unlink()
                    path.rmdir()


def _answers(path: Path) -> bool:
    """Whether somebody listens on a socket, as far as can be told."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as asking:
        asking.settimeout(0.1)
        try:
            asking.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True


def _check_owner(path: Path) -> None:
    found = path.stat()
    if found.st_uid != os.getuid():
        raise HubError(f"{path}: belongs to another user; name a folder with a shorter path with --dir")
    path.chmod(0o700)
