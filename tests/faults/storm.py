"""The headline: host and hub are killed again and again, and nothing is lost, nor comes in disorder (faults 1, 3, 4).

    python -m tests.faults.storm --inputs 10000 --kills 8 --runs 5

Prints a line of JSON for each run. Host and hub are killed by SIGKILL, in turn, ``--kills`` times each, at random
points of the traffic; then both run until every input has its output.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
import time
from pathlib import Path

from tests.faults.box import SLOW, WORK, Box, Tally, box


def storm(
    folder: Path, inputs: int, kills: int, *, hosts: bool = True, hubs: bool = True, slow: float = 0.0, seed: int = 0
) -> tuple[Tally, float]:
    """One run; what became of the inputs, and the seconds that it took."""
    dice = random.Random(seed)
    code = SLOW.format(seconds=slow) if slow else WORK
    patience = max(60.0, inputs * (slow + 0.02))
    began = time.monotonic()
    with box(folder, {"functions/work.py": code}) as there:
        hub_is_there = threading.Lock()
        fed = threading.Thread(target=_feed, args=(there, inputs, hub_is_there))
        fed.start()
        points = sorted(dice.randrange(inputs * 9 // 10) for _ in range(kills * (hosts + hubs)))
        for number, point in enumerate(points):
            there.until(lambda point=point: there.count > point, within=patience)  # type: ignore[misc]
            if hosts and (number % 2 == 0 or not hubs):
                there.host.kill()
                there.host.spawn()
            else:
                with hub_is_there:
                    there.hub.restart()
        fed.join()
        seen = there.wait_for_all(within=patience)
    return seen, time.monotonic() - began


def _feed(there: Box, inputs: int, hub_is_there: threading.Lock) -> None:
    """Gives the inputs in portions; not while the hub is away, since it is the one that has to store them."""
    for first in range(0, inputs, 100):
        with hub_is_there:
            there.give(min(100, inputs - first))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--slow", type=float, default=0.0, help="seconds that the function takes")
    parser.add_argument("--only", choices=("hosts", "hubs"))
    asked = parser.parse_args()
    for run in range(asked.runs):
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            seen, seconds = storm(
                Path(folder),
                asked.inputs,
                asked.kills,
                hosts=asked.only != "hubs",
                hubs=asked.only != "hosts",
                slow=asked.slow,
                seed=run,
            )
        lost = len(seen.lost)
        told = {"lost": lost, "again": seen.duplicates, "with_another_id": seen.strangers}
        print(json.dumps({"run": run, "inputs": seen.given, **told, "disorder": seen.inversions, "s": round(seconds)}))  # noqa: T201


if __name__ == "__main__":
    main()
