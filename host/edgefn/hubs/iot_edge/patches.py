"""Changes of the desired properties on their way to the sink: in order, one at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import orjson

from edgefn.contracts import HubSink
from edgefn.hubs.iot_edge.connection import Connection
from edgefn.mqtt.faults import Cause, Fault

log = logging.getLogger("edgefn.hub")

MOST_WAITING = 100


class Patches:
    """None is lost on the way; where too many wait, a new connection makes up for them, since the twin is read then."""

    def __init__(self, sink: HubSink) -> None:
        self._sink = sink
        self._waiting: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()

    def put(self, connection: Connection, body: bytes) -> None:
        """Raises ValueError for a body that is no JSON object."""
        patch = orjson.loads(body)
        if not isinstance(patch, dict):
            raise ValueError("no JSON object")
        if self._waiting.qsize() < MOST_WAITING:
            self._waiting.put_nowait(patch)
        else:
            said = f"more than {MOST_WAITING} changes of the desired properties wait; they should be taken more quickly"
            connection.ask_to_leave(Fault(Cause.INPUTS, said))

    async def run(self) -> None:
        """Hands changes over until it is cancelled."""
        while True:
            patch = await self._waiting.get()
            try:
                await self._sink.on_desired(patch)
            except Exception as error:  # the sink's own fault: the next change, or the next twin, mends it
                log.error("iotedge: desired properties of version %s failed: %s", patch.get("$version"), error)
