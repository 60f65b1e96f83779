"""How each kind of source is opened: grabbed frame by frame, and decoded to pixels only where somebody wants them.

OpenCV is imported when the first one is opened.
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from edgefn.errors import SourceError, listing
from edgefn.images import decoded
from edgefn.key_frames import open_key_frames
from edgefn.source_addresses import LINUX, PICTURES, Address, SourceKind, synthetic_parameters

if TYPE_CHECKING:
    import cv2
    import numpy as np
    from numpy.typing import NDArray

    from edgefn.scene import Scene

    Image = NDArray[np.uint8]

log = logging.getLogger("edgefn.video")

PICTURES_A_SECOND = 1.0
OPEN_TIMEOUT = 10.0
GUESSED_FPS = 25.0
BLACK = 10
"""Frames of nothing but black after which a video is said to be so."""

NUMBERS = re.compile(r"([0-9]+)")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a source is asked for as it is opened; None leaves it to the source."""

    width: int | None = None
    height: int | None = None
    fps: float | None = None
    silent_after: float = 10.0
    """Seconds after which a live source that gives no frame is given up."""
    key_frames: bool = False
    """Only the key frames of a clip or stream."""


class Capture(Protocol):
    """An opened source. Used by one thread."""

    @property
    def fps(self) -> float:
        """Frames a second that the source claims; 0.0 when it does not say."""

    @property
    def frames(self) -> int:
        """How many a clip claims to have; 0 when it does not say."""

    @property
    def item(self) -> str:
        """The name of the part that was grabbed last, for sources that consist of files; otherwise empty."""

    def grab(self) -> float | None:
        """Goes to the next frame; gives its media time in seconds, or None when there is no further one."""

    def retrieve(self) -> Image | None:
        """The frame that was grabbed, as a new H x W x 3 uint8 BGR array; None when it can not be decoded."""

    def close(self) -> None: ...


# --- opening them ------------------------------------------------------------------------------------------------


def open_capture(address: Address, asked: Asked) -> Capture:
    """Opens a source; takes its time, for a stream up to 10 s. Raises SourceError when it does not open."""
    return OPENERS[address.kind](address, asked)


