"""What the charts show: the figures of the last minutes, one sample a second, of counters that are kept anyway."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from edgefn.host import Host
from edgefn.running import Running

LENGTH = 300
"""Samples that are kept: five minutes."""
WINDOW = 5.0
"""Seconds of invocations that a latency is of."""


class History:
    """The samples of one host, numbered from 1."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._samples: deque[dict[str, Any]] = deque(maxlen=LENGTH)
        self._count = 0
        self._counted: dict[str, tuple[int, int]] = {}
        self._dropped: dict[str, dict[str, int]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep(), name="page history")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def since(self, number: int) -> list[dict[str, Any]]:
        """The samples after that number, oldest first."""
        return [sample for sample in self._samples if sample["number"] > number]

    async def _keep(self) -> None:
        due = time.monotonic()
        while True:
            self._take()
            due = max(due + 1.0, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    def _take(self) -> None:
        self._count += 1
        sources: dict[str, dict[str, Any]] = {}
        functions = {}
        for running in self._host.running:
            functions[running.function.name] = self._figures(running)
            self._add_source(running, sources)
        at = round(time.time(), 1)
        self._samples.append({"number": self._count, "time": at, "functions": functions, "sources": sources})

    def _figures(self, running: Running) -> dict[str, float]:
        """What one function did since the last sample, and how long its newest invocations took."""
        name = running.function.name
        metrics = self._host.app.services.metrics.function(name)
        total, failed = sum(metrics.counts.values()), metrics.errors
        before = self._counted.get(name, (total, failed))
        self._counted[name] = (total, failed)
        p50, p99 = metrics.newest(WINDOW)
        milliseconds = {"p50": round(p50 * 1000, 2), "p99": round(p99 * 1000, 2)}
        return {"rate": total - before[0], "failed": failed - before[1], **milliseconds}

    def _add_source(self, running: Running, sources: dict[str, dict[str, Any]]) -> None:
        status = running.listener.status() if running.listener is not None else {}
        if "age_ms" not in status:
            return
        source = sources.setdefault(status["source"], {"fps": status["fps"], "dropped": {}})
        for cause, count in self._new_drops(running.function.name, status["dropped"]).items():
            source["dropped"][cause] = source["dropped"].get(cause, 0) + count

    def _new_drops(self, function: str, dropped: Mapping[str, int]) -> dict[str, int]:
        before = self._dropped.get(function, dropped)
        self._dropped[function] = dict(dropped)
        return {cause: max(0, count - before.get(cause, 0)) for cause, count in dropped.items()}
