"""A box in the field: a hub and a host, each a process of its own, that may be killed, frozen and started again.

What the hub's own database holds is the truth: every input that was given must be there as an output, once for its id.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

import edgefn
from edgefn.standin.control import Outgoing
from tests import forks
from tests.standin.hubs import HubProcess, wait_until

FULL = os.environ.get("EDGEFN_FAULTS", "") == "full"
"""Whether each fault is tried at full size; CI tries each at a reduced one."""
MODULE = "box"
STARTED = "Worker process started"
PACKAGE = Path(edgefn.__file__).parents[1]
LINES = 50_000
"""Lines of a log that are kept at least."""

WORK = """
    import edgefn
    app = edgefn.FunctionApp()

    @app.edge_hub_trigger("m", "in")
    @app.edge_hub_output("$return", "out")
    async def work(m: dict):
        return m
"""
"""One output for each input."""

GATED = """
    import asyncio, pathlib
    import edgefn
    app = edgefn.FunctionApp()
    GATE = pathlib.Path("open")

    @app.edge_hub_trigger("m", "in")
    @app.edge_hub_output("$return", "out")
    async def work(m: dict):
        while not GATE.exists():
            await asyncio.sleep(0.01)
        return m
"""
"""The same, and nothing moves until there is a file of the name ``open`` in the app's folder."""

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


def extensions(**options: Mapping[str, Any]) -> dict[str, str]:
    """A host.json with these extensions, as a file of an app."""
    return {"host.json": json.dumps({"version": "2.0", "extensions": options})}


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

    @property
    def holds(self) -> bool:
        """Whether all came, what came again had the same id, and first arrivals were in order."""
        return not (self.lost or self.strangers or self.inversions)

    def __str__(self) -> str:
        return (
            f"{self.given} inputs, {len(self.lost)} lost, {self.duplicates} came again, {self.strangers} of them with "
            f"another id, {self.inversions} first arrivals out of order"
        )


