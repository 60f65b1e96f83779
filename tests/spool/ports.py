"""A hub that does as a test says, and a spool on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from edgefn.contracts import EdgeMessage, HubSink, HubState, Outgoing, Twin
from edgefn.errors import TooLarge
from edgefn.metrics import Metrics
from edgefn.spool import Spool, SpoolOptions

LIMIT = 262_144


class ScriptedHub:
    """Takes messages, or raises what ``answer`` gives for one."""

    name = "scripted"

    def __init__(self, window: int = 20) -> None:
        self.window = window
        self.state = HubState.ONLINE
        self.arrived: list[EdgeMessage] = []
        self.most_at_once = 0
        self.answer: Callable[[EdgeMessage], BaseException | None] = lambda message: None
        self.open = asyncio.Event()
        self.open.set()
        self._at_once = 0

    async def start(self, sink: HubSink) -> None: ...

    async def stop(self) -> None: ...

    def check(self, message: EdgeMessage) -> None:
        if message.size > LIMIT:
            raise TooLarge(f"{message.size} bytes, {LIMIT} are allowed")

    async def publish(self, message: EdgeMessage) -> None:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await self.open.wait()
            error = self.answer(message)
            if error is not None:
                raise error
            self.arrived.append(message)
        finally:
            self._at_once -= 1

    async def twin(self) -> Twin:
        return Twin()

    async def report(self, patch: Mapping[str, Any]) -> None: ...

    def status(self) -> Mapping[str, Any]:
        return {}

    @property
    def bodies(self) -> list[bytes]:
        return [message.body for message in self.arrived]


@asynccontextmanager
async def spool_in(
    folder: Path,
    hub: ScriptedHub | None = None,
    *,
    functions: list[str] | None = None,
    metrics: Metrics | None = None,
    **options: Any,
) -> AsyncIterator[Spool]:
    """A spool that is open and sends."""
    spool = Spool(folder, SpoolOptions.model_validate(options), hub or ScriptedHub(), metrics or Metrics())
    await spool.open()
    try:
        await spool.begin(functions)
        yield spool
    finally:
        await spool.close()


def out(body: bytes | str, output: str = "out", **options: Any) -> Outgoing:
    raw = body if isinstance(body, bytes) else body.encode()
    return Outgoing(EdgeMessage(raw, message_id=f"id-{raw[:20]!r}", output_name=output), **options)


def came(body: bytes | str, input_name: str = "in", **known: Any) -> EdgeMessage:
    return EdgeMessage(body if isinstance(body, bytes) else body.encode(), input_name=input_name, **known)


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Returns when the condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  a test asks about what it does not own
            await asyncio.sleep(0.005)


def counted(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"{name}_total", labels) or 0.0
