"""Requests for the twin on one connection, and their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from edgefn.contracts import Twin
from edgefn.errors import AckTimeout, ConnectionLost, HubError
from edgefn.hubs.iot_edge import topics
from edgefn.hubs.iot_edge.connection import Connection
from edgefn.ids import new_id

SMALLEST_FAILURE = 300


class TwinRequests:
    """Each request has an id, and waits for the answer with the same; an answer that nobody waits for is dropped."""

    def __init__(self, connection: Connection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self._waiting: dict[str, asyncio.Future[tuple[int, bytes]]] = {}

    async def get(self) -> Twin:
        """Raises HubError."""
        answer = await self._ask("GET", "/", b"")
        try:
            document = orjson.loads(answer)
            return Twin(dict(document["desired"]), dict(document["reported"]))
        except (ValueError, KeyError, TypeError):
            text = answer[:200].decode(errors="replace")
            raise HubError(
                f"iotedge: the hub gave {text!r} for the twin; desired and reported would be right"
            ) from None

    async def report(self, patch: Mapping[str, Any]) -> None:
        """Raises HubError."""
        await self._ask("PATCH", "/properties/reported/", orjson.dumps(patch))

    def answered(self, topic: str, body: bytes) -> None:
        """Takes an answer of the hub; raises ValueError for one that makes no sense."""
        status, request = topics.twin_answer(topic)
        waiting = self._waiting.get(request)
        if waiting is not None and not waiting.done():
            waiting.set_result((status, body))

    async def _ask(self, method: str, resource: str, body: bytes) -> bytes:
        request, connection = new_id(), self._connection
        waiting: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._waiting[request] = waiting
        sent = connection.tell(topics.twin_request(method, resource, request), body)
        try:
            async with asyncio.timeout(self._timeout):
                await sent
                either: set[asyncio.Future[Any]] = {waiting, connection.lost}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise AckTimeout(
                f"iotedge: the hub did not answer {method} of the twin within {self._timeout:g} s"
            ) from None
        finally:
            del self._waiting[request]
        if not waiting.done():
            raise ConnectionLost(f"iotedge: the connection ended before the answer: {connection.lost.result()}")
        status, answer = waiting.result()
        if status >= SMALLEST_FAILURE:
            text = answer[:500].decode(errors="replace") or "without a reason"
            raise HubError(f"iotedge: the hub answered {method} of the twin with {status}: {text}; {_right(status)}")
        return answer


def _right(status: int) -> str:
    if status == 400:
        return "names without . $ # space, at most 10 levels, 4 KB a value and 32 KB in all would be right"
    return "it may be asked again"