class HostProcess:
    """`edgefn start` as a module on a hub; its state folder stays between its starts."""

    def __init__(
        self, folder: Path, hub: HubProcess, files: Mapping[str, str], module: str = MODULE, port: int = 8080
    ) -> None:
        self.folder = folder
        self.state = folder / ".edgefn"
        self.variables = hub.env(module)
        self.address, self.port = hub.address, port
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

    def spawn(self) -> None:
        """Starts it without waiting."""
        where = ["--address", self.address, "--port", str(self.port)]
        known = {name: value for name, value in os.environ.items() if not name.startswith(("IOTEDGE", "EdgeHub"))}
        self.process = forks.Process(
            [sys.executable, "-m", "edgefn", "start", *where, "--state", str(self.state)],
            cwd=self.folder,
            env={**known, **self.variables, "PYTHONPATH": str(PACKAGE), "PYTHONFAULTHANDLER": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,), name="log of the host")
        self._reader.start()

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._wait_for_end()

    def stop(self) -> tuple[int, float]:
        """SIGTERM; the exit code, and the seconds that it took."""
        began = time.monotonic()
        self._signal(signal.SIGTERM)
        return self._wait_for_end(), time.monotonic() - began

    def restart(self) -> None:
        self.kill()
        self.start()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        if self.process is not None:
            if self.runs:
                self.kill()
            self._wait_for_end()

    def _wait_for_end(self) -> int:
        assert self.process is not None
        code = self.process.wait(30)
        self._reader.join(30)
        return code

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
        with process.stdout:
            for line in process.stdout:
                with self._came:
                    self._lines.append(line)
                    if len(self._lines) > 2 * LINES:
                        del self._lines[:LINES]
                    self._came.notify_all()
        with self._came:
            self._came.notify_all()

    # --- what it tells -------------------------------------------------------------------------------------------

    def memory(self) -> float:
        """Resident memory in MiB."""
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def threads(self) -> int:
        assert self.process is not None
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def descriptors(self) -> int:
        """Files and sockets that it has open."""
        assert self.process is not None
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def ready(self) -> tuple[int, dict[str, Any]]:
        """Status and answer of its readiness probe."""
        status, body = self.get("/health/ready")
        return status, json.loads(body)

    def metric(self, name: str, **labels: str) -> float:
        """What /metrics tells: the sum of the samples of that name which have these labels."""
        families = text_string_to_metric_families(self.get("/metrics")[1])
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    @property
    def is_online(self) -> bool:
        return self.metric("edgefn_hub_connected") == 1

    @property
    def connections(self) -> int:
        """How many it has made to the hub since its start."""
        return int(self.metric("edgefn_hub_connections_total"))

    def stored(self, box: str) -> int:
        """Messages in the file of its spool: ``inbox``, ``outbox`` or ``dead``."""
        with closing(sqlite3.connect(f"file:{self.state / 'spool.db'}?mode=ro", uri=True)) as file:
            return int(file.execute(f"SELECT count(*) FROM {box}").fetchone()[0])

    def spool(self) -> dict[str, Any]:
        """What `edgefn spool --json` tells."""
        return json.loads(self.edgefn("spool", "--json"))  # type: ignore[no-any-return]

    def dead_letters(self) -> list[dict[str, Any]]:
        return json.loads(self.edgefn("dead-letter", "list", "--json", "--limit", "10000"))  # type: ignore[no-any-return]

    def edgefn(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "edgefn", *arguments, "--state", str(self.state)]
        variables = {**os.environ, "PYTHONPATH": str(PACKAGE)}
        return forks.run(command, cwd=self.folder, env=variables, check=True, timeout=60).stdout

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page of its web server."""
        try:
            with urllib.request.urlopen(f"http://{self.address}:{self.port}{path}", timeout=10) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


class Box:
    """A hub and a host on it."""

    def __init__(self, hub: HubProcess, host: HostProcess) -> None:
        self.hub = hub
        self.host = host
        self._given = 0

    def give(self, count: int, *, filler: str = "") -> None:
        """Gives the module the next ``count`` numbers as inputs; returns when the hub has stored them."""
        numbers = range(self._given, self._given + count)
        for start in range(0, count, 500):
            messages = [
                Outgoing(json.dumps({"n": n, "filler": filler}), id=f"in-{n}") for n in numbers[start : start + 500]
            ]
            self.hub.control.send(MODULE, "in", *messages)
        self._given += count

    @contextmanager
    def stream(self, per_second: int) -> Iterator[None]:
        """Gives so many inputs a second meanwhile; the hub must be there."""
        ended = threading.Event()

        def feed() -> None:
            began, before = time.monotonic(), self._given
            while not ended.wait(0.1):
                self.give(before + int((time.monotonic() - began) * per_second) - self._given)

        thread = threading.Thread(target=feed, name="stream")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    @property
    def given(self) -> int:
        """Inputs that the module was given."""
        return self._given

    @property
    def count(self) -> int:
        """Messages that came to the hub."""
        return int(self.hub.sql("SELECT coalesce(max(number), 0) FROM upstream")[0][0])

    @property
    def waiting(self) -> int:
        """Inputs that are with the hub still."""
        return int(self.hub.sql("SELECT count(*) FROM queued WHERE module = ?", MODULE)[0][0])

    def arrived(self) -> list[tuple[int, str]]:
        """Number and id of what came to the hub, in the order of arrival, read from its database."""
        rows = self.hub.sql("SELECT body, message_id FROM upstream ORDER BY number")
        return [(json.loads(body)["n"], message_id) for body, message_id in rows]

    def tally(self) -> Tally:
        return tally(self._given, self.arrived())

    def is_over(self, fault: str) -> bool:
        """Whether a fault has struck as often, or lasted as long, as it was to."""
        held = self.hub.control.status()["faults"]
        return all(each["fault"] != fault or each.get("left") == 0 for each in held)

    def wait_for_all(self, within: float = 60.0) -> Tally:
        """Returns when every input has an output at the hub; fails after that time."""
        self.until(lambda: self.count >= self._given and self.tally().lost == [], within=within)
        return self.tally()

    def until(self, condition: Callable[[], Any], *, within: float = 30.0) -> Any:
        """The first answer that is true; fails after that time, and tells what host and hub have said."""
        try:
            return wait_until(condition, within=within)
        except AssertionError:
            logs = f"host:\n{self.host.log[-6000:]}\nhub:\n{self.hub.log[-3000:]}"
            seen = f"{self.given} inputs, {self.waiting} of them with the hub still, {self.count} outputs"
            raise AssertionError(f"not within {within:g} s; {seen}\n{logs}") from None


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
