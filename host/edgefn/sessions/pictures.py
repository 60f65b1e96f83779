"""Pictures into a model's input buffer, and coordinates back into the picture. OpenCV is imported when first needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

GREY = 114
"""What surrounds a letterboxed picture: the value that YOLO models are trained with."""
SQUARE = 256
"""Azure Custom Vision resizes to this edge length before it cuts out the model's input."""


class View(NamedTuple):
    """Where the model's input lies in the caller's picture, whose size is in pixels.

    A coordinate ``x``, as a share of the model's input, is ``x * x_scale + x_shift`` as a share of the picture.
    """

    width: int
    height: int
    x_scale: float = 1.0
    x_shift: float = 0.0
    y_scale: float = 1.0
    y_shift: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether the model sees the whole picture and nothing else."""
        return self[2:] == (1.0, 0.0, 1.0, 0.0)


Fill = Callable[["Picture", "Picture"], View]
"""Puts a picture into a buffer (H x W x 3 each) and says where the buffer lies in the picture."""


def picture_of(data: Any) -> Picture:
    """The H x W x 3 uint8 BGR array of a picture or VideoFrame; TypeError or ValueError says what is wrong.

    Grey pictures and pictures with alpha are refused rather than guessed about: the text names the conversion.
    """
    image = getattr(data, "image", data)
    shape, dtype = getattr(image, "shape", None), getattr(image, "dtype", None)
    if shape is None or dtype is None:
        raise TypeError(f"infer got {_words(data)}; right would be a VideoFrame, or an H x W x 3 uint8 array in BGR")
    if dtype != "uint8":
        raise TypeError(f"infer got an array of {dtype}; right would be uint8, 0 to 255, H x W x 3 in BGR")
    if len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise ValueError(f"infer got an array of shape {tuple(shape)}; right would be H x W x 3{_remedy(shape)}")
    return image  # type: ignore[no-any-return]


def _words(data: Any) -> str:
    return "None" if data is None else f"a value of type {type(data).__name__}"


def _remedy(shape: tuple[int, ...]) -> str:
    if len(shape) == 2 or (len(shape) == 3 and shape[2] == 1):
        return ": cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)"
    if len(shape) == 3 and shape[2] == 4:
        return ": cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)"
    return " in BGR, one picture a call" if len(shape) == 4 else " in BGR"


def stretch() -> Fill:
    """The whole picture, stretched to the model's shape."""
    from cv2 import INTER_LINEAR, resize

    def fill(image: Picture, buffer: Picture) -> View:
        height, width = image.shape[:2]
        resize(image, (buffer.shape[1], buffer.shape[0]), dst=buffer, interpolation=INTER_LINEAR)
        return View(width, height)

    return fill


def letterbox() -> Fill:
    """The whole picture in its own shape, centred, with grey bars."""
    from cv2 import INTER_LINEAR, resize

    def fill(image: Picture, buffer: Picture) -> View:
        (height, width), (rows, columns) = image.shape[:2], buffer.shape[:2]
        ratio = min(columns / width, rows / height)
        w, h = max(1, round(width * ratio)), max(1, round(height * ratio))
        x, y = (columns - w) // 2, (rows - h) // 2
        buffer[:y], buffer[y + h :], buffer[y : y + h, :x], buffer[y : y + h, x + w :] = GREY, GREY, GREY, GREY
        resize(image, (w, h), dst=buffer[y : y + h, x : x + w], interpolation=INTER_LINEAR)
        return View(width, height, columns / w, -x / w, rows / h, -y / h)

    return fill


def crop() -> Fill:
    """The largest centred part of the picture that has the model's shape."""
    from cv2 import INTER_LINEAR, resize

    def fill(image: Picture, buffer: Picture) -> View:
        (height, width), (rows, columns) = image.shape[:2], buffer.shape[:2]
        ratio = min(width / columns, height / rows)
        w, h = max(1, round(columns * ratio)), max(1, round(rows * ratio))
        x, y = (width - w) // 2, (height - h) // 2
        resize(image[y : y + h, x : x + w], (columns, rows), dst=buffer, interpolation=INTER_LINEAR)
        return View(width, height, w / width, x / width, h / height, y / height)

    return fill


def custom_vision() -> Fill:
    """As Azure Custom Vision: centred square, bilinear to 256 x 256, of that the centred part of the model's size."""
    from cv2 import INTER_LINEAR, resize

    def fill(image: Picture, buffer: Picture) -> View:
        (height, width), (rows, columns) = image.shape[:2], buffer.shape[:2]
        edge = min(width, height)
        left, top = (width - edge) // 2, (height - edge) // 2
        small = resize(image[top : top + edge, left : left + edge], (SQUARE, SQUARE), interpolation=INTER_LINEAR)
        x, y = (SQUARE - columns) // 2, (SQUARE - rows) // 2
        buffer[:] = small[y : y + rows, x : x + columns]
        unit = edge / SQUARE
        x_shift, y_shift = (left + x * unit) / width, (top + y * unit) / height
        return View(width, height, columns * unit / width, x_shift, rows * unit / height, y_shift)

    return fill


FILLS: dict[str, Callable[[], Fill]] = {
    "stretch": stretch,
    "letterbox": letterbox,
    "crop": crop,
    "custom-vision": custom_vision,
}
