"""The sections of the page, gathered once a second for all who read them, and by nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

log = logging.getLogger("edgefn.web")

INTERVAL = 1.0

Gather = Callable[[], Awaitable[Mapping[str, bytes]]]


class Bulletin:
    """The newest sections. A slow reader misses those in between, and holds up nobody."""

    def __init__(self, gather: Gather) -> None:
        self._gather = gather
        self._sections: Mapping[str, bytes] = {}
        self._news = asyncio.Event()
        self._hurry = asyncio.Event()
        self._readers = 0
        self._task: asyncio.Task[None] | None = None

    async def read(self) -> AsyncIterator[dict[str, bytes]]:
        """The sections that differ from those that this reader had before, whenever there are new ones."""
        self._readers += 1
        self._task = self._task or asyncio.create_task(self._keep(), name="page bulletin")
        known: dict[str, bytes] = {}
        try:
            while True:
                news = self._news
                fresh = {name: text for name, text in self._sections.items() if known.get(name) != text}
                known.update(fresh)
                yield fresh
                await news.wait()
        finally:
            self._readers -= 1
            if not self._readers:
                await self.stop()

    def soon(self) -> None:
        """Has the sections gathered at once: something was changed by hand."""
        self._hurry.set()

    async def stop(self) -> None:
        """Gathers no more, until somebody reads again."""
        task, self._task = self._task, None
        self._sections = {}
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _keep(self) -> None:
        while True:
            self._hurry.clear()
            try:
                self._sections = await self._gather()
            except Exception as error:  # a plugin's status may fail: the page shows what it last had
                log.warning("The page can not be gathered: %s: %s", type(error).__name__, error)
            self._news.set()
            self._news = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL):
                    await self._hurry.wait()
