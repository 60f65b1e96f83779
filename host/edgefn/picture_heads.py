"""How large the picture in a file is, by the file's head alone: a file of some kilobytes may hold one of gigabytes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

FORMATS = ("JPEG", "PNG", "WebP", "BMP", "GIF", "TIFF")
"""What is decoded. OpenCV knows more formats; those whose size is not read here are refused."""
MOST_PIXELS = 100_000_000
"""Of what is decoded at once, where nothing else is declared: 300 MB."""

FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG behind which the size is."""
ALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
"""Markers of JPEG without a length."""
WIDTHS, HEIGHTS = (256, 322), (257, 323)
"""Tags of TIFF: of the picture, and of the tiles in which it is decoded."""

Size = tuple[int, int]


def size_of(content: bytes) -> Size | None:
    """Width and height in pixels; None for what is of none of ``FORMATS``, or is cut off."""
    for start, read in READERS:
        if content.startswith(start):
            try:
                return read(content)
            except (struct.error, IndexError):
                return None
    return None


def _jpeg(content: bytes) -> Size | None:
    at = 2
    while (at := content.find(b"\xff", at)) >= 0 and at + 9 <= len(content):  # what is between markers is passed over
        marker = content[at + 1]
        if marker in FRAMES:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        at += 1 if marker == 0xFF else 2 if marker in ALONE else 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return None


def _png(content: bytes) -> Size | None:
    return struct.unpack_from(">II", content, 16) if content[12:16] == b"IHDR" else None


def _webp(content: bytes) -> Size | None:
    kind = content[8:16]
    if kind == b"WEBPVP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"WEBPVP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"WEBPVP8X" and len(content) >= 30:
        return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1
    return None


def _bmp(content: bytes) -> Size:
    (head,) = struct.unpack_from("<I", content, 14)
    width, height = struct.unpack_from("<HH" if head == 12 else "<ii", content, 18)
    return abs(width), abs(height)


def _gif(content: bytes) -> Size:
    return struct.unpack_from("<HH", content, 6)


def _tiff(content: bytes) -> Size | None:
    tags: dict[int, int] = dict(_tags(content, "<" if content.startswith(b"I") else ">"))
    width, height = (max((tags.get(tag, 0) for tag in names), default=0) for names in (WIDTHS, HEIGHTS))
    return (width, height) if width and height else None


def _tags(content: bytes, order: str) -> Iterator[tuple[int, int]]:
    """The whole numbers of the first directory of a TIFF file, of those that hold one."""
    (at,) = struct.unpack_from(f"{order}I", content, 4)
    (count,) = struct.unpack_from(f"{order}H", content, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, form, _ = struct.unpack_from(f"{order}HHI", content, entry)
        yield tag, struct.unpack_from(f"{order}{'H' if form == 3 else 'I'}", content, entry + 8)[0]


READERS: tuple[tuple[bytes, Callable[[bytes], Size | None]], ...] = (
    (b"\xff\xd8", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"RIFF", _webp),
    (b"BM", _bmp),
    (b"GIF8", _gif),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
)
