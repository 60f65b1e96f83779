"""Microsoft's SDK as a module: the first judge of the stand-in."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

from azure.iot.device import Message
from azure.iot.device.aio import IoTHubModuleClient

from tests.standin.hubs import LONGEST


def created(variables: Mapping[str, str], **options: Any) -> IoTHubModuleClient:
    """The SDK's own client in that environment, and no other of IoT Edge's."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("IOTEDGE_", "Edge"))}
    with patch.dict(os.environ, {**others, **variables}, clear=True):
        return IoTHubModuleClient.create_from_edge_environment(**options)


@asynccontextmanager
async def sdk_module(variables: Mapping[str, str], **options: Any) -> AsyncIterator[IoTHubModuleClient]:
    """A connected one, which is shut down at the end."""
    client = await asyncio.to_thread(created, variables, **options)
    try:
        await asyncio.wait_for(client.connect(), LONGEST)
        yield client
    finally:
        await asyncio.wait_for(client.shutdown(), LONGEST)


class Kept:
    """What a handler of the SDK is called with, to be awaited."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Any] = asyncio.Queue()

    def __call__(self, value: Any) -> None:
        self._loop.call_soon_threadsafe(self._queue.put_nowait, value)

    async def next(self) -> Any:
        return await asyncio.wait_for(self._queue.get(), LONGEST)


def message(body: str, **properties: str) -> Message:
    """A JSON message."""
    made = Message(body)
    made.content_type, made.content_encoding = "application/json", "utf-8"
    made.custom_properties.update(properties)
    return made
