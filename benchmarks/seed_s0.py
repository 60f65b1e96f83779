"""Frames a second of S0's sample, beside a loop written as the script that it replaces was.

    python benchmarks/seed_s0.py [--rounds 5] [--data ../shared/data] [--device CPU] [--precision f32]

Both find vehicles on videos/car-detection.mp4 with vehicle-detection-adas-0002, and publish a message for every frame:

    host    video_frame_trigger -> inference_session -> edge_hub_output with interval 0: each message is stored on
            disk, and then a line of the hub's file
    loop    read, resize, transpose to f32 NCHW, infer, sort, publish, one by one: each message a line of a file

Host and loop take turns, after a round that warms both up and does not count. What they find is compared: ``same`` is
the share of frames on which both have the same classes, with scores and edges of boxes within 0.001. Medians over the
rounds; beside the frames a second stands the processor time of a frame, which other work on the machine changes least.
The last line is one JSON object; ``ratio`` is to be 1.35 at least, and ``same`` 1.0 at f32.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino

from edgefn.host import Host
from edgefn.loader import load_app

APP = """
import edgefn
app = edgefn.FunctionApp()

@app.video_frame_trigger(arg_name="frame", source="%INPUT%")
@app.inference_session(arg_name="detector", model="%MODEL_XML_PATH%", device="%DEVICE%", precision="%PRECISION%")
@app.edge_hub_output(arg_name="detections", output_name="detections", interval=0)
async def detect(frame: edgefn.VideoFrame, detector: edgefn.DetectionSession, detections: edgefn.Out[dict]) -> None:
    found = await detector.infer_async(frame)
    detections.set({"frame_id": frame.id, "timestamp": frame.timestamp, "source": frame.source, "objects": found})
"""
CLIP, MODEL = "videos/car-detection.mp4", "models/vehicle-detection-adas-0002/vehicle-detection-adas-0002.xml"
Found = list[list[float]]
"""The objects of a frame: class, score, edges."""


def loop(clip: Path, model: openvino.CompiledModel, out: Path) -> list[Found]:
    """As the seed's script: one frame after the other."""
    request, capture = model.create_infer_request(), cv2.VideoCapture(str(clip))
    _, _, height, width = model.input(0).shape
    with out.open("w") as lines:
        number = 0
        while True:
            there, image = capture.read()
            if not there:
                break
            picture = cv2.resize(image, (width, height)).transpose((2, 0, 1)).reshape(1, 3, height, width)
            rows = request.infer({0: picture.astype(np.float32)})[model.output(0)][0][0]
            found = [row for row in sorted(rows.tolist(), key=lambda row: -row[2]) if row[2] > 0.5]
            json.dump({"frame_id": number, "timestamp": time.time(), "source": str(clip), "objects": found}, lines)
            lines.write("\n")
            lines.flush()
            number += 1
    bodies = [json.loads(line) for line in out.read_text().splitlines()]
    return [[row[1:] for row in body["objects"]] for body in bodies]


async def host(folder: Path, settings: dict[str, str]) -> tuple[float, list[Found]]:
    """Seconds from the first frame to the last message at the hub, and what was found."""
    app = load_app(folder, environment={}, given=settings, state=folder / f"state-{time.monotonic_ns()}")
    running = Host(app)
    await running.start()
    began = time.perf_counter()
    await running.wait_for_end()
    await app.services.spool.idle()
    seconds = time.perf_counter() - began
    await running.stop()
    lines = [json.loads(line) for line in (app.services.state / "upstream.jsonl").read_text().splitlines()]
    return seconds, [[flat(each) for each in line["body"]["objects"]] for line in lines]


def flat(found: dict[str, Any]) -> list[float]:
    return [found["index"], found["score"], *found["box"].values()]


def same(one: Found, other: Found) -> bool:
    """Whether both have the same objects; edges of the loop may lie outside of the picture."""
    clipped = [[*found[:2], *np.clip(found[2:], 0, 1)] for found in other]
    return len(one) == len(other) and bool(np.allclose(one, clipped, atol=0.001))


def timed(run: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds of the clock and of the processors, and the result."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    result = run()
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, result


def measure(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    clip, path = asked.data / CLIP, asked.data / MODEL
    (folder / "functions").mkdir()
    (folder / "functions" / "detect.py").write_text(APP)
    (folder / "host.json").write_text(
        json.dumps({"version": "2.0", "extensions": {"edgeHub": {"routes": {"up": "FROM /messages/* INTO $upstream"}}}})
    )
    settings = {"INPUT": str(clip), "MODEL_XML_PATH": str(path), "DEVICE": asked.device, "PRECISION": asked.precision}
    compiled = openvino.Core().compile_model(path, asked.device, {"INFERENCE_PRECISION_HINT": asked.precision})
    seen: dict[str, list[float]] = {name: [] for name in ("host", "loop", "host_cpu_ms", "loop_cpu_ms")}
    agreed: list[float] = []
    for number in range(asked.rounds + 1):
        _, spent, (seconds, found) = timed(lambda: asyncio.run(host(folder, settings)))
        alone, spent_alone, expected = timed(lambda: loop(clip, compiled, folder / "loop.jsonl"))
        frames = len(expected)
        agreed.append(sum(map(same, found, expected)) / frames if len(found) == frames else 0.0)
        if number:
            row = (frames / seconds, frames / alone, 1000 * spent / frames, 1000 * spent_alone / frames)
            for name, figure in zip(seen, row, strict=True):
                seen[name].append(figure)
            told = f"host {row[0]:6.1f}/s {row[2]:5.1f} ms   loop {row[1]:6.1f}/s {row[3]:5.1f} ms"
            print(f"round {number}: {told}   ratio {row[0] / row[1]:.2f}   load {os.getloadavg()[0]:.1f}", flush=True)
    medians = {name: round(statistics.median(figures), 2) for name, figures in seen.items()}
    ratios = [a / b for a, b in zip(seen["host"], seen["loop"], strict=True)]
    return {**medians, "ratio": round(statistics.median(ratios), 3), "same": round(min(agreed), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--device", default="CPU")
    parser.add_argument("--precision", default="f32", choices=["f32", "bf16", "f16"])
    asked = parser.parse_args()
    if not (asked.data / CLIP).is_file():
        raise SystemExit(f"{asked.data}: has no {CLIP}; name the folder of models and clips with --data")
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(asked, Path(folder))))


if __name__ == "__main__":
    main()
