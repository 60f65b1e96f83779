from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefn.images import decoded, encoded, size_of

PICTURE = np.random.default_rng(1).integers(0, 255, (30, 70, 3), np.uint8)


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_the_head_of_a_file_tells_the_size_of_its_picture(ending: str) -> None:
    content = encoded(PICTURE, ending, 80)
    assert size_of(content) == (70, 30)
    assert [size_of(content[:length]) for length in (0, 2, 8, 20)] == [None] * 4


def test_forms_of_jpeg_are_read(test_data: Path) -> None:
    progressive = cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    with_padding = progressive[:2] + b"\xff\xff\xff" + progressive[2:]
    assert size_of(progressive) == size_of(with_padding) == (70, 30)
    for path in [*(test_data / "images").rglob("*.jpg"), *(test_data / "images").rglob("*.jpeg")]:
        content = path.read_bytes()
        height, width = cv2.imdecode(
            np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        ).shape[:2]
        assert size_of(content) == (width, height), path


@pytest.mark.parametrize("content", [b"", b"BM" + bytes(60), b"\xff\xd8" + bytes(60), b"\xff\xd8\xff\xe0\0\0" * 9])
def test_what_is_neither_jpeg_nor_png_has_no_size(content: bytes) -> None:
    assert size_of(content) is None
    with pytest.raises(ValueError, match="is no picture"):
        decoded(content)
