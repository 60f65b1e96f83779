"""A request as the function sees it: its body, read within limits; address, headers and query as Azure gives them."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from edgefn.web.replies import Reply, plain

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

HOST = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
PATIENCE = 5.0
"""Seconds that a body may take beside the time of its size; both figures are those of Kestrel, Azure's web server."""
SLOWEST = 240.0
"""Bytes a second that a body has to come with."""


class Refused(Exception):
    """A request that gets an answer before any function sees it."""

    def __init__(self, status: int, text: str = "", *headers: tuple[bytes, bytes]) -> None:
        super().__init__(text)
        self.reply: Reply = plain(status, text, *headers)


class Gone(Exception):
    """The client has hung up: nobody waits for an answer."""


class Buffered:
    """The bytes of all bodies that are held at once."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def has_room(self, count: int) -> bool:
        return self.held + count <= self.limit


def headers_of(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by their name in lower case; those that come more than once are joined by commas."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    return headers


def query_of(raw: bytes) -> dict[str, str]:
    """The parameters of a query; repeated ones joined by commas whatever their case, those without a value left out."""
    if not raw:
        return {}
    found: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for name, value in parse_qsl(raw.decode("latin-1")):
        key = spelled.setdefault(name.lower(), name)
        found[key] = f"{found[key]},{value}" if key in found else value
    return found


def url_of(scope: Scope, headers: Mapping[str, str]) -> str:
    """The address that was asked for; raises Refused when the header Host is none."""
    origin = _origin(scope["scheme"], headers.get("host", ""), tuple(scope.get("server") or ("localhost", None)))
    raw, query = scope["raw_path"], scope["query_string"]
    path: str = raw.decode("latin-1")
    return f"{origin}{path}?{query.decode('latin-1')}" if query else f"{origin}{path}"


@functools.lru_cache(maxsize=256)
def _origin(scheme: str, host: str, server: tuple[str, int | None]) -> str:
    if not host:
        name = f"[{server[0]}]" if ":" in server[0] else server[0]
        return f"{scheme}://{name}:{server[1]}" if server[1] else f"{scheme}://{name}"
    match = HOST.fullmatch(host)
    if match is None or int(match[1] or 0) > 65535:
        raise Refused(400, "The header Host is not valid.")
    return f"{scheme}://{host}"


async def body_of(headers: Mapping[str, str], receive: Receive, limit: int, buffered: Buffered) -> bytes:
    """The whole body, as it comes in; what it holds is added to ``buffered``, which its reader gives back.

    Raises Refused beyond a limit, as soon as that is known, and Gone when the client leaves.
    """
    declared = headers.get("content-length")
    if declared is None and "transfer-encoding" not in headers:
        return b""
    if declared is not None:
        if not declared.isdecimal():
            raise Refused(400, "The header Content-Length is not valid.", (b"connection", b"close"))
        if int(declared) > limit:
            raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    started = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(PATIENCE) as patience:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                if not buffered.has_room(len(chunk)):
                    raise Refused(429, "Too many request bodies at once.", (b"retry-after", b"1"))
                buffered.held += len(chunk)
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
                patience.reschedule(started + PATIENCE + size / SLOWEST)
    except BaseException as error:
        buffered.held -= sum(map(len, chunks))
        if isinstance(error, TimeoutError):
            raise Refused(408, "The request body came too slowly.", (b"connection", b"close")) from None
        raise


def _too_large(limit: int) -> Refused:
    return Refused(413, f"The request body is larger than {limit} bytes.")
