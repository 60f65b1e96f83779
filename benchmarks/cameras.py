"""Cameras on one box: one host for all of them, beside a script for each.

    python benchmarks/cameras.py [--cameras 1 8 16] [--fps 5] [--seconds 12] [--device CPU]
    python benchmarks/cameras.py --key-frames [--cameras 16 64]

A camera is a clip of its own, 1280 x 720 at 30 frames a second in H.264 (the drawn street), played at its pace. Each is
looked at ``fps`` times a second with the SSD of 300 x 300 of detector_model.py. For each number of cameras, one after
the other:

    host     one process: for each camera a function, video_frame_trigger -> inference_session -> edge_hub_output; all
             have one compiled model; frames that nobody wants are not converted to pixels
    scripts  a process for each camera, as the scripts are that this replaces: read, and for every n-th frame resize,
             transpose, infer with a model of its own, sort, dump

With ``--key-frames`` the host alone, whose functions have ``key_frames``: of each camera one frame a second, which is
what there is of them in these clips.

``looked_at`` is the share of the wanted frames for which there was a result, ``late`` the milliseconds from the reading
of a frame to its result (median and 99th percentile), ``cores`` the processor time a second, ``mb`` the memory
(proportional set size) of all processes. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from detector_model import make_detector
from video_pipeline import make_clip

FPS = 30
WARM_UP = 4.0
"""Seconds before the measured ones: models compile, readers open."""
APP = """
from datetime import UTC, datetime
import edgefn

app = edgefn.FunctionApp()

def look_at(number: int) -> None:
    source = f"camera{number}.mp4"
    @app.function_name(f"camera{number}")
    @app.video_frame_trigger("frame", source, real_time=True, on_end="loop", max_fps="%FPS%", key_frames=KEYS)
    @app.inference_session("detector", "ssd.xml", "%DEVICE%", task="detection", threshold=0.12)
    @app.edge_hub_output(arg_name="found", output_name="found")
    async def look(frame: edgefn.VideoFrame, detector: edgefn.DetectionSession, found: edgefn.Out[dict]) -> None:
        objects = await detector.infer_async(frame)
        now = datetime.now(UTC)
        found.set({"at": now.timestamp(), "late": (now - frame.timestamp).total_seconds(), "objects": objects})

for number in range(CAMERAS):
    look_at(number)
