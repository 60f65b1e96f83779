"""Head and body of a response in one write: uvicorn would make two system calls of them, and two packets.

``benchmarks/http.py`` tells what it saves: a seventh of the processor time of a small request.
"""

from __future__ import annotations

import asyncio
from typing import Any

ENOUGH = 65_536
"""Bytes that are written at once, so that the transport can say that it has too many."""


class Corked:
    """A transport that joins what is written in one turn of the event loop."""

    __slots__ = ("__weakref__", "_loop", "_parts", "_size", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size >= ENOUGH:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        """All else is the transport's."""
        return getattr(self._transport, name)
