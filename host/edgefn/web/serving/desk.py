"""Where requests of all protocols come together: how many there may be, and the threads that they run on.

A request is decoded, scored and encoded on one thread, which waits for an infer request of the model as a synchronous
function does. So there are few threads: frames of the functions stand behind few requests.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from edgefn.errors import ModelError
from edgefn.metrics import Metrics
from edgefn.protocols.malformed import Malformed
from edgefn.threads import Threads
from edgefn.web.serving.catalog import Catalog, Model
from edgefn.web.serving.faults import Cause, Fault

T = TypeVar("T")

THREADS = 2 + (os.cpu_count() or 1)


class Desk:
    """Takes the requests of one host; on its event loop."""

    def __init__(self, catalog: Catalog, most: int, metrics: Metrics) -> None:
        self.catalog = catalog
        self._most = most
        self._outstanding = 0
        self._threads: Threads | None = None
        self._requests = metrics.counter(
            "edgefn_serving_requests", "Requests for served models", ("model", "protocol", "status")
        )
        self._seconds = metrics.histogram(
            "edgefn_serving_seconds", "Time a request for a served model took", ("model", "protocol")
        )
        self._gauge = metrics.gauge("edgefn_serving_outstanding", "Requests for served models that run or wait")

    def open(self) -> None:
        self._threads = Threads(THREADS)

    def close(self) -> None:
        if self._threads is not None:
            self._threads.close()

    def is_ready(self, name: str, version: str) -> bool:
        """Whether a model can be asked; raises Fault for one that there is not."""
        try:
            self.catalog.model(name, version)
        except Fault as fault:
            if not fault.cause.passes:
                raise
            return False
        return True

    async def score(self, protocol: str, name: str, version: str, work: Callable[[Model], T]) -> T:
        """What ``work`` gives, on a thread, for the model of that name; raises Fault."""
        began = time.perf_counter()
        status, known = "ok", name
        try:
            model = self.catalog.model(name, version)
            return await self._run(partial(work, model))
        except Fault as fault:
            status, known = fault.cause, "" if fault.cause is Cause.UNKNOWN else name
            raise
        finally:
            self._requests.labels(known, protocol, status).inc()
            self._seconds.labels(known, protocol).observe(time.perf_counter() - began)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._outstanding >= self._most:
            raise Fault(Cause.BUSY, f"{self._most} requests for models run or wait already; try again a little later")
        assert self._threads is not None
        self._count(1)
        future = self._threads.run(work).future
        future.add_done_callback(lambda _: self._count(-1))
        try:
            found: T = await asyncio.shield(future)  # whoever asked may leave: what it asked for waits or runs still
            return found
        except Malformed as error:
            raise Fault(Cause.INVALID, str(error)) from None
        except ModelError as error:
            raise Fault(Cause.FAILED, str(error)) from None

    def _count(self, more: int) -> None:
        self._outstanding += more
        self._gauge.set(self._outstanding)
