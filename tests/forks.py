"""Processes of the command that begin at once: a server that has imported what commands import forks each of them.

``Process`` is ``subprocess.Popen``, and what it starts is a child like any other, with its own number, folder,
environment, streams, signals and exit code. Only the imports are left out, which are most of what a short command
takes; there are hundreds in a run. What a fork can not give - another locale, a library that is loaded first - is
started as always.

The server forks twice, and the process between ends: for this moment the tester takes orphans
(``PR_SET_CHILD_SUBREAPER``), so that the command is a child of the tester, not of the server.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgefn import cli

PACKAGE = Path(cli.__file__).parents[2]
SERVER = Path(__file__).with_name("fork_server.py")
PR_SET_CHILD_SUBREAPER = 36
BEGAN = dict(os.environ)
GIVEN = {"PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONFAULTHANDLER", "PYTHONDONTWRITEBYTECODE"}
"""What the server does as the interpreter would."""
EARLY = ("PYTHON", "LD_PRELOAD", "LC_", "LANG", "MALLOC_", "GLIBC_")
"""What else begins so is read before the first line of Python: the server can not change it."""


class Server:
    """The process that forks others; it ends with ours."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(SERVER), str(theirs.fileno()), str(PACKAGE)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**BEGAN, "OPENBLAS_NUM_THREADS": "1"},  # a fork has one thread
            )
        atexit.register(self.close)

    def start(self, order: Mapping[str, Any], streams: list[int]) -> int:
        """The number of a new child of this process."""
        text = json.dumps(order).encode()
        with self._lock:
            self._libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            try:
                socket.send_fds(self._ours, [len(text).to_bytes(4)], streams)
                self._ours.sendall(text)
                answer = self._ours.recv(4, socket.MSG_WAITALL)
            finally:
                self._libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        assert len(answer) == 4, "the server that forks commands has ended"
        return int.from_bytes(answer)

    def close(self) -> None:
        self._ours.close()
        self._process.wait()


@functools.cache
def server() -> Server:
    return Server()


def early(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith(EARLY) and name not in GIVEN}


class Process(subprocess.Popen[str]):
    """``subprocess.Popen``, quick where the command is ``[sys.executable, "-m", ...]``."""

    def _execute_child(
        self,
        args: list[str],
        executable: None,
        preexec_fn: object,
        close_fds: bool,
        pass_fds: tuple[int, ...],
        cwd: Any,
        env: Mapping[str, str] | None,
        startupinfo: object,
        creationflags: int,
        shell: bool,
        p2cread: int,
        p2cwrite: int,
        c2pread: int,
        c2pwrite: int,
        errread: int,
        errwrite: int,
        restore_signals: bool,
        gid: int | None,
        gids: Any,
        uid: int | None,
        umask: int,
        start_new_session: bool,
        *others: Any,
    ) -> None:
        variables = dict(os.environ if env is None else env)
        is_plain = (
            args[:2] == [sys.executable, "-m"]
            and (umask, *others) == (-1, -1)  # a mask and a group of its own are left to a start, and so on
            and restore_signals
            and not any((executable, preexec_fn, pass_fds, shell, gid, gids, uid))
        )
        if sys.platform != "linux" or not is_plain or early(variables) != early(BEGAN):
            inherited = (executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags, shell)
            pipes = (p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)
            last = (restore_signals, gid, gids, uid, umask, start_new_session, *others)
            super()._execute_child(args, *inherited, *pipes, *last)  # type: ignore[misc]
            return
        folder = os.path.abspath(cwd or ".")
        order = {"command": args, "cwd": folder, "variables": variables, "session": start_new_session}
        theirs = [p2cread, c2pwrite, errwrite]
        self.pid = server().start(order, [number if given < 0 else given for number, given in enumerate(theirs)])
        self._child_created = True
        devnull = getattr(self, "_devnull", -1)
        for given, ours in zip(theirs, (p2cwrite, c2pread, errread), strict=True):
            if given not in (-1, devnull) and ours != -1:
                os.close(given)
        if devnull != -1:
            os.close(devnull)
        self._closed_child_pipe_fds = True


def run(
    command: list[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: str | None = None,
    timeout: float | None = None,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """``subprocess.run``, with what it prints as text."""
    pipe = subprocess.PIPE
    stdin = None if input is None else pipe
    with Process(command, cwd=cwd, env=env, stdin=stdin, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    ended = subprocess.CompletedProcess(command, process.returncode, out, err)
    if check:
        ended.check_returncode()
    return ended
