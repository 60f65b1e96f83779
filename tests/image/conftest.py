"""One image for all tests of this folder."""

from __future__ import annotations

import pytest

from tests.image.containers import Image, image


@pytest.fixture(scope="session")
def built() -> Image:
    return image()
