"""Pictures as files: arrays to JPEG or PNG, and back. OpenCV is imported when it is first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_origin

from edgefn.errors import listing
from edgefn.picture_heads import FORMATS, MOST_PIXELS, size_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
"""What a picture can be written as."""


def is_array(annotation: Any) -> bool:
    """Whether it is numpy.ndarray, or NDArray of something; tells without importing NumPy."""
    kind = get_origin(annotation) or annotation
    return getattr(kind, "__module__", "") == "numpy" and getattr(kind, "__name__", "") == "ndarray"


def image_of(value: Any) -> Image:
    """The picture that an array is: H x W x 3 in BGR or H x W, uint8. Raises TypeError that says what it is instead."""
    shape, dtype = tuple(value.shape), str(value.dtype)
    if dtype == "uint8" and 0 not in shape and (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4))):
        return value  # type: ignore[no-any-return]
    raise TypeError(f"an array of {dtype}, {shape}, is no picture; right would be uint8, H x W x 3 in BGR, or H x W")


def encoded(image: Image, ending: str, quality: int) -> bytes:
    """The bytes of a file with that ending; ``quality``, 1 to 100, counts for those that lose something.

    Raises ValueError for a picture that the format can not hold.
    """
    import cv2

    lossy = {".jpg": cv2.IMWRITE_JPEG_QUALITY, ".jpeg": cv2.IMWRITE_JPEG_QUALITY, ".webp": cv2.IMWRITE_WEBP_QUALITY}
    options = [lossy[ending], quality] if ending in lossy else []
    try:
        done, content = cv2.imencode(ending, image, options)
    except cv2.error as error:
        raise ValueError(f"the picture can not be written as {ending}: {error.err}") from None
    if not done:
        raise ValueError(
            f"the picture, {image.shape}, can not be written as {ending}; one of {listing(ENDINGS)} may do"
        )
    return content.tobytes()


SCAN = 0xDA
"""The marker in a JPEG after which its pixels come."""


def is_cut_short(content: bytes) -> bool:
    """Whether it is a JPEG without its end, of which some versions of OpenCV make a picture that is grey below."""
    if not content.startswith(b"\xff\xd8"):
        return False
    at = 2
    while content[at : at + 1] == b"\xff" and len(content) > at + 4:
        if content[at + 1] == SCAN:
            return content.find(b"\xff\xd9", at) < 0  # what is before it may hold another picture, with its end
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return False


class TooLarge(ValueError):
    """A picture with more pixels than are decoded."""


def decoded(content: bytes, most: int = MOST_PIXELS) -> Image:
    """The picture in the bytes of a file, H x W x 3 in BGR, turned as its EXIF data says.

    Raises ValueError for what is no picture, and TooLarge for one of more than ``most`` pixels, which is not decoded.
    """
    import cv2
    import numpy as np

    size = size_of(content)
    if size is None:
        raise ValueError(f"is no picture, or a damaged one; {listing(FORMATS)} can be read")
    if size[0] * size[1] > most:
        raise TooLarge(f"is a picture of {size[0]} x {size[1]} pixels; up to {most} in all are decoded")
    if is_cut_short(content):
        raise ValueError("is a picture that is cut short; its end is missing")
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ValueError(f"is no picture that can be read: {error.err}") from None
    if image is None:
        raise ValueError(f"is a damaged picture; {listing(FORMATS)} can be read where they are whole")
    return image  # type: ignore[return-value]
