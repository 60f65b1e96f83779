"""Sources that are opened for a test, and what they say."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from edgefn.contracts import VideoFrame
from edgefn.pacing import BackOff
from edgefn.source_addresses import recognise
from edgefn.subscription import Subscription, Wanted
from edgefn.video import Playing, Source

EVERY = Wanted(capacity=3, holds=True)


TINY = "synthetic:?width=64&height=48&fps=100&frames="


@asynccontextmanager
async def opened(
    value: str, playing: Playing | None = None, root: Path = Path(), **extra: object
) -> AsyncIterator[Source]:
    source = Source(recognise(value, root), playing or Playing(), back_off=lambda: BackOff(0.05, 0.2), **extra)  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        yield source
    await source.close()


async def rest(subscription: Subscription) -> list[VideoFrame]:
    """All frames that are still to come, once the reader has ended."""
    frames = []
    while taken := await subscription.take():
        frames += taken
    await subscription.ended()
    return frames


async def some(subscription: Subscription, count: int) -> list[VideoFrame]:
    return [(await subscription.take())[0] for _ in range(count)]


def in_balance(subscription: Subscription) -> bool:
    return subscription.frames == subscription.taken + sum(subscription.dropped.values())


class Sayings(logging.Handler):
    """What a source says, for a test to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._loop = asyncio.get_running_loop()
        self._more = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self._loop.call_soon_threadsafe(self._more.set)

    async def until(self, words: str, times: int = 1) -> None:
        while sum(words in line for line in self.lines) < times:
            self._more.clear()
            await self._more.wait()
