"""The soak: inputs and outputs for hours, while all connections are dropped again and again (fault 30).

    python -m tests.faults.soak --hours 24        a drop each 60 s
    python -m tests.faults.soak --minutes 3       a drop each 20 s: the short form, which CI runs

Prints a line of JSON. The exit code is 1 when something was lost, came with another id or in disorder, or grows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

from tests.faults.box import WORK, Box, HostProcess, box
from tests.standin.hubs import HubProcess

RATE = 100
"""Inputs a second, and as many outputs."""
LATEST = 20_000
"""Ids that are remembered, to tell what comes again with another one."""
SETTLING = 120.0
"""Seconds for the last ones to arrive."""


@dataclass(frozen=True, slots=True)
class Sample:
    """How large the host is at a moment."""

    rss: float
    """MiB."""
    threads: float
    descriptors: float
    spool: float
    """MiB of its file, with the journal."""


MAY_GROW = Sample(rss=5.0, threads=1, descriptors=4, spool=17.0)
"""By so much the last quarter may be larger than the second: the journal, for one, goes up to 16 MiB and back."""


class Arrivals:
    """Follows what comes to the hub without keeping it: a day has millions."""

    def __init__(self) -> None:
        self.missing: set[int] = set()
        self.again = self.strangers = self.disorder = 0
        self.longest_gap = 0.0
        """Seconds in which nothing came."""
        self.next = 0
        self._row = 0
        self._time = 0.0
        self._ids: OrderedDict[int, str] = OrderedDict()

    def read(self, hub: HubProcess) -> None:
        """Takes note of what is new."""
        query = "SELECT number, time, message_id, body FROM upstream WHERE number > ? ORDER BY number"
        for row, at, message_id, body in hub.sql(query, self._row):
            self._row = row
            self.longest_gap = max(self.longest_gap, at - (self._time or at))
            self._time = at
            self._came(json.loads(body)["n"], message_id)

    def _came(self, number: int, message_id: str) -> None:
        if number >= self.next:
            self.missing.update(range(self.next, number))
            self.next = number + 1
        elif number in self.missing:
            self.missing.discard(number)
            self.disorder += 1
        else:
            self.again += 1
            self.strangers += self._ids.get(number, message_id) != message_id
        self._ids.setdefault(number, message_id)
        if len(self._ids) > LATEST:
            self._ids.popitem(last=False)

    def lost(self, given: int) -> int:
        return len(self.missing) + given - self.next


def soak(folder: Path, seconds: float, drop_each: float, sample_each: float) -> dict[str, Any]:
    """One run: what became of the inputs, and how the host grew."""
    arrivals, samples, drops = Arrivals(), [], 0
    ended = threading.Event()
    with box(folder, {"functions/work.py": WORK}) as there:
        began = time.monotonic()
        next_drop, next_sample = began + drop_each, began + sample_each
        with there.stream(RATE):
            while (now := time.monotonic()) < began + seconds:
                arrivals.read(there.hub)
                if now >= next_drop:
                    there.hub.control.fault("kill-connections")
                    next_drop, drops = next_drop + drop_each, drops + 1
                if now >= next_sample:
                    samples.append(sample(there.host))
                    next_sample += sample_each
                ended.wait(0.5)
        settle(there, arrivals)
        told = {"minutes": round(seconds / 60, 1), "inputs": there.given, "drops": drops}
        seen = {"lost": arrivals.lost(there.given), "again": arrivals.again, "with_another_id": arrivals.strangers}
    more = {"disorder": arrivals.disorder, "longest_gap_s": round(arrivals.longest_gap, 1)}
    return {**told, **seen, **more, **growth(samples)}


def settle(there: Box, arrivals: Arrivals) -> None:
    """Returns when all has arrived, or it has had its time."""
    ends, waiting = time.monotonic() + SETTLING, threading.Event()
    while arrivals.lost(there.given) and time.monotonic() < ends:
        waiting.wait(0.2)
        arrivals.read(there.hub)


def sample(host: HostProcess) -> Sample:
    spool = sum(path.stat().st_size for path in host.state.glob("spool.db*"))
    return Sample(host.memory(), host.threads(), host.descriptors(), spool / 2**20)


def growth(samples: Sequence[Sample]) -> dict[str, Any]:
    """The host in the second quarter of the time, and in the last; what it has too much of in the end."""
    quarter = len(samples) // 4
    first, last = typical(samples[quarter : 2 * quarter]), typical(samples[-quarter:])
    bounds = zip(asdict(first), astuple(first), astuple(last), astuple(MAY_GROW), strict=True)
    grows = [name for name, early, late, allowed in bounds if late - early > allowed]
    figures = {
        f"{name}_{when}": value for when, of in (("first", first), ("last", last)) for name, value in figures_of(of)
    }
    return {**dict(sorted(figures.items())), "grows": grows}


def typical(samples: Sequence[Sample]) -> Sample:
    return Sample(*(statistics.median(values) for values in zip(*map(astuple, samples), strict=True)))


def figures_of(found: Sample) -> list[tuple[str, float]]:
    return [(name, round(value, 1)) for name, value in asdict(found).items()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=0.0)
    parser.add_argument("--minutes", type=float, default=0.0)
    asked = parser.parse_args()
    seconds = asked.hours * 3600 + asked.minutes * 60 or 86_400
    is_short = seconds < 1800
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        told = soak(Path(folder), seconds, 20 if is_short else 60, 2 if is_short else 30)
    print(json.dumps(told))  # noqa: T201
    return int(bool(told["lost"] or told["with_another_id"] or told["disorder"] or told["grows"]))


if __name__ == "__main__":
    sys.exit(main())
