"""A video function publishes while its host is killed at random moments, and the hub comes and goes.

    python -m tests.faults.kills --kills 200

Every invocation that ends well is noted by a hook, in a file that outlives the process; at the end each of them must be
at the hub. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
import time
from pathlib import Path

from tests.faults.box import WORK, Box, box
from tests.standin.hubs import wait_until

CAMERA = """
    import os, uuid
    import edgefn

    app = edgefn.FunctionApp()
    RUN = uuid.uuid4().hex[:8]
    DONE = os.open("done.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    @app.video_frame_trigger("frame", "synthetic:?width=64&height=48&fps=100", real_time=True)
    @app.edge_hub_output("$return", "frames")
    async def see(frame):
        return {"n": f"{RUN}-{frame.id}"}

    @edgefn.hookimpl
    def edgefn_invocation_ended(function, event, outcome):
        if outcome.ok:
            os.write(DONE, f"{RUN}-{event.value.id}\\n".encode())
"""


def killed_again_and_again(folder: Path, kills: int, seed: int = 0) -> dict[str, float]:
    """Runs it; how many invocations were done, lost, and came again."""
    dice = random.Random(seed)
    with box(folder, {"functions/see.py": CAMERA}, "--max-upstream", "1000000000", started=False) as there:
        ended = threading.Event()
        coming_and_going = threading.Thread(target=_come_and_go, args=(there, ended, random.Random(seed + 1)))
        coming_and_going.start()
        for _ in range(kills):
            there.host.spawn()
            time.sleep(dice.uniform(0.2, 3.0))
            there.host.kill()
        ended.set()
        coming_and_going.join()
        there.host.write({"functions/see.py": WORK})  # nothing new is published; what waits is sent
        there.host.spawn()
        done = set((folder / "app" / "done.txt").read_text().split())
        wait_until(lambda: done <= set(_arrived(there)) or there.host.spool()["outbox"]["messages"] == 0, within=120)
        arrived = _arrived(there)
        here = set(arrived)
    return {
        "kills": kills,
        "done": len(done),
        "lost": len(done - here),
        "arrived": len(here),
        "again": len(arrived) - len(here),
    }


def _arrived(there: Box) -> list[str]:
    return [json.loads(body)["n"] for (body,) in there.hub.sql("SELECT body FROM upstream ORDER BY number")]


def _come_and_go(there: Box, ended: threading.Event, dice: random.Random) -> None:
    while not ended.wait(dice.uniform(1.0, 5.0)):
        there.hub.kill()
        ended.wait(dice.uniform(0.0, 3.0))
        there.hub.start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        print(json.dumps(killed_again_and_again(Path(folder), asked.kills, asked.seed)))  # noqa: T201


if __name__ == "__main__":
    main()