"""
"""CAMERAS is replaced by their number, KEYS by whether only key frames are looked at."""
Seen = list[tuple[float, float]]
"""For each result: seconds since the epoch, and how many after its frame was read."""


async def host(folder: Path, fps: float, device: str) -> None:
    """One host for all cameras, until its input ends."""
    from edgefn.host import Host
    from edgefn.loader import load_app

    logging.disable(logging.WARNING)
    app = load_app(folder, environment={}, given={"FPS": f"{fps:g}", "DEVICE": device}, state=folder / "state")
    running = Host(app)
    await running.start()
    await asyncio.to_thread(sys.stdin.read)
    await running.stop()


def script(clip: Path, model: Path, fps: float, device: str) -> None:
    """A loop for one camera, as the scripts are written, until it is terminated."""
    import cv2
    import numpy as np
    import openvino

    request = openvino.Core().compile_model(model, device).create_infer_request()
    started, number, capture = time.perf_counter(), 0, cv2.VideoCapture(str(clip))
    while True:
        there, image = capture.read()
        if not there:
            capture = cv2.VideoCapture(str(clip))
            continue
        read, number = time.time(), number + 1
        if number % round(FPS / fps) == 0:
            picture = cv2.resize(image, (300, 300)).transpose(2, 0, 1)[None].astype(np.float32)
            rows = next(iter(request.infer({0: picture}).values()))[0, 0]
            found = [row.tolist() for row in rows[np.argsort(-rows[:, 2])] if row[2] > 0.12]
            now = time.time()
            print(json.dumps({"at": now, "late": now - read, "objects": found}), flush=True)
        time.sleep(max(0.0, started + number / FPS - time.perf_counter()))


# --- measuring -------------------------------------------------------------------------------------------------------


def processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def megabytes(process: int) -> float:
    (line,) = re.findall(r"^Pss:\s+(\d+) kB", Path(f"/proc/{process}/smaps_rollup").read_text(), re.MULTILINE)
    return int(line) / 1024


def watched(processes: Sequence[subprocess.Popen[str]], seconds: float) -> tuple[float, float, float, float]:
    """From when to when, cores and megabytes of processes that are at work."""
    time.sleep(WARM_UP)
    since, before = time.time(), sum(processor_seconds(each.pid) for each in processes)
    time.sleep(seconds)
    until, after = time.time(), sum(processor_seconds(each.pid) for each in processes)
    return since, until, (after - before) / (until - since), sum(megabytes(each.pid) for each in processes)


def results_of_host(folder: Path, cameras: int, asked: argparse.Namespace) -> dict[str, float]:
    (folder / "functions").mkdir(exist_ok=True)
    (folder / "functions" / "look.py").write_text(
        APP.replace("CAMERAS", str(cameras)).replace("KEYS", str(asked.key_frames))
    )
    shutil.rmtree(folder / "state", ignore_errors=True)
    command = [sys.executable, __file__, "--host", str(folder), "--fps", str(asked.fps), "--device", asked.device]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
        window = watched([process], asked.seconds)
        process.communicate()
    lines = [json.loads(line)["body"] for line in (folder / "state" / "upstream.jsonl").read_text().splitlines()]
    return figures(
        [(line["at"], line["late"]) for line in lines], *window, cameras * (1.0 if asked.key_frames else asked.fps)
    )


def results_of_scripts(folder: Path, cameras: int, asked: argparse.Namespace) -> dict[str, float]:
    seen: Seen = []
    processes = []
    for number in range(cameras):
        what = ["--script", str(folder / f"camera{number}.mp4"), "--fps", str(asked.fps), "--device", asked.device]
        with (folder / f"script{number}.txt").open("w") as output:
            processes.append(subprocess.Popen([sys.executable, __file__, *what], stdout=output, text=True))
    try:
        window = watched(processes, asked.seconds)
    finally:
        for process in processes:
            process.terminate()
            process.wait()
    for number in range(cameras):
        lines = (folder / f"script{number}.txt").read_text().splitlines(keepends=True)
        seen += [(told["at"], told["late"]) for told in map(json.loads, filter(str.strip, lines[:-1]))]
    return figures(seen, *window, cameras * asked.fps)


def figures(seen: Seen, since: float, until: float, cores: float, mb: float, wanted: float) -> dict[str, float]:
    late = sorted(1000 * late for at, late in seen if since <= at < until)
    if not late:
        raise SystemExit("there were no results; look at what is written above")
    return {
        "looked_at": round(len(late) / (until - since) / wanted, 3),
        "late_p50": round(statistics.median(late), 1),
        "late_p99": round(late[int(0.99 * (len(late) - 1))], 1),
        "cores": round(cores, 2),
        "mb": round(mb),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, nargs="+")
    parser.add_argument("--key-frames", action="store_true")
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--device", default="CPU")
    parser.add_argument("--host", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--script", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.host is not None:
        asyncio.run(host(asked.host, asked.fps, asked.device))
        return
    if asked.script is not None:
        script(asked.script, asked.script.with_name("ssd.xml"), asked.fps, asked.device)
        return
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_detector(folder / "ssd.xml")
        (folder / "host.json").write_text('{"version": "2.0"}')
        clip = make_clip(folder / "camera0.mp4", 300)
        counts = asked.cameras or ([16, 64] if asked.key_frames else [1, 8, 16])
        for number in range(1, max(counts)):
            shutil.copy(clip, folder / f"camera{number}.mp4")
        contenders = [("host", results_of_host), ("scripts", results_of_scripts)]
        for cameras in counts:
            for who, measure in contenders[: 1 if asked.key_frames else 2]:
                rows.append({"cameras": cameras, "who": who, **measure(folder, cameras, asked)})
                print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
