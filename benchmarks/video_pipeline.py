"""Frames a second of the host, from an H.264 clip to published JSON, against what decoder and accelerator can do.

    python benchmarks/video_pipeline.py [--rounds 5] [--seconds 6] [--frames 600] [--device CPU]

One clip of 1280 x 720 (the drawn street, H.264 by ffmpeg) and one SSD of 300 x 300 (see detector_model.py), whose
threshold leaves about as many boxes a frame as the sample clip has objects. Each round
runs, one after the other and nothing else beside:

    decoder      OpenCV reads the clip to BGR, all cores
    benchmark    OpenVINO's benchmark_app, throughput hint, the same model and device
    host         a real app: video_frame_trigger -> inference_session -> edge_hub_output, each message a line of a file
    host_async   the same with frames that were decoded beforehand, `await detector.infer_async(frame)`
    host_sync    the same with a synchronous function in threads
    seed         what the scripts that this replaces do: read, resize, transpose, infer, sort, dump, one by one

``limit`` is 1 / (1/decoder + 1/benchmark): decode and inference share the cores. ``cores`` is the processor time a
second of each, with that of its processes, start and end included; the load beside each round tells what else ran.
Medians over the rounds. The last line is one JSON object.
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
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import openvino
from detector_model import make_detector

from edgefn.host import Host
from edgefn.loader import load_app
from edgefn.scene import Scene

APP = '''
import logging
import cv2
from datetime import UTC, datetime
import edgefn
from edgefn.contracts import Event, Feed, VideoFrame
from edgefn.function import Options
from edgefn.workers import work

app = edgefn.FunctionApp()

class Decoded(Options):
    """Frames of a clip that are in memory before the first one is handed out."""
    clip: str
    count: int
    in_flight: int = 4

class DecodedListener:
    feed = Feed.FINITE
    def __init__(self, options):
        self.options, self.next = options, 0
        capture = cv2.VideoCapture(options.clip)
        self.images = [capture.read()[1] for _ in range(60)]
    async def listen(self, emit):
        async def take():
            if self.next == self.options.count:
                raise StopAsyncIteration
            number, self.next = self.next, self.next + 1
            image = self.images[number % len(self.images)]
            return Event(VideoFrame(image, number, datetime.now(UTC), 0.0, "decoded", 0.0))
        await work(self.options.in_flight, take, emit)
    def status(self):
        return {}

class DecodedKind:
    type, options, level = "decodedTrigger", Decoded, logging.DEBUG
    def check(self, binding): ...
    def convert(self, binding): return None
    def listener(self, binding): return DecodedListener(binding.options)
    async def close(self): ...

@edgefn.hookimpl
def edgefn_triggers(services):
    return [DecodedKind()]

session = app.inference_session("detector", "%MODEL%", "%DEVICE%", task="detection", threshold=0.12)
output = app.edge_hub_output(arg_name="detections", output_name="detections")
decoded = dict(type="decodedTrigger", clip="%CLIP%", count="%COUNT%")

@app.video_frame_trigger(arg_name="frame", source="%CLIP%", max_in_flight="%IN_FLIGHT%")
@session
@output
async def from_clip(frame, detector, detections):
    detections.set({"frame_id": frame.id, "objects": await detector.infer_async(frame)})

@app.generic_trigger(arg_name="frame", in_flight="%IN_FLIGHT%", **decoded)
@session
@output
async def decoded_async(frame, detector, detections):
    detections.set({"frame_id": frame.id, "objects": await detector.infer_async(frame)})

@app.generic_trigger(arg_name="frame", in_flight=4, **decoded)
@session
@output
def decoded_sync(frame, detector, detections):
    detections.set({"frame_id": frame.id, "objects": detector.infer(frame)})
'''


def make_clip(path: Path, frames: int) -> Path:
    """The street at 720p and 30 frames a second, H.264 with x264's defaults as a camera would send it."""
    scene = Scene(width=1280, height=720, fps=30.0, seed=3)
    encode = "-c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -g 30 -b:v 4M".split()
    raw = "-f rawvideo -pix_fmt bgr24 -s 1280x720 -r 30 -i -".split()
    command = ["ffmpeg", "-v", "error", "-y", *raw, *encode, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for number in range(frames):
            process.stdin.write(scene.frame(number)[0].tobytes())
        process.stdin.close()
    return path


def decoder(clip: Path) -> float:
    capture, frames, began = cv2.VideoCapture(str(clip)), 0, time.perf_counter()
    while capture.read()[0]:
        frames += 1
    return frames / (time.perf_counter() - began)


def benchmark_app(model: Path, device: str, seconds: float) -> float:
    program = shutil.which("benchmark_app", path=str(Path(sys.executable).parent)) or "benchmark_app"
    command = [program, "-m", str(model), "-d", device, "-hint", "throughput", "-t", str(round(seconds))]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(re.findall(r"Throughput:\s*([\d.]+)", said)[0])


def seed_loop(clip: Path, model: openvino.CompiledModel) -> float:
    request, capture, frames, began = model.create_infer_request(), cv2.VideoCapture(str(clip)), 0, time.perf_counter()
    while True:
        there, image = capture.read()
        if not there:
            return frames / (time.perf_counter() - began)
        picture = cv2.resize(image, (300, 300)).transpose(2, 0, 1)[None].astype(np.float32)
        rows = next(iter(request.infer({0: picture}).values()))[0, 0]
        found = [row.tolist() for row in rows[np.argsort(-rows[:, 2])] if row[2] > 0.12]
        json.dumps({"frame_id": frames, "objects": found})
        frames += 1


async def host(app_folder: Path, function: str, settings: dict[str, str]) -> float:
    """Frames a second from the first to the last invocation of the function, its model compiled and warm."""
    app = load_app(app_folder, environment={}, given=settings, only=(function,))
    running = Host(app)
    await running.start()
    began = time.perf_counter()
    await running.wait_for_end()
    elapsed = time.perf_counter() - began
    figures = running.status()["functions"][function]
    await running.stop()
    if figures["failed"] or figures["errors"]:
        raise SystemExit(f"{function}: {figures['errors'] or figures['last_error']}")
    return figures["invocations"] / elapsed


def processor_time() -> float:
    """Seconds of processor time of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def measure(asked: argparse.Namespace, folder: Path) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Frames a second of each case in each round, and how many cores it took."""
    clip = make_clip(folder / "street.mp4", asked.frames)
    model = make_detector(folder / "ssd.xml")
    (folder / "functions").mkdir()
    (folder / "functions" / "bench.py").write_text(APP)
    (folder / "host.json").write_text('{"version": "2.0"}')
    settings = {
        "CLIP": str(clip),
        "MODEL": str(model),
        "DEVICE": asked.device,
        "COUNT": str(asked.frames),
        "IN_FLIGHT": str(asked.in_flight),
    }
    compiled = openvino.Core().compile_model(model, asked.device, {"PERFORMANCE_HINT": "LATENCY"})
    cases: dict[str, Callable[[], float]] = {
        "decoder": lambda: decoder(clip),
        "benchmark": lambda: benchmark_app(model, asked.device, asked.seconds),
        "host": lambda: asyncio.run(host(folder, "from_clip", settings)),
        "host_async": lambda: asyncio.run(host(folder, "decoded_async", settings)),
        "host_sync": lambda: asyncio.run(host(folder, "decoded_sync", settings)),
        "seed": lambda: seed_loop(clip, compiled),
    }
    seen: dict[str, list[float]] = {name: [] for name in cases}
    cores: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(asked.rounds):
        for name, run in cases.items():
            began, used = time.perf_counter(), processor_time()
            seen[name].append(run())
            cores[name].append((processor_time() - used) / (time.perf_counter() - began))
        row = "  ".join(f"{name} {figures[-1]:7.1f} ({cores[name][-1]:.1f})" for name, figures in seen.items())
        print(f"round {number + 1}: {row}   load {os.getloadavg()[0]:.1f}", flush=True)
    return seen, cores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each run of benchmark_app")
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--device", default="CPU")
    asked = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        raise SystemExit("ffmpeg is not there, and makes the clip; install it: apt-get install ffmpeg")
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        seen, cores = measure(asked, Path(folder))
    medians = {name: statistics.median(figures) for name, figures in seen.items()}
    limit = 1 / (1 / medians["decoder"] + 1 / medians["benchmark"])
    ratios = {
        "limit": limit,
        "ratio_to_limit": medians["host"] / limit,
        "async_to_benchmark": medians["host_async"] / medians["benchmark"],
        "sync_to_benchmark": medians["host_sync"] / medians["benchmark"],
        "host_to_seed": medians["host"] / medians["seed"],
    }
    figures = {name: round(value, 3) for name, value in {**medians, **ratios}.items()}
    print(json.dumps({**figures, "cores": {name: round(statistics.median(each), 2) for name, each in cores.items()}}))


if __name__ == "__main__":
    main()
