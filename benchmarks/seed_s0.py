"""Frames a second of S0's sample, beside a loop written as the script that it replaces was.

    python benchmarks/seed_s0.py [--rounds 5] [--data ../shared/data] [--device CPU] [--precision bf16]

Both find vehicles on videos/car-detection.mp4 with vehicle-detection-adas-0002, and publish a message for every frame
to one stand-in edgeHub, which is a process of its own:

    host    video_frame_trigger -> inference_session -> edge_hub_output with interval 0: each message is stored on
            disk, and counts when edgeHub has acknowledged it
    loop    read, resize, transpose to f32 NCHW, infer, sort, and publish by Microsoft's SDK, one after the other

Each is a process of its own, as in life. They take turns, after a round that warms both up and does not count. Both
count in the same precision: what the device takes by itself (bf16 on a CPU that has it), unless one is named. What they
find is compared, as it came to the hub: ``same`` is the share of frames on which both have the same classes, with
scores and edges of boxes within 0.001. Medians over the rounds; beside the frames a second stands the time of the
processors that it took a frame, which other work on the machine changes least. Other work slows the loop more than the
host, so that a ratio counts on a quiet machine only. The last line is one JSON object.

The model is large and the clip small, so that inference is most of the work: two cores that the loop's own inference
keeps busy leave little to gain, least at f32, and a small model much (`video_pipeline.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "host"), str(ROOT)]

from edgefn.cli import ASLEEP  # noqa: E402
from edgefn.host import Host  # noqa: E402
from edgefn.loader import load_app  # noqa: E402
from tests.standin.hubs import HubProcess, running_hub  # noqa: E402

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
Spent = tuple[float, float]


def loop(clip: Path, model: openvino.CompiledModel, client: Any) -> Spent:
    """As the seed's script: one frame after the other."""
    from azure.iot.device import Message

    request, capture = model.create_infer_request(), cv2.VideoCapture(str(clip))
    _, _, height, width = model.input(0).shape
    number, before = 0, now()
    while (read := capture.read())[0]:
        picture = cv2.resize(read[1], (width, height)).transpose((2, 0, 1)).reshape(1, 3, height, width)
        rows = request.infer({0: picture.astype(np.float32)})[model.output(0)][0][0]
        found = [row for row in sorted(rows.tolist(), key=lambda row: -row[2]) if row[2] >= 0.5]
        body = {"frame_id": number, "timestamp": time.time(), "source": str(clip), "objects": found}
        client.send_message_to_output(Message(json.dumps(body)), "detections")
        number += 1
    return since(before)


async def host(folder: Path, settings: dict[str, str], environment: dict[str, str]) -> Spent:
    """As the sample: what it spent from the first frame to the acknowledgement of the last message."""
    state = folder / f"state-{time.monotonic_ns()}"
    app = load_app(folder, environment=environment, given=settings, state=state)
    running = Host(app)
    await running.start()
    before = now()
    await running.wait_for_end()
    await app.services.spool.idle()
    spent = since(before)
    await running.stop()
    return spent


