"""What bytecode gains in the image: seconds of a start, and of a look at the health, with it and without.

    python benchmarks/image_start.py [--rounds 5]

Builds the image as the tests do (`tests/image`), and runs commands in containers of it, in turn as it is and with
PYTHONPYCACHEPREFIX on a folder that is not there, so that Python finds no bytecode. ``start`` is ``edgefn start`` on
five drawn frames, to its end. Wall time, and time of the processors; medians. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.image.containers import Container, image

COMMANDS = {
    "health": ["edgefn", "health"],
    "start": ["edgefn", "start", "--until-end", "--set", "INPUT=synthetic:?frames=5"],
}
MEASURE = """
import resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], capture_output=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.perf_counter() - began, used.ru_utime + used.ru_stime)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    ways = {"bytecode": [], "none": ["env", "PYTHONPYCACHEPREFIX=/nowhere"]}
    seen: dict[str, list[tuple[float, float]]] = {f"{name} {way}": [] for name in COMMANDS for way in ways}
    with tempfile.TemporaryDirectory() as state:
        container = Container(image(), Path(state), {})
        for _ in range(rounds):
            for name, command in COMMANDS.items():
                for way, before in ways.items():
                    wall, used = container.run(*before, "python", "-c", MEASURE, *command).stdout.split()
                    seen[f"{name} {way}"].append((float(wall), float(used)))
    told = {
        case: [round(statistics.median(each), 2) for each in zip(*times, strict=True)] for case, times in seen.items()
    }
    print(*(f"{case}: {wall} s, {used} s of a processor" for case, (wall, used) in told.items()), sep="\n")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
