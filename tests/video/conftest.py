"""What sources say while a test runs."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from tests.video.sources import Sayings


@pytest.fixture
async def sayings() -> AsyncIterator[Sayings]:
    handler, logger = Sayings(), logging.getLogger("edgefn.video")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)