def _open_file(address: Address, asked: Asked) -> Capture:
    path = Path(address.target)
    if not path.exists():
        raise SourceError(f"{address.shown}: the file {path} is gone; put it back")
    if asked.key_frames:
        return _open_key_frames(address, asked)
    cv = _cv2()
    # Inference wants the processors too, and each thread more costs some: 1 to 2 % of all frames on two processors.
    video = cv.VideoCapture(address.target, cv.CAP_FFMPEG, _decoding(cv, max(1, processors() // 4)))
    if not video.isOpened():
        raise SourceError(
            f"{address.shown}: is not a video that OpenCV can decode; known are e.g. H.264 in .mp4 or .mkv"
        )
    return OpenedVideo(video, address.shown)


def _open_key_frames(address: Address, asked: Asked) -> Capture:
    silent = asked.silent_after
    try:
        return open_key_frames(
            address.target, min(OPEN_TIMEOUT, silent), silent, between=silent if address.live else math.inf
        )
    except SourceError as error:
        what = "does not answer; check the address, the credentials and the network" if address.live else "is no video"
        raise SourceError(f"{address.shown}: {what} ({error})") from None


def _open_stream(address: Address, asked: Asked) -> Capture:
    if asked.key_frames:
        return _open_key_frames(address, asked)
    cv = _cv2()
    limits = [cv.CAP_PROP_OPEN_TIMEOUT_MSEC, int(min(OPEN_TIMEOUT, asked.silent_after) * 1000)]
    limits += [cv.CAP_PROP_READ_TIMEOUT_MSEC, int(asked.silent_after * 1000)]
    # A decoder with n threads, by default one a processor, holds n - 1 frames back: at 30 fps and 16 threads half a
    # second. One thread decodes 1080p some 200 times a second, and costs a tenth less processor time.
    video = cv.VideoCapture(address.target, cv.CAP_FFMPEG, limits + _decoding(cv, 1))
    if not video.isOpened():
        raise SourceError(f"{address.shown}: does not answer; check the address, the credentials and the network")
    return OpenedVideo(video, address.shown)


def _decoding(cv: ModuleType, threads: int) -> list[int]:
    """So many threads for FFmpeg, unless its own variable says how many."""
    return [] if "OPENCV_FFMPEG_THREADS" in os.environ else [cv.CAP_PROP_N_THREADS, threads]


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if LINUX else os.cpu_count() or 1


def _open_camera(address: Address, asked: Asked) -> Capture:
    # V4L2 takes its time-out from the environment, in whole seconds, as the first camera of the process is opened.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(math.ceil(asked.silent_after)))
    cv = _cv2()
    if LINUX and not Path(address.target).exists():
        there = listing(sorted(str(path) for path in Path("/dev").glob("video*")))
        raise SourceError(f"{address.shown}: there is no {address.target}; cameras here: {there}")
    device = int(address.target) if address.target.isdigit() else address.target
    video = cv.VideoCapture(device, cv.CAP_V4L2 if LINUX else cv.CAP_ANY)
    if not video.isOpened():
        raise SourceError(f"{address.shown}: does not open; it may be in use, be no camera, or need the group 'video'")
    for option, value in (
        (cv.CAP_PROP_FRAME_WIDTH, asked.width),
        (cv.CAP_PROP_FRAME_HEIGHT, asked.height),
        (cv.CAP_PROP_FPS, asked.fps),
    ):
        if value is not None:
            video.set(option, value)
    return OpenedVideo(video, address.shown)


def _open_folder(address: Address, asked: Asked) -> Capture:
    return OpenedFolder(Path(address.target), address.shown, asked.fps or PICTURES_A_SECOND)


def _open_synthetic(address: Address, asked: Asked) -> Capture:
    from edgefn.scene import Scene

    wanted = synthetic_parameters(address.target)
    scene = Scene(width=wanted.width, height=wanted.height, fps=wanted.fps, seed=wanted.seed)
    return OpenedScene(scene, wanted.fps, wanted.frames)


OPENERS: Mapping[SourceKind, Callable[[Address, Asked], Capture]] = {
    SourceKind.CAMERA: _open_camera,
    SourceKind.STREAM: _open_stream,
    SourceKind.FILE: _open_file,
    SourceKind.FOLDER: _open_folder,
    SourceKind.SYNTHETIC: _open_synthetic,
}


def _cv2() -> ModuleType:
    """OpenCV, told to be quiet: what goes wrong is said once, by us, without the URL's password."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    return cv2


class OpenedVideo:
    """A file, stream or camera that OpenCV reads."""

    item = ""

    def __init__(self, video: cv2.VideoCapture, shown: str) -> None:
        import cv2

        claimed = video.get(cv2.CAP_PROP_FPS)
        self.fps = claimed if 0 < claimed <= 1000 else 0.0
        self.frames = max(0, int(video.get(cv2.CAP_PROP_FRAME_COUNT)))
        self._video = video
        self._grab, self._get, self._position = video.grab, video.get, cv2.CAP_PROP_POS_MSEC
        self._first: float | None = None
        self._last = 0.0
        self._shown = shown
        self._black = 0

    def grab(self) -> float | None:
        if not self._grab():
            return None
        at = self._get(self._position) / 1000
        if self._first is None:
            self._first = at if math.isfinite(at) else 0.0
            return 0.0
        at -= self._first
        # Raw streams have no times, and some cameras give the same one for ever: then frames are counted.
        self._last = at if at > self._last else self._last + 1 / (self.fps or GUESSED_FPS)
        return self._last

    def retrieve(self) -> Image | None:
        found, image = self._video.retrieve()
        if found and self._black < BLACK:
            self._look(image)
        return image if found else None  # type: ignore[return-value]

    def _look(self, image: Any) -> None:
        """Says once that a video is black from the beginning: what is interlaced OpenCV gives so, without a word."""
        if image.any():
            self._black = BLACK
            return
        self._black += 1
        if self._black == BLACK:
            text = "its first frames are black, as OpenCV gives interlaced video"
            log.warning("%s: %s; set the camera to progressive, or declare keyFrames", self._shown, text)

    def close(self) -> None:
        self._video.release()


class OpenedFolder:
    """The pictures of a folder in natural order (2.jpg before 10.jpg): a clip with so many of them a second."""

    frames = 0

    def __init__(self, folder: Path, shown: str, fps: float) -> None:
        try:
            found = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES]
        except OSError:
            raise SourceError(f"{shown}: the folder {folder} can not be read; put it back") from None
        if not found:
            raise SourceError(f"{shown}: has no pictures; put files of {listing(sorted(PICTURES))} into {folder}")
        self.fps = fps
        self.item = ""
        self._coming = iter(sorted(found, key=natural))
        self._path = folder
        self._shown = shown
        self._count = 0

    def grab(self) -> float | None:
        following = next(self._coming, None)
        if following is None:
            return None
        self._path, self.item = following, following.name
        self._count += 1
        return (self._count - 1) / self.fps

    def retrieve(self) -> Image | None:
        try:
            return decoded(self._path.read_bytes())  # OpenCV's own reading knows no Unicode paths on Windows
        except (OSError, ValueError) as error:
            log.debug("%s: %s %s", self._shown, self.item, error)
            return None

    def close(self) -> None: ...


def natural(path: Path) -> list[tuple[int, str]]:
    """A key that sorts numbers in file names by value."""
    parts = NUMBERS.split(path.name.lower())
    return [(int(part), part) if place % 2 else (0, part) for place, part in enumerate(parts)]


class OpenedScene:
    """The generated street."""

    item = ""
    frames = 0

    def __init__(self, scene: Scene, fps: float, frames: int | None) -> None:
        self.fps = fps
        self._scene = scene
        self._frames = frames
        self._count = 0

    def grab(self) -> float | None:
        if self._count == self._frames:
            return None
        self._count += 1
        return (self._count - 1) / self.fps

    def retrieve(self) -> Image | None:
        return self._scene.frame(self._count - 1)[0]

    def close(self) -> None: ...
