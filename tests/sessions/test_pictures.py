from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.sessions.pictures import FILLS, View, picture_of

SIZES = st.tuples(st.integers(100, 220), st.integers(100, 220))
MODEL_SIZES = st.tuples(st.integers(200, 256), st.integers(200, 256))


def back(view: View, x: float, y: float) -> tuple[float, float]:
    return x * view.x_scale + view.x_shift, y * view.y_scale + view.y_shift


def corner(height: int, width: int, y: int, x: int) -> Any:
    """A black picture, white to the left of x and above y."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:y, :x] = 255
    return image


@pytest.mark.parametrize("mode", FILLS)
@given(SIZES, MODEL_SIZES)
def test_what_is_seen_in_the_buffer_is_found_in_the_picture(mode: str, size: Any, model_size: Any) -> None:
    (height, width), (rows, columns) = size, model_size
    x, y = int(width * 0.4), int(height * 0.4)
    buffer = np.zeros((rows, columns, 3), np.uint8)
    view = FILLS[mode]()(corner(height, width, y, x), buffer)
    lower, right = (int(edges.max()) + 1 for edges in np.nonzero(buffer[:, :, 0] > 127))
    seen_x, seen_y = back(view, right / columns, lower / rows)
    assert seen_x * width == pytest.approx(x, abs=1 + 1.5 * view.x_scale * width / columns)
    assert seen_y * height == pytest.approx(y, abs=1 + 1.5 * view.y_scale * height / rows)


def test_stretch_shows_the_whole_picture() -> None:
    view = FILLS["stretch"]()(corner(90, 160, 40, 40), np.zeros((64, 64, 3), np.uint8))
    assert view == View(160, 90)
    assert view.whole


def test_letterbox_paints_its_bars_anew_for_each_picture() -> None:
    buffer = np.zeros((100, 100, 3), np.uint8)
    fill = FILLS["letterbox"]()
    fill(np.full((50, 200, 3), 255, np.uint8), buffer)
    view = fill(np.full((200, 50, 3), 255, np.uint8), buffer)
    assert (buffer[:, 50] == 255).all()
    assert (buffer[:, :37] == 114).all()
    assert back(view, 0.37, 0.0) == pytest.approx((0.0, 0.0)), "columns 37 to 61 hold the picture"


def test_crop_maps_to_the_middle_of_the_picture() -> None:
    view = FILLS["crop"]()(np.zeros((100, 200, 3), np.uint8), np.zeros((50, 50, 3), np.uint8))
    assert back(view, 0.0, 0.0) == (0.25, 0.0)
    assert back(view, 1.0, 1.0) == (0.75, 1.0)


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (None, TypeError, "got None"),
        ("frame.jpg", TypeError, "a value of type str"),
        (np.zeros((4, 4, 3), np.float32), TypeError, "array of float32; right would be uint8"),
        (np.zeros((4, 4), np.uint8), ValueError, "COLOR_GRAY2BGR"),
        (np.zeros((4, 4, 1), np.uint8), ValueError, "COLOR_GRAY2BGR"),
        (np.zeros((4, 4, 4), np.uint8), ValueError, "COLOR_BGRA2BGR"),
        (np.zeros((1, 4, 4, 3), np.uint8), ValueError, "one picture a call"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, "H x W x 3"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_remedy(value: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        picture_of(value)
