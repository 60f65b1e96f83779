"""The stand-in edgeHub as tests use it: a process of its own, that may be killed, frozen and started again.

with running_hub(tmp_path) as hub:
    os.environ.update(hub.env("cam"))
    ...
    hub.kill()
    hub.start()
    assert [message.text for message in hub.control.upstream()] == [...]
"""

from __future__ import annotations

import itertools
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import edgefn
from edgefn.standin.control import Control
from tests import forks

LONGEST = 60.0
"""Seconds that any wait takes at most."""
READY = ("Hub ready:", '"ready": true')
PACKAGE = Path(edgefn.__file__).parents[1]

_COUNT = itertools.count()


def free_address(port: int = 8883) -> str:
    """A loopback address that no other test uses: it is made of the process id, and tried."""
    for _ in range(64):
        mark = (os.getpid() * 64 + next(_COUNT) % 64) % 2**22
        address = f"127.{64 + (mark >> 16)}.{mark >> 8 & 255}.{mark & 255}"
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((address, port))
            except OSError:
                continue
            return address
    raise AssertionError("no loopback address is free")


class HubProcess:
    """One folder and one address; the process may come and go. ``control`` asks the hub that runs."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.address = free_address()
        self.options = options
        self.control = Control(folder)
        self.process: subprocess.Popen[str] | None = None
        self._environments: dict[tuple[str, str], dict[str, str]] = {}
        self._lines: list[str] = []
        self._came = threading.Condition()
        self._reader: threading.Thread | None = None

    @property
    def python(self) -> dict[str, str]:
        """The environment of a process that finds the package, also where it is not installed."""
        return {**os.environ, "PYTHONPATH": str(PACKAGE)}

    # --- the process ---------------------------------------------------------------------------------------------

    def start(self, *more: str) -> None:
        """Starts it, with more options this time, and returns when it is ready."""
        seen = len(self._lines)
        self.spawn(*more)
        self.wait_for_line(*READY, after=seen)

    def spawn(self, *more: str) -> subprocess.Popen[str]:
        """Starts it without waiting."""
        assert self.process is None or self.process.poll() is not None, "it runs already"
        where = ["--dir", str(self.folder), "--host", self.address]
        self.process = forks.Process(
            [sys.executable, "-m", "edgefn", "hub", "start", *where, *self.options, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.python,
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,), name="log of the hub")
        self._reader.start()
        return self.process

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self._signal(signal.SIGKILL)
        self.wait_for_end()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self._signal(signal.SIGTERM)
        return self.wait_for_end()

    def freeze(self) -> None:
        """SIGSTOP, until ``thaw``."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def restart(self, *more: str) -> None:
        """SIGKILL, and start."""
        self.kill()
        self.start(*more)

    def wait_for_end(self) -> int:
        """Returns when the process has ended by itself; the exit code."""
        assert self.process is not None
        code = self.process.wait(LONGEST)
        assert self._reader is not None
        self._reader.join(LONGEST)
        return code

    def close(self) -> None:
        """Kills it, if it runs."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.wait_for_end()

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    # --- what it says --------------------------------------------------------------------------------------------

    @property
    def log(self) -> str:
        """All that it has printed, over all its starts."""
        return "\n".join(self._lines)

    def wait_for_line(self, *texts: str, after: int = 0, within: float = LONGEST) -> str:
        """The first line that holds one of the texts, counted from line ``after``, as soon as it is there."""
        with self._came:
            self._came.wait_for(lambda: self._find(texts, after) or self._has_ended(), within)
            found = self._find(texts, after)
            assert found is not None, f"no line with {' or '.join(texts)} in:\n{self.log}"
            return found

    def _find(self, texts: tuple[str, ...], after: int) -> str | None:
        return next((line for line in self._lines[after:] if any(text in line for text in texts)), None)

    def _has_ended(self) -> bool:
        return self._reader is not None and not self._reader.is_alive()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                with self._came:
                    self._lines.append(line.rstrip("\n"))
                    self._came.notify_all()
        with self._came:
            self._came.notify_all()

    # --- what it gives -------------------------------------------------------------------------------------------

    def env(self, module: str) -> dict[str, str]:
        """The IOTEDGE_... variables of a module; remembered, so that they are there while the hub is not."""
        return self._environment(module, "module")

    def debug_env(self, module: str) -> dict[str, str]:
        """EdgeHubConnectionString and EdgeModuleCACertificateFile."""
        return self._environment(module, "debug")

    def device_env(self, device: str) -> dict[str, str]:
        """CONNECTIONSTRING and SSL_CERT_FILE of a leaf device."""
        return self._environment(device, "device")

    def _environment(self, name: str, form: str) -> dict[str, str]:
        if (name, form) not in self._environments:
            self._environments[name, form] = self.control.environment(name, form)
        return dict(self._environments[name, form])

    def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What the store holds, whether the hub runs or not; table ``upstream`` is the truth."""
        with closing(sqlite3.connect(self.folder / "hub.db")) as database:
            return database.execute(query, parameters).fetchall()

    def client(self, name: str) -> dict[str, Any]:
        """What the status says of a module or device."""
        return next(client for client in self.control.status()["clients"] if client["name"] == name)

    def counter(self, name: str) -> int:
        """``received``, ``upstream``, ``delivered``, ``redelivered``, ``dropped.no_route``, ..."""
        return int(self.control.status()["counters"].get(name, 0))


@contextmanager
def running_hub(tmp_path: Path, *options: str) -> Iterator[HubProcess]:
    """A hub with its folder in ``tmp_path``; the options are those of `edgefn hub start`."""
    hub = HubProcess(tmp_path / "hub", *options)
    try:
        hub.start()
        yield hub
    finally:
        hub.close()


def wait_until(condition: Callable[[], Any], *, within: float = LONGEST) -> Any:
    """Asks again and again; gives the first answer that is true, and fails when none comes in time."""
    ends = time.monotonic() + within
    while not (answer := condition()):
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.01)
    return answer
