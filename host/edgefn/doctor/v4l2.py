"""What a camera under /dev/video* says of itself, asked by Video4Linux's ioctls; no frame is taken.

The numbers and layouts are those of <linux/videodev2.h>, the same on x86-64 and arm64.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

QUERYCAP, ENUM_FMT, ENUM_FRAMESIZES = 0x80685600, 0xC0405602, 0xC02C564A
CAPABILITY = struct.Struct("<16s32s32sIII12x")
FORMAT = struct.Struct("<III32sII12x")
FRAME_SIZE = struct.Struct("<III6I8x")
CAPTURES, CAPTURES_PLANES = 0x1, 0x1000
HAS_DEVICE_CAPS = 0x80000000
DISCRETE = 1
MOST = 64
"""Formats and sizes that are asked for; a driver that never says it was the last does not hold the doctor."""

Ask = Callable[[int, bytearray], None]
"""One ioctl, which changes the bytes; raises OSError."""


@dataclass(frozen=True, slots=True)
class Camera:
    """``formats`` are texts such as ``MJPG 1920x1080 640x480``; empty where the device does not capture."""

    name: str
    formats: tuple[str, ...]


def read_camera(path: Path) -> Camera:
    """Also while another process uses it; raises OSError for what is no device of Video4Linux."""
    import fcntl

    number = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def ask(request: int, about: bytearray) -> None:
        fcntl.ioctl(number, request, about)

    try:
        return describe(ask)
    finally:
        os.close(number)


def describe(ask: Ask) -> Camera:
    about = bytearray(CAPABILITY.size)
    ask(QUERYCAP, about)
    _, card, _, _, capabilities, device = CAPABILITY.unpack(about)
    abilities = device if capabilities & HAS_DEVICE_CAPS else capabilities
    kind = 1 if abilities & CAPTURES else 9 if abilities & CAPTURES_PLANES else 0
    return Camera(_text(card), tuple(_formats(ask, kind)) if kind else ())


def _formats(ask: Ask, kind: int) -> Iterator[str]:
    for index in range(MOST):
        about = bytearray(FORMAT.pack(index, kind, 0, b"", 0, 0))
        if not _asked(ask, ENUM_FMT, about):
            return
        pixels = FORMAT.unpack(about)[4]
        letters = _text(struct.pack("<I", pixels & 0x7FFFFFFF)).strip()
        yield " ".join((letters, *_sizes(ask, pixels)))


def _sizes(ask: Ask, pixels: int) -> Iterator[str]:
    for index in range(MOST):
        about = bytearray(FRAME_SIZE.pack(index, pixels, *[0] * 7))
        if not _asked(ask, ENUM_FRAMESIZES, about):
            return
        _, _, kind, *numbers = FRAME_SIZE.unpack(about)
        if kind != DISCRETE:
            yield f"{numbers[0]}x{numbers[3]}..{numbers[1]}x{numbers[4]}"
            return
        yield f"{numbers[0]}x{numbers[1]}"


def _asked(ask: Ask, request: int, about: bytearray) -> bool:
    """Whether there is one of that index."""
    try:
        ask(request, about)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTTY):
            return False
        raise
    return True


def _text(value: bytes) -> str:
    return value.partition(b"\0")[0].decode(errors="replace")
