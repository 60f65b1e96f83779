"""Frames of the drawn street to learn from and to be judged by, most of them after a way through H.264."""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgefn.scene import LABELS, LIGHTS, Scene

Image = NDArray[np.uint8]
FPS = 15


@dataclass(frozen=True)
class Frame:
    """A picture of 640 x 360 and the truth about it."""

    image: Image
    labels: NDArray[np.int64]  # n, places in LABELS
    boxes: NDArray[np.float32]  # n x 4: x_min, y_min, x_max, y_max, normalised
    light: int  # place in LIGHTS


def draw(seed: int, numbers: Iterable[int]) -> Iterator[Frame]:
    scene = Scene(seed=seed, fps=FPS)
    for number in numbers:
        image, objects = scene.frame(number)
        labels = np.array([LABELS.index(each.label) for each in objects], np.int64)
        boxes = [(each.x_min, each.y_min, each.x_max, each.y_max) for each in objects]
        yield Frame(image, labels, np.array(boxes, np.float32).reshape(-1, 4), LIGHTS.index(scene.light(number)))


def to_learn_from(streets: int, each: int) -> Iterator[Frame]:
    """`each` frames of every street, at any time; a quarter of the streets as drawn, the others through H.264."""

    def street(seed: int) -> list[Frame]:
        lots = random.Random(seed)
        frames = list(draw(seed, [lots.randrange(40_000) for _ in range(each)]))
        quality = (None, 23, 27, 31)[seed % 4]
        return frames if quality is None else list(through_h264(frames, quality))

    with ThreadPoolExecutor(2) as threads:
        for frames in threads.map(street, range(1000, 1000 + streets)):
            yield from frames


def to_be_judged_by(streets: int, each: int, quality: int) -> list[Frame]:
    """Streets that nothing was learned from: every fourth frame, each from another time of day, through H.264."""
    frames = [
        frame
        for street in range(streets)
        for frame in draw(9000 + street, range(1000 * street, 1000 * street + 4 * each, 4))
    ]
    return list(through_h264(frames, quality))


def through_h264(frames: list[Frame], quality: int) -> Iterator[Frame]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        encode((frame.image for frame in frames), path, quality)
        for frame, image in zip(frames, decode(path), strict=True):
            yield Frame(image, frame.labels, frame.boxes, frame.light)


def encode(images: Iterable[Image], path: Path, quality: int) -> None:
    """Writes H.264 (yuv420p); `quality` is x264's constant rate factor, lower is better and larger."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise SystemExit("ffmpeg: not found; install it with libx264 (Debian: apt-get install ffmpeg)")
    raw = f"-f rawvideo -pixel_format bgr24 -video_size 640x360 -framerate {FPS} -i -"
    coded = f"-an -c:v libx264 -crf {quality} -g {4 * FPS} -pix_fmt yuv420p -movflags +faststart"
    command = [ffmpeg, "-v", "error", "-y", *raw.split(), "-threads", "1", *coded.split(), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for image in images:
            process.stdin.write(image.tobytes())
    if process.returncode:
        raise SystemExit(f"ffmpeg: ended with {process.returncode}; it must be built with libx264")


def decode(path: Path) -> Iterator[Image]:
    capture = cv2.VideoCapture(str(path))
    while True:
        there, image = capture.read()
        if not there:
            break
        yield np.asarray(image, np.uint8)
    capture.release()
