"""The key frames of a clip or stream alone: those that a camera sends whole, one every second or few, as it is set up.

Nothing between them is decoded, which is most of what a camera costs (`benchmarks/cameras.py --key-frames`). OpenCV can
not leave frames out, so PyAV reads here (extra ``av``).
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from edgefn.errors import SourceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

INSTALL = "pip install 'edgefn[av]'"
PACE = 1.0
"""Seconds from one key frame to the next, where a raw stream does not tell the time."""


def open_key_frames(target: str, opening: float, reading: float, between: float = math.inf) -> KeyFrames:
    """Opens a clip or stream; ``opening`` and ``reading`` are the seconds for that, and for each packet.

    One in which no key frame comes for ``between`` seconds ends there. Raises SourceError, without the address, for
    what does not open, has no video, or is encoded in a way that is not known.
    """
    try:
        import av
    except ImportError:
        raise SourceError(f"keyFrames needs PyAV; install it: {INSTALL}") from None
    av.logging.set_level(av.logging.PANIC)  # what goes wrong is said once, by us, without the URL's password
    options = {"rtsp_transport": "tcp"} if target.startswith("rtsp") else {}
    try:
        container = av.open(target, options=options, metadata_errors="replace", timeout=(opening, reading))
    except av.ExitError:  # as PyAV's time-out has it
        raise SourceError(f"nothing came for {opening:g} s") from None
    except av.FFmpegError as error:
        raise SourceError(error.strerror or type(error).__name__) from None
    if not container.streams.video:
        container.close()
        raise SourceError("it has no video")
    if container.streams.video[0].codec_context is None:
        container.close()
        raise SourceError("how it is encoded is not known")
    return KeyFrames(container, between)


class KeyFrames:
    """A clip or stream of which each key frame is decoded by itself, as soon as it is wanted."""

    item = ""
    frames = 0

    def __init__(self, container: Any, between: float) -> None:
        stream = container.streams.video[0]
        self.fps = _rate(stream)
        self._container = container
        self._between = between
        self._decoder = stream.codec_context
        self._decoder.thread_count = 1
        self._packets = container.demux(stream)
        self._packet: Any = None
        self._first: float | None = None
        self._last = 0.0

    def grab(self) -> float | None:
        import av

        latest = time.monotonic() + self._between
        try:
            for packet in self._packets:
                if packet.is_keyframe and packet.size:
                    self._packet = packet
                    return self._time(packet)
                if time.monotonic() >= latest:
                    break
        except av.FFmpegError:  # the stream broke, or has given nothing for too long
            pass
        return None

    def _time(self, packet: Any) -> float:
        """Media time in seconds, which goes on also where the packets have none, or the same for ever."""
        at = None if packet.pts is None else float(packet.pts * packet.time_base)
        if self._first is None:
            self._first = at or 0.0
            return 0.0
        self._last = (
            max(at - self._first, 0.0) if at is not None and at - self._first > self._last else self._last + PACE
        )
        return self._last

    def retrieve(self) -> Image | None:
        import av

        try:
            # The decoder waits for frames that this one could come after; told that there are none, it gives it away.
            frames = [*self._decoder.decode(self._packet), *self._decoder.decode(None)]
            return _image(frames[0]) if frames else None
        except av.FFmpegError:
            return None
        finally:
            self._decoder.flush_buffers()

    def close(self) -> None:
        self._container.close()


def _image(frame: Any) -> Image:
    """What OpenCV's reader makes of the same frame: interpolated and turned as there."""
    import numpy as np

    image: Image = frame.to_ndarray(format="bgr24", interpolation="BICUBIC", threads=1)
    quarters, rest = divmod(frame.rotation, 90)
    return image if rest or not quarters else np.ascontiguousarray(np.rot90(image, quarters))


def _rate(stream: Any) -> float:
    """Key frames a second, where the index of a clip tells; of a stream it is known only when they come: 0.0."""
    times = [entry.timestamp for entry in stream.index_entries if entry.is_keyframe]
    span = float((times[-1] - times[0]) * stream.time_base) if len(times) > 1 else 0.0
    return (len(times) - 1) / span if span > 0 else 0.0