def now() -> Spent:
    """Seconds of the clock, and of the processors for this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime


def since(before: Spent) -> Spent:
    clock, processors = now()
    return clock - before[0], processors - before[1]


def found_by(hub: HubProcess, module: str, frames: int) -> list[Found]:
    """What the last messages of a module say, in the order of the frames."""
    bodies = [message.json() for message in hub.control.upstream() if message.module == module][-frames:]
    objects = [body["objects"] for body in sorted(bodies, key=lambda body: body["frame_id"])]
    return [[flat(each) if isinstance(each, dict) else each[1:] for each in found] for found in objects]


def flat(found: dict[str, Any]) -> list[float]:
    return [found["index"], found["score"], *found["box"].values()]


def same(one: Found, other: Found) -> bool:
    """Whether both have the same objects; edges of the loop may lie outside of the picture."""
    clipped = [[*found[:2], *np.clip(found[2:], 0, 1)] for found in other]
    return len(one) == len(other) and bool(np.allclose(one, clipped, atol=0.001))


class Contender:
    """A process that runs the clip when it is asked, and tells what that took."""

    def __init__(self, who: str, asked: argparse.Namespace, folder: Path, environment: dict[str, str]) -> None:
        options = ["--data", asked.data, "--device", asked.device, "--precision", asked.precision]
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--run", who, "--folder", folder, *options],
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self) -> Spent:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        clock, processors = json.loads(self._process.stdout.readline())
        return clock, processors

    def end(self) -> None:
        self._process.communicate()


def contend(asked: argparse.Namespace) -> None:
    """One of the two, in its process: a run for each line that comes."""
    clip, path = asked.data / CLIP, asked.data / MODEL
    if asked.run == "host":
        names = {"INPUT": clip, "MODEL_XML_PATH": path, "DEVICE": asked.device, "PRECISION": asked.precision}
        settings = {name: str(value) for name, value in names.items()}
        run = lambda: asyncio.run(host(asked.folder, settings, dict(os.environ)))  # noqa: E731
    else:
        run = script(clip, path, asked)
    for _ in sys.stdin:
        print(json.dumps(run()), flush=True)


def script(clip: Path, path: Path, asked: argparse.Namespace) -> Callable[[], Spent]:
    """The loop, with its model and its connection."""
    from azure.iot.device import IoTHubModuleClient

    model = openvino.Core().compile_model(path, asked.device, {"INFERENCE_PRECISION_HINT": asked.precision})
    client = IoTHubModuleClient.create_from_edge_environment()
    client.connect()
    return lambda: loop(clip, model, client)


def measure(asked: argparse.Namespace, folder: Path, hub: HubProcess) -> dict[str, Any]:
    (folder / "functions").mkdir()
    (folder / "functions" / "detect.py").write_text(APP)
    (folder / "host.json").write_text('{"version": "2.0"}')
    frames = round(cv2.VideoCapture(str(asked.data / CLIP)).get(cv2.CAP_PROP_FRAME_COUNT))
    ours = Contender("host", asked, folder, ASLEEP | hub.env("host"))
    theirs = Contender("loop", asked, folder, hub.env("loop"))
    seen: dict[str, list[float]] = {name: [] for name in ("host", "loop", "host_cpu_ms", "loop_cpu_ms")}
    agreed: list[float] = []
    for number in range(asked.rounds + 1):
        one, other = ours.run(), theirs.run()
        pairs = zip(found_by(hub, "host", frames), found_by(hub, "loop", frames), strict=True)
        agreed.append(sum(same(*pair) for pair in pairs) / frames)
        if number:
            row = (frames / one[0], frames / other[0], 1000 * one[1] / frames, 1000 * other[1] / frames)
            for name, figure in zip(seen, row, strict=True):
                seen[name].append(figure)
            told = f"host {row[0]:6.1f}/s {row[2]:5.1f} ms   loop {row[1]:6.1f}/s {row[3]:5.1f} ms"
            print(f"round {number}: {told}   ratio {row[0] / row[1]:.2f}   load {os.getloadavg()[0]:.1f}", flush=True)
    ours.end()
    theirs.end()
    medians = {name: round(statistics.median(figures), 2) for name, figures in seen.items()}
    ratios = [a / b for a, b in zip(seen["host"], seen["loop"], strict=True)]
    ratio, equal = round(statistics.median(ratios), 3), round(min(agreed), 4)
    return {"precision": asked.precision, **medians, "ratio": ratio, "same": equal}


def own_precision(device: str) -> str:
    """What the device counts in where nobody asks."""
    image = openvino.opset13.parameter([1], openvino.Type.f32)
    compiled = openvino.Core().compile_model(openvino.Model([openvino.opset13.relu(image)], [image]), device)
    return str(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--device", default="CPU")
    parser.add_argument("--precision", choices=["f32", "bf16", "f16"])
    parser.add_argument("--run", choices=["host", "loop"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if not (asked.data / CLIP).is_file():
        raise SystemExit(f"{asked.data}: has no {CLIP}; name the folder of models and clips with --data")
    logging.disable(logging.WARNING)
    if asked.run:
        contend(asked)
        return
    asked.precision = asked.precision or own_precision(asked.device)
    with tempfile.TemporaryDirectory() as folder, running_hub(Path(folder) / "hub") as hub:
        print(json.dumps(measure(asked, Path(folder), hub)))


if __name__ == "__main__":
    main()
