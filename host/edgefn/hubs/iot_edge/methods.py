"""Direct methods: each request is answered once, and none waits for another."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import Any

import orjson

from edgefn.contracts import HubSink, MethodReply, MethodRequest
from edgefn.hubs.iot_edge import topics
from edgefn.hubs.iot_edge.connection import Connection
from edgefn.mqtt.deliveries import Delivery

log = logging.getLogger("edgefn.hub")

MOST_RUNNING = 64
MOST_REMEMBERED = 128
LONGEST = 300.0
"""Seconds after which nobody waits for an answer any more: IoT Hub's longest response time-out."""


class Methods:
    """Runs requests, and remembers the newest by their id, so that one that comes twice is not run twice.

    An id is only known on its own connection, unless the hub itself says that it sends the packet again: a hub that was
    started anew may count its requests from one.
    """

    def __init__(self, sink: HubSink) -> None:
        self._sink = sink
        self._seen: OrderedDict[str, tuple[int, MethodReply | None]] = OrderedDict()
        self._running: set[asyncio.Task[None]] = set()

    def came(self, connection: Connection, delivery: Delivery) -> None:
        """Begins to run a request; raises ValueError for one that makes no sense."""
        name, request = topics.method_request(delivery.topic)
        known = self._seen.get(request)
        if known is not None and (known[0] == connection.number or delivery.again):
            if known[1] is not None:  # the answer may be what was lost
                self._reply(connection, request, known[1])
            return
        self._remember(request, connection, None)
        if len(self._running) >= MOST_RUNNING:
            self._reply(
                connection, request, MethodReply(503, f"{MOST_RUNNING} methods are running; call it again later")
            )
            return
        task = asyncio.create_task(self._run(connection, name, request, delivery.body), name=f"method {name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def quiet(self) -> None:
        """Returns when those that run now are answered."""
        if self._running:
            await asyncio.wait(self._running)

    def stop(self) -> None:
        for task in self._running:
            task.cancel()

    async def _run(self, connection: Connection, name: str, request: str, body: bytes) -> None:
        reply = await self._answer(name, request, body)
        self._remember(request, connection, reply)
        self._reply(connection, request, reply)

    async def _answer(self, name: str, request: str, body: bytes) -> MethodReply:
        try:
            payload = orjson.loads(body or b"null")
        except orjson.JSONDecodeError:
            return MethodReply(400, "the payload is no JSON")
        try:
            async with asyncio.timeout(LONGEST):
                return await self._sink.on_method(MethodRequest(request, name, payload))
        except TimeoutError:
            return MethodReply(504, f"no answer within {LONGEST:.0f} s")
        except Exception as error:  # the sink's own fault: the caller still gets an answer
            log.error("iotedge: the direct method '%s' failed: %s: %s", name, type(error).__name__, error)
            return MethodReply(500, f"the method '{name}' failed")

    def _reply(self, connection: Connection, request: str, reply: MethodReply) -> None:
        """To the connection that asked: the hub waits for no answer on another one."""
        if connection.lost.done():
            log.warning("iotedge: the answer to a direct method is dropped: the connection that asked has ended")
            return
        connection.tell(topics.method_reply(reply.status, request), _encoded(reply.payload))

    def _remember(self, request: str, connection: Connection, reply: MethodReply | None) -> None:
        self._seen[request] = (connection.number, reply)
        self._seen.move_to_end(request)
        while len(self._seen) > MOST_REMEMBERED:
            self._seen.popitem(last=False)


def _encoded(payload: Any) -> bytes:
    try:
        return orjson.dumps(payload, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        log.error("iotedge: the answer to a direct method is no JSON (%s); a JSON value would be right", error)
        return b"null"
