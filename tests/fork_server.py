"""The process that forks commands; see forks.py. It has one thread, and each of its children runs the command."""

from __future__ import annotations

import atexit
import faulthandler
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, NoReturn

Order = dict[str, Any]
PATH = sys.path[1:]
"""Where the interpreter looks for modules, before the folder that it runs in."""


def imported() -> None:
    """Imports what commands import, to the last that needs no thread: OpenVINO and gRPC come when a command asks."""
    from edgefn.cli import ASLEEP

    os.environ.update(ASLEEP)
    import cv2  # noqa: F401
    import numpy.random  # noqa: F401

    import edgefn.cli
    import edgefn.scene
    from edgefn.plugins import plugin_manager

    for module in pkgutil.walk_packages(edgefn.cli.__path__, "edgefn.cli."):
        importlib.import_module(module.name)
    plugin_manager()
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads can not be forked"
    gc.collect()
    gc.freeze()  # else each child copies all of it at its first collection


def orders(server: socket.socket) -> Order | None:
    """Starts a child for each order; none when the tester has ended. In a child: its order; its streams are there."""
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the tester says when it ends, not the terminal
    while True:
        size, streams, _, _ = socket.recv_fds(server, 4, 3)
        if not size:
            return None
        order: Order = json.loads(server.recv(int.from_bytes(size), socket.MSG_WAITALL))
        reading, writing = os.pipe()
        waiting, going = os.pipe()
        between = os.fork()  # ends before the child, which is then the tester's
        if not between:
            child = os.fork()
            if child:
                os.write(writing, child.to_bytes(4))
                os._exit(0)
            signal.signal(signal.SIGINT, interrupted)
            os.close(going)
            os.read(waiting, 1)  # until it is the tester's
            for number in (reading, writing, waiting, server.detach()):
                os.close(number)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            return order
        os.waitpid(between, 0)
        server.sendall(os.read(reading, 4))
        for number in (*streams, reading, writing, waiting, going):
            os.close(number)


def become(order: Order) -> str:
    """Makes of this process the one that was ordered; gives the name of the module that it is to run."""
    ours = named(os.environ)
    os.environ.clear()
    os.environ.update(order["variables"])
    os.chdir(order["cwd"])
    if order["session"]:
        os.setsid()
    time.tzset()
    sys.orig_argv = order["command"]
    _, _, module, *arguments = order["command"]
    sys.argv = [module, *arguments]
    theirs = named(os.environ)
    sys.path[:] = [os.getcwd(), *theirs, *(each for each in PATH if each not in {*ours, *theirs})]
    importlib.invalidate_caches()
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    if os.environ.get("PYTHONFAULTHANDLER"):
        faulthandler.enable()
    sys.stdin = sys.__stdin__ = stream(0, "r", sys.stdin.errors)
    sys.stdout = sys.__stdout__ = stream(1, "w", sys.stdout.errors)
    sys.stderr = sys.__stderr__ = stream(2, "w", sys.stderr.errors)
    return str(module)


def named(variables: Mapping[str, str]) -> list[str]:
    """The folders that the environment adds to the path of modules."""
    return [each for each in variables.get("PYTHONPATH", "").split(os.pathsep) if each]


def stream(number: int, mode: str, errors: str | None) -> io.TextIOWrapper:
    """A standard stream as the interpreter makes it."""
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    raw = io.FileIO(number, mode, closefd=False)
    lines = not unbuffered and (number == 2 or raw.isatty())
    raw.name = f"<{'stdin stdout stderr'.split()[number]}>"
    binary = io.BufferedReader(raw) if mode == "r" else raw if unbuffered else io.BufferedWriter(raw)
    return io.TextIOWrapper(binary, sys.stdout.encoding, errors, "\n", line_buffering=lines, write_through=unbuffered)


def leave(ended: SystemExit) -> NoReturn:
    """Ends as the interpreter does, but leaves the memory to the system: to take each module apart first, one would
    have to copy it. What is no plain number is for the interpreter.
    """
    if not isinstance(ended.code, int | None):
        raise ended
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, and ends those of pools
    atexit._run_exitfuncs()
    try:
        for each in (sys.stdout, sys.stderr):
            each.closed or each.flush()
    except OSError:
        raise ended from None
    os._exit((ended.code or 0) & 255)


if __name__ == "__main__":
    sys.path.append(sys.argv[2])
    imported()
    order = orders(socket.socket(fileno=int(sys.argv[1])))
    if order is not None:
        try:
            runpy.run_module(become(order), run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            leave(ended)
        leave(SystemExit())
