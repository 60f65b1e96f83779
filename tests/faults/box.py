"""A box in the field: a hub and a host, each a process of its own, that may be killed, frozen and started again.

What the hub's own database holds is the truth: every input that was given must be there as an output, once for its id.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import edgefn
from edgefn.standin.control import Outgoing
from tests.standin.hubs import HubProcess, wait_until

FULL = os.environ.get("EDGEFN_FAULTS", "") == "full"
"""Whether each fault is tried at full size; CI tries each at a reduced one."""
MODULE = "box"
STARTED = "Worker process started"
PACKAGE = Path(edgefn.__file__).parents[1]

WORK = """
    import edgefn
    app = edgefn.FunctionApp()

    @app.edge_hub_trigger("m", "in")
    @app.edge_hub_output("$return", "out")
    async def work(m: dict):
        return m
"""
"""One output for each input."""

SLOW = """
    import time
    import edgefn
    app = edgefn.FunctionApp()

    @app.edge_hub_trigger("m", "in")
    @app.edge_hub_output("$return", "out")
    def work(m: dict):
        time.sleep({seconds})
        return m
"""


def size(full: int, reduced: int) -> int:
    """How many, at full size and on CI."""
    return full if FULL else reduced


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of inputs that were numbered from 0."""

    given: int
    lost: list[int]
    duplicates: int
    """Outputs that came again."""
    strangers: int
    """Outputs that came again with another id: what a consumer that looks at the id would count twice."""
    inversions: int
    """First arrivals that came after a later one."""

    def __str__(self) -> str:
        return (
            f"{self.given} inputs, {len(self.lost)} lost, {self.duplicates} came again, {self.strangers} of them with "
            f"another id, {self.inversions} first arrivals out of order"
        )


