"""What a motion gate costs beside the frame that it looks at.

    python benchmarks/gates.py [--rounds 5] [--frames 300]

A clip of the drawn street is written at each size (MPEG-4 by OpenCV), then read in turn: decoded alone, and decoded and
fed to a ``MotionGate``. Medians over the rounds, in ms of this process's time a frame; ``share`` is the gate's part of
the decoding. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import cv2

from edgefn.gates import MotionGate
from edgefn.scene import Scene

SIZES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080)}


def written(folder: Path, size: tuple[int, int], frames: int) -> Path:
    path = folder / f"{size[1]}.mp4"
    scene = Scene(width=size[0], height=size[1], fps=30, seed=1)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, size)
    for number in range(frames):
        writer.write(scene.frame(number)[0])
    writer.release()
    return path


def read(path: Path, gate: MotionGate | None) -> tuple[float, float]:
    """Milliseconds a frame: of reading it, and of the gate."""
    video, frames, gated = cv2.VideoCapture(str(path)), 0, 0.0
    began = time.perf_counter()
    while (found := video.read())[0]:
        if gate is not None:
            before = time.perf_counter()
            gate.feed(found[1], frames / 30)
            gated += time.perf_counter() - before
        frames += 1
    return (time.perf_counter() - began - gated) * 1000 / frames, gated * 1000 / frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=300)
    asked = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, size in SIZES.items():
            path = written(Path(folder), size, asked.frames)
            read(path, MotionGate())
            rounds = [(read(path, None)[0], read(path, MotionGate())[1]) for _ in range(asked.rounds)]
            decoding, gate = (statistics.median(column) for column in zip(*rounds, strict=True))
            figures[name] = {"decoding": round(decoding, 3), "gate": round(gate, 3), "share": round(gate / decoding, 3)}
            print(f"{name:>6}: {decoding:.2f} ms to decode a frame, {gate:.3f} ms to look for motion")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", file=sys.stderr)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
