"""A frame and what was found in it, as one record for a browser: they can not come apart.

4 bytes: length of the head (big endian), the head in JSON, and the rest is the picture as JPEG
"""

from __future__ import annotations

import orjson

from edgefn.redaction import redact
from edgefn.sight import Sight

WIDEST = 1280
"""Pixels; wider pictures are made smaller."""
QUALITY = 80


def encoded(sight: Sight) -> bytes:
    """The record of the newest frame of an invocation. Takes milliseconds: for a thread."""
    import cv2

    image = sight.frame.image
    height, width = image.shape[:2]
    if width > WIDEST:
        size = (WIDEST, max(1, round(height * WIDEST / width)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    _, picture = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    head = orjson.dumps(_head(sight, width, height))
    return len(head).to_bytes(4) + head + picture.tobytes()


def _head(sight: Sight, width: int, height: int) -> dict[str, object]:
    frame = sight.frame
    return {
        "function": sight.function,
        "invocation": sight.invocation,
        "status": sight.status,
        "frame": frame.id,
        "source": frame.source,
        "item": frame.item,
        "time": frame.timestamp.timestamp(),
        "width": width,
        "height": height,
        "marks": [
            {
                "text": redact(mark.text),
                "score": mark.score,
                "colour": mark.colour,
                "index": mark.index,
                "box": None if mark.box is None else [float(edge) for edge in vars(mark.box).values()],
            }
            for mark in sight.newest()
        ],
    }
