"""Answers that go on: events of the page, and live pictures; they end when the browser leaves, or the host."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, MutableSet, Sequence
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from edgefn.web.page.bulletin import Bulletin
from edgefn.web.page.films import Film, Films
from edgefn.web.page.history import History

Parts = AsyncGenerator[bytes, None]


class Streaming(Response):
    """Sends the parts as they come. While a browser does not take them, no further one is asked for."""

    def __init__(
        self, kind: str, parts: Parts, open_streams: MutableSet[Streaming], headers: Mapping[str, str]
    ) -> None:
        super().__init__(headers={**headers, "cache-control": "no-store"}, media_type=kind)
        del self.headers["content-length"]
        self._parts = parts
        self._open = open_streams
        self._sending: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        self._open.add(self)
        self._sending = asyncio.create_task(self._send(send), name="page stream")
        leaving = asyncio.create_task(_left(receive), name="page reader")
        try:
            await asyncio.wait({self._sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            has_left = leaving.done()
            self._open.discard(self)
            for task in (self._sending, leaving):
                task.cancel()
            await asyncio.wait({self._sending, leaving})
            await self._parts.aclose()
        if not self._sending.cancelled():
            self._sending.result()
        if not has_left:
            await send({"type": "http.response.body", "body": b""})

    async def end(self) -> None:
        """Ends the stream: the host leaves."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait({self._sending})

    async def _send(self, send: Send) -> None:
        async for part in self._parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})


async def _left(receive: Receive) -> None:
    """Returns when the browser has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def events(bulletin: Bulletin, history: History, access: Mapping[str, Any]) -> Parts:
    """Server-sent events: ``access`` once, then each section when it is another, and the samples of the charts."""
    yield event("access", orjson.dumps(access))
    last = 0
    async with contextlib.aclosing(bulletin.read()) as reading:  # type: ignore[type-var]
        async for sections in reading:
            samples = history.since(last)
            last = samples[-1]["number"] if samples else last
            told = b"".join(event(name, text) for name, text in sections.items())
            yield told + event("samples", orjson.dumps(samples))


def event(name: str, text: bytes) -> bytes:
    """One event; JSON of orjson has no line breaks."""
    return b"event: " + name.encode() + b"\ndata: " + text + b"\n\n"


async def pictures(films: Films, functions: Sequence[str]) -> Parts:
    """The newest pictures of functions, each after its length; those that a slow browser misses are never made."""
    with films.watch(functions) as watched:
        seen: dict[Film, int] = dict.fromkeys(watched, 0)
        while True:
            news = films.news
            fresh = [film for film in watched if film.number > seen[film]]
            for film in fresh:
                seen[film] = film.number
                record = await film.record()
                yield len(record).to_bytes(4) + record
            if not fresh:
                await news.wait()
