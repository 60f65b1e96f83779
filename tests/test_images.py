from __future__ import annotations

import random
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefn.images import TooLarge, decoded, encoded
from edgefn.picture_heads import size_of

PICTURE = np.random.default_rng(1).integers(0, 255, (30, 70, 3), np.uint8)
SHEER = np.dstack([PICTURE, PICTURE[:, :, 0]])
FILES = {
    "JPEG": cv2.imencode(".jpg", PICTURE)[1].tobytes(),
    "progressive JPEG": cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes(),
    "PNG": cv2.imencode(".png", PICTURE)[1].tobytes(),
    "WebP": cv2.imencode(".webp", PICTURE, [cv2.IMWRITE_WEBP_QUALITY, 80])[1].tobytes(),
    "WebP without loss": cv2.imencode(".webp", PICTURE, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes(),
    "WebP with alpha": cv2.imencode(".webp", SHEER, [cv2.IMWRITE_WEBP_QUALITY, 80])[1].tobytes(),
    "BMP": cv2.imencode(".bmp", PICTURE)[1].tobytes(),
    "TIFF": cv2.imencode(".tiff", PICTURE)[1].tobytes(),
    "BMP of OS/2": b"BM" + bytes(8) + b"\x1a\0\0\0\x0c\0\0\0\x46\0\x1e\0\x01\0\x18\0" + bytes(212 * 30),
    "GIF": b"GIF89a\x46\0\x1e\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x46\0\x1e\0\0\x02\x02\x44\x01\0;",
}


@pytest.mark.parametrize("name", FILES)
def test_the_head_of_a_file_tells_the_size_of_its_picture(name: str) -> None:
    assert size_of(FILES[name]) == (70, 30)
    assert {size_of(FILES[name][:length]) for length in (0, 2, 4, 6, 8, 9, 12)} <= {None, (70, 30)}
    assert size_of(FILES[name][:9]) is None


@pytest.mark.parametrize("name", [name for name in FILES if name != "GIF"])
def test_a_picture_of_more_pixels_than_are_allowed_is_not_decoded(name: str) -> None:
    assert decoded(FILES[name], 70 * 30).shape == (30, 70, 3)
    with pytest.raises(TooLarge, match="is a picture of 70 x 30 pixels; up to 2099 in all are decoded"):
        decoded(FILES[name], 70 * 30 - 1)


def test_a_picture_of_gigabytes_is_refused_where_nothing_is_declared() -> None:
    bomb = FILES["PNG"][:16] + (30_000).to_bytes(4, "big") * 2 + FILES["PNG"][24:]
    with pytest.raises(TooLarge, match="30000 x 30000 pixels; up to 100000000"):
        decoded(bomb)


def test_no_damage_to_a_head_makes_a_picture_larger_than_the_head_tells() -> None:
    chance = random.Random(1)
    for number in range(800):
        content = bytearray(FILES[chance.choice(list(FILES))])
        for _ in range(1 + number % 3):
            content[chance.randrange(2, min(len(content), 120))] = chance.randrange(256)
        size = size_of(bytes(content))
        if size is not None and size[0] * size[1] < 100_000:
            try:
                image = decoded(bytes(content))
            except ValueError:
                continue
            assert image.shape[0] * image.shape[1] <= size[0] * size[1]


def test_jpeg_files_of_cameras_are_read(test_data: Path) -> None:
    progressive = FILES["progressive JPEG"]
    assert size_of(progressive[:2] + b"\xff\xff\xff" + progressive[2:]) == (70, 30)
    for path in [*(test_data / "images").rglob("*.jpg"), *(test_data / "images").rglob("*.jpeg")]:
        content = path.read_bytes()
        height, width = cv2.imdecode(
            np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        ).shape[:2]
        assert size_of(content) == (width, height), path


@pytest.mark.parametrize(
    "content", [b"", b"P6 9 9 255\n" + bytes(243), b"\xff\xd8" + bytes(60), b"\xff\xd8\xff\xe0\0\0" * 9, b"RIFF" * 9]
)
def test_what_is_of_no_known_format_is_refused_with_those_that_are(content: bytes) -> None:
    assert size_of(content) is None
    with pytest.raises(
        ValueError, match="is no picture, or a damaged one; JPEG, PNG, WebP, BMP, GIF, TIFF can be read"
    ):
        decoded(content)


def test_a_picture_is_turned_as_its_exif_data_says() -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    turned = b"\xff\xd8\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + encoded(PICTURE, ".jpg", 90)[2:]
    assert decoded(turned).shape == (70, 30, 3)