class HostProcess:
    """`edgefn start` as a module on a hub; its state folder stays between its starts."""

    def __init__(self, folder: Path, hub: HubProcess, files: Mapping[str, str], module: str = MODULE) -> None:
        self.folder = folder
        self.state = folder / ".edgefn"
        self.variables = hub.env(module)
        self.process: subprocess.Popen[str] | None = None
        self._lines: list[str] = []
        self._came = threading.Condition()
        self.write({"host.json": '{"version": "2.0"}', **files})

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))

    # --- the process ---------------------------------------------------------------------------------------------

    def start(self, *, ready: str = STARTED) -> None:
        """Starts it, and returns when it has said that it is ready."""
        seen = len(self._lines)
        self.spawn()
        self.wait_for(ready, after=seen)

    def spawn(self, *command: str) -> None:
        """Starts it without waiting."""
        known = {name: value for name, value in os.environ.items() if not name.startswith(("IOTEDGE", "EdgeHub"))}
        self.process = subprocess.Popen(
            [*command, sys.executable, "-m", "edgefn", "start", "--port", "0", "--state", str(self.state)],
            cwd=self.folder,
            env={**known, **self.variables, "PYTHONPATH": str(PACKAGE), "PYTHONFAULTHANDLER": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(30)

    def stop(self) -> tuple[int, float]:
        """SIGTERM; the exit code, and the seconds that it took."""
        assert self.process is not None
        began = time.monotonic()
        self._signal(signal.SIGTERM)
        return self.process.wait(30), time.monotonic() - began

    def restart(self) -> None:
        self.kill()
        self.start()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    # --- what it says --------------------------------------------------------------------------------------------

    @property
    def log(self) -> str:
        return "".join(self._lines)

    def wait_for(self, text: str, *, after: int = 0, within: float = 60.0) -> str:
        """The first line with the text, as soon as it is there."""
        with self._came:
            self._came.wait_for(lambda: self._find(text, after) is not None or not self.runs, within)
            found = self._find(text, after)
            assert found is not None, f"no line with {text!r} in:\n{self.log[-6000:]}"
            return found

    def _find(self, text: str, after: int) -> str | None:
        return next((line for line in self._lines[after:] if text in line), None)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self._came:
                self._lines.append(line)
                self._came.notify_all()
        with self._came:
            self._came.notify_all()

    # --- what it tells -------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        line = next(line for line in reversed(self._lines) if "health and metrics are on port" in line.lower())
        return int(line.rsplit(" ", 1)[1])

    def memory(self) -> float:
        """Resident memory in MiB."""
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def threads(self) -> int:
        assert self.process is not None
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def spool(self) -> dict[str, Any]:
        """What `edgefn spool --json` tells."""
        return json.loads(self.edgefn("spool", "--json"))  # type: ignore[no-any-return]

    def dead_letters(self) -> list[dict[str, Any]]:
        return json.loads(self.edgefn("dead-letter", "list", "--json", "--limit", "10000"))  # type: ignore[no-any-return]

    def edgefn(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "edgefn", *arguments, "--state", str(self.state)]
        variables = {**os.environ, "PYTHONPATH": str(PACKAGE)}
        return subprocess.run(
            command, cwd=self.folder, env=variables, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    def get(self, address: str) -> tuple[int, str]:
        """Status and body of a page of its web server."""
        try:
            with urllib.request.urlopen(f"{address}", timeout=10) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


class Box:
    """A hub and a host on it."""

    def __init__(self, hub: HubProcess, host: HostProcess) -> None:
        self.hub = hub
        self.host = host
        self._given = 0

    def give(self, count: int, *, name: str = "in", padding: int = 0, ids: bool = True) -> None:
        """Gives the module the next ``count`` numbers as inputs; returns when the hub has stored them."""
        numbers = range(self._given, self._given + count)
        filler = "x" * padding
        for start in range(0, count, 500):
            self.hub.control.send(
                MODULE,
                name,
                *(
                    Outgoing(json.dumps({"n": n, "filler": filler}), id=f"in-{n}" if ids else "")
                    for n in numbers[start : start + 500]
                ),
            )
        self._given += count

    def arrived(self) -> list[tuple[int, str]]:
        """Number and id of what came to the hub, in the order of arrival, read from its database."""
        rows = self.hub.sql("SELECT body, message_id FROM upstream ORDER BY number")
        return [(json.loads(body)["n"], message_id) for body, message_id in rows]

    def tally(self) -> Tally:
        return tally(self._given, self.arrived())

    def wait_for_all(self, within: float = 60.0) -> Tally:
        """Returns when every input has an output at the hub, and no more are on their way; fails after that time."""
        try:
            wait_until(lambda: self.tally().lost == [], within=within)
        except AssertionError:
            raise AssertionError(f"{self.tally()}; spool {self.host.spool()}\n{self.host.log[-6000:]}") from None
        return self.tally()


def tally(given: int, arrived: Sequence[tuple[int, str]]) -> Tally:
    first: dict[int, str] = {}
    duplicates = strangers = inversions = 0
    highest = -1
    for number, message_id in arrived:
        if number in first:
            duplicates += 1
            strangers += message_id != first[number]
            continue
        first[number] = message_id
        inversions += number < highest
        highest = max(highest, number)
    ids = Counter(first.values())
    assert not first or max(ids.values()) == 1, "two outputs have one id"
    return Tally(given, [n for n in range(given) if n not in first], duplicates, strangers, inversions)


@contextmanager
def box(tmp_path: Path, files: Mapping[str, str] | None = None, *options: str, started: bool = True) -> Iterator[Box]:
    """A hub with these options, and a host with an app of these files on it."""
    hub = HubProcess(tmp_path / "hub", *options)
    host = None
    try:
        hub.start()
        host = HostProcess(tmp_path / "app", hub, files or {"functions/work.py": WORK})
        if started:
            host.start()
        yield Box(hub, host)
    finally:
        if host is not None:
            host.close()
        hub.close()


def while_it_lasts(step: Callable[[], object]) -> tuple[threading.Event, threading.Thread]:
    """Repeats a step in a thread until the event is set."""
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            step()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return ended, thread
