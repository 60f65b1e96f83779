"""Frames a second of S0's sample, beside a loop written as the script that it replaces was.

    python benchmarks/seed_s0.py [--rounds 5] [--data ../shared/data] [--device CPU] [--precision bf16]

Both find vehicles on videos/car-detection.mp4 with vehicle-detection-adas-0002, and publish a message for every frame
to one stand-in edgeHub, which is a process of its own:

    host    video_frame_trigger -> inference_session -> edge_hub_output with interval 0: each message is stored on
            disk, and counts when edgeHub has acknowledged it
    loop    read, resize, transpose to f32 NCHW, infer, sort, and publish by Microsoft's SDK, one after the other

Host and loop take turns, after a round that warms both up and does not count. Both count in the same precision: what
the device takes by itself (bf16 on a CPU that has it), unless one is named. What they find is compared, as it came to
the hub: ``same`` is the share of frames on which both have the same classes, with scores and edges of boxes within
0.001. Medians over the rounds; beside the frames a second stands this process's time of the processors a frame, which
other work on the machine changes least. Other work slows the loop more than the host, so that a ratio counts on a
quiet machine only. The last line is one JSON object.

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
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "host"), str(ROOT)]

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


def measure(asked: argparse.Namespace, folder: Path, hub: HubProcess) -> dict[str, Any]:
    from azure.iot.device import IoTHubModuleClient

    clip, path = asked.data / CLIP, asked.data / MODEL
    (folder / "functions").mkdir()
    (folder / "functions" / "detect.py").write_text(APP)
    (folder / "host.json").write_text('{"version": "2.0"}')
    hint = {"INFERENCE_PRECISION_HINT": asked.precision} if asked.precision else {}
    compiled = openvino.Core().compile_model(path, asked.device, hint)
    precision = asked.precision or compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    settings = {"INPUT": str(clip), "MODEL_XML_PATH": str(path), "DEVICE": asked.device, "PRECISION": precision}
    environment = hub.env("host")
    os.environ.update(hub.env("loop"))
    client = IoTHubModuleClient.create_from_edge_environment()
    client.connect()
    frames = round(cv2.VideoCapture(str(clip)).get(cv2.CAP_PROP_FRAME_COUNT))
    seen: dict[str, list[float]] = {name: [] for name in ("host", "loop", "host_cpu_ms", "loop_cpu_ms")}
    agreed: list[float] = []
    for number in range(asked.rounds + 1):
        ours = asyncio.run(host(folder, settings, environment))
        theirs = loop(clip, compiled, client)
        pairs = zip(found_by(hub, "host", frames), found_by(hub, "loop", frames), strict=True)
        agreed.append(sum(same(one, other) for one, other in pairs) / frames)
        if number:
            row = (frames / ours[0], frames / theirs[0], 1000 * ours[1] / frames, 1000 * theirs[1] / frames)
            for name, figure in zip(seen, row, strict=True):
                seen[name].append(figure)
            told = f"host {row[0]:6.1f}/s {row[2]:5.1f} ms   loop {row[1]:6.1f}/s {row[3]:5.1f} ms"
            print(f"round {number}: {told}   ratio {row[0] / row[1]:.2f}   load {os.getloadavg()[0]:.1f}", flush=True)
    client.shutdown()
    medians = {name: round(statistics.median(figures), 2) for name, figures in seen.items()}
    ratios = [a / b for a, b in zip(seen["host"], seen["loop"], strict=True)]
    return {
        "precision": precision,
        **medians,
        "ratio": round(statistics.median(ratios), 3),
        "same": round(min(agreed), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--device", default="CPU")
    parser.add_argument("--precision", choices=["f32", "bf16", "f16"])
    asked = parser.parse_args()
    if not (asked.data / CLIP).is_file():
        raise SystemExit(f"{asked.data}: has no {CLIP}; name the folder of models and clips with --data")
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, running_hub(Path(folder) / "hub") as hub:
        print(json.dumps(measure(asked, Path(folder), hub)))


if __name__ == "__main__":
    main()
