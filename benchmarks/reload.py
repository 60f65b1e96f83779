"""Saving a file while the sample runs: until the first result of the new code, beside a full restart.

    python benchmarks/reload.py [--edits 50] [--restarts 5]

`edgefn start` runs a copy of the sample as a process of its own: the street clip at its own 30 frames a second,
looped, the detector on every frame (``policy=every``), an output for each frame. An edit changes a number in the
function's file that goes into every output; time runs from before the write to when the first output with the new
number is in the hub's file of upstream messages, which is looked at every millisecond. Frames are lost where a frame
id is missing between the first and the last output. Models compiled are counted in the host's log. A restart is the
same edit, with the process ended by SIGTERM and started again. Prints one JSON object last.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DETECT = """
import edgefn

app = edgefn.FunctionApp()
VERSION = 0


@app.video_frame_trigger(arg_name="frame", source="%INPUT%", real_time=True, policy="every", on_end="loop")
@app.inference_session(arg_name="detector", model="%MODEL_XML_PATH%", device="%DEVICE%")
@app.edge_hub_output(arg_name="$return", output_name="frames")
async def detect(frame: edgefn.VideoFrame, detector: edgefn.DetectionSession) -> dict:
    found = await detector.infer_async(frame)
    return {"id": frame.id, "version": VERSION, "objects": len(found)}
"""
LONGEST = 60.0


class Sample:
    """The host as a process, and what it has sent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "functions/detect.py"
        self.state = folder / "state"
        (folder / "functions").mkdir()
        shutil.copytree(ROOT / "sample", folder / "sample", ignore=shutil.ignore_patterns("*.py"))
        options = {"edgeHub": {"upstreamMaxBytes": 1_000_000_000}}
        (folder / "host.json").write_text(json.dumps({"version": "2.0", "extensions": options}))
        shutil.copy(ROOT / "local.settings.json", folder)
        self.file.write_text(DETECT)
        self._read = 0
        self._rest = b""

    def start(self) -> None:
        log = (self.folder / "log.txt").open("ab")
        command = [sys.executable, "-m", "edgefn", "start", "--port", "0", "--state", str(self.state)]
        variables = {**os.environ, "PYTHONPATH": str(ROOT / "host")}
        self.process = subprocess.Popen(command, cwd=self.folder, env=variables, stdout=log, stderr=log)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(LONGEST)

    def save(self, version: int) -> None:
        self.file.write_text(re.sub(r"VERSION = \d+", f"VERSION = {version}", DETECT))

    def came(self) -> Iterator[dict[str, Any]]:
        """The outputs since the last look."""
        path = self.state / "upstream.jsonl"
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(self._read)
            fresh = file.read()
        self._read += len(fresh)
        *lines, self._rest = (self._rest + fresh).split(b"\n")
        for line in lines:
            yield json.loads(line)["body"]

    def wait_for(self, version: int, seen: list[dict[str, Any]]) -> None:
        """Returns when the first output of a version is there; keeps all that come."""
        ends = time.monotonic() + LONGEST
        while time.monotonic() < ends:
            fresh = list(self.came())
            seen += fresh
            if any(each["version"] == version for each in fresh):
                return
            time.sleep(0.001)
        raise SystemExit(f"version {version} never came:\n{(self.folder / 'log.txt').read_text()[-3000:]}")

    def wait_for_frames(self, count: int, seen: list[dict[str, Any]]) -> None:
        """Returns when so many more outputs are there."""
        wanted, ends = len(seen) + count, time.monotonic() + LONGEST
        while len(seen) < wanted and time.monotonic() < ends:
            seen += self.came()
            time.sleep(0.001)

    def compiled(self) -> int:
        """Models that the host has compiled, by its log."""
        return len(re.findall(r"Compiled \S+ for", (self.folder / "log.txt").read_text()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edits", type=int, default=50)
    parser.add_argument("--restarts", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sample = Sample(Path(folder))
        sample.start()
        seen: list[dict[str, Any]] = []
        sample.wait_for(0, seen)
        compiled, times = sample.compiled(), []
        dice = random.Random(1)
        for version in range(1, asked.edits + 1):
            sample.wait_for_frames(dice.randrange(3, 20), seen)
            began = time.perf_counter()
            sample.save(version)
            sample.wait_for(version, seen)
            times.append((time.perf_counter() - began) * 1000)
        more = sample.compiled() - compiled
        ids = [each["id"] for each in seen]
        lost = ids[-1] - ids[0] + 1 - len(set(ids))
        restarts = []
        for version in range(1001, 1001 + asked.restarts):
            began = time.perf_counter()
            sample.save(version)
            sample.stop()
            sample.start()
            sample.wait_for(version, [])
            restarts.append((time.perf_counter() - began) * 1000)
        sample.stop()
    times.sort()
    figures = {
        "median_ms": round(statistics.median(times)),
        "p99_ms": round(times[min(len(times) - 1, int(len(times) * 0.99))]),
        "models_compiled": more,
        "frames_lost": lost,
        "frames": len(ids),
        "restart_median_ms": round(statistics.median(restarts)) if restarts else None,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
