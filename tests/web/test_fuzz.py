"""Whatever comes in: an answer that is no fault of the host's, soon, and nothing held afterwards."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tracemalloc
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as given_any
from hypothesis import strategies as st

from edgefn.loader import load_app
from tests.web.conftest import HEAD, Site, served

EXAMPLES = int(os.environ.get("EDGEFN_FUZZ_EXAMPLES", "200"))
LIMIT = 20_000
CODE = (
    HEAD
    + """
@app.route("echo/{*rest}")
async def echo(req: func.HttpRequest):
    return func.HttpResponse(req.get_body(), headers={"x-route": str(len(req.route_params))})

@app.route("items/{id:int}/{name:length(1,8)=x}")
def item(req: func.HttpRequest):
    return json.dumps([dict(req.route_params), dict(req.params), dict(req.headers)])

@app.route("files/{name}.{ext?}", methods=["GET", "POST"])
def file(req: func.HttpRequest):
    return str(dict(req.params)) + str(dict(req.form))

async def asgi(scope, receive, send):
    if scope["type"] == "http":
        message = await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode() + message["body"]})

def wsgi(environ, start):
    start("200 OK", [("content-type", "text/plain")])
    return [environ["PATH_INFO"].encode("latin-1"), environ["wsgi.input"].read()]

@app.route("asgi/{*rest}")
async def mounted(req: func.HttpRequest, context):
    return await func.AsgiMiddleware(asgi).handle_async(req, context)

@app.route("wsgi/{*rest}")
def hung(req: func.HttpRequest, context):
    return func.WsgiMiddleware(wsgi).handle(req, context)
"""
)
HOST = {"version": "2.0", "extensions": {"http": {"maxRequestBodySize": LIMIT}}}
EXPECTED = {200, 201, 202, 204, 301, 307, 400, 401, 403, 404, 405, 408, 409, 413, 429, 501}

paths = st.one_of(
    st.sampled_from(["/api/echo", "/api/items/7/ab", "/api/files/a.b", "/api/asgi/x", "/api/wsgi/x", "/", "/metrics"]),
    st.sampled_from(["/admin/functions/echo", "/admin/functions/none/keys/k", "/admin/host/keys/x", "/admin/nothing"]),
    st.builds(
        "/api/{}/{}".format,
        st.sampled_from(["echo", "items", "files", "asgi", "wsgi"]),
        st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#"), max_size=60),
    ),
)
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "QUERY", "get"])
names = st.one_of(
    st.sampled_from(["host", "origin", "cookie", "content-type", "x-functions-key", "x-forwarded-port", "upgrade"]),
    st.text(alphabet="abcdefghijklmnop-_!#", min_size=1, max_size=12),
)
values = st.binary(max_size=40).map(lambda raw: bytes(b for b in raw if b == 9 or 32 <= b != 127).strip())
bodies = st.one_of(st.binary(max_size=200), st.integers(LIMIT - 2, 3 * LIMIT).map(lambda size: b"x" * size))


class Loop:
    """An app that is served for all examples, on a loop that each of them enters for a while."""

    def __init__(self, folder: Path) -> None:
        (folder / "host.json").write_text(json.dumps(HOST))
        (folder / "function_app.py").write_text(CODE)
        self._runner = asyncio.Runner()
        self._serving = served(load_app(folder, environment={}))
        self.site: Site = self._runner.run(self._serving.__aenter__())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        async def soon() -> Any:
            async with asyncio.timeout(10):
                return await work

        return self._runner.run(soon())

    def close(self) -> None:
        self._runner.run(self._serving.__aexit__(None, None, None))
        self._runner.close()


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    level = logging.root.level
    logging.root.setLevel(logging.CRITICAL)
    found = Loop(tmp_path_factory.mktemp("fuzz"))
    yield found
    found.close()
    logging.root.setLevel(level)


fuzzed = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize="CI" in os.environ
)


def held(site: Site) -> tuple[int, int]:
    """Requests that are not answered, and bytes of bodies that are kept for them."""
    calls = site.web.calls
    assert calls is not None
    return calls.outstanding, calls.buffered.held


all_headers = st.lists(st.tuples(names, values), max_size=5)


@fuzzed
@given_any(method=methods, path=paths, query=st.text(max_size=30), headers=all_headers, body=bodies)
def test_any_request_gets_an_answer_that_is_no_fault_of_the_host(
    loop: Loop, method: str, path: str, query: str, headers: list[tuple[str, bytes]], body: bytes
) -> None:
    client = loop.site.client
    path = path.replace("%", "%25") if path.count("%") else path
    request = client.build_request(method, path, params={"q": query}, content=body)
    given = {name.encode(): value for name, value in headers}
    kept = [(name, value) for name, value in request.headers.raw if name.lower() not in given]
    request.headers = httpx.Headers([*kept, *given.items()])
    try:
        response = loop.run(client.send(request))
    except httpx.RemoteProtocolError:
        return  # it closed the connection on a request that the client should not have sent
    assert response.status_code in EXPECTED
    assert held(loop.site) == (0, 0)


lines = st.one_of(
    st.binary(max_size=80),
    st.builds(lambda m, p: f"{m} {p} HTTP/1.1\r\n".encode("latin-1", "replace"), methods, paths),
    st.builds(lambda n, v: n.encode() + b": " + v + b"\r\n", names, values),
    st.sampled_from(
        [b"Host: a\r\n", b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: 9999999999\r\n"]
    ),
    st.sampled_from(
        [b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"ffffffffff\r\n", b"\r\n\r\n"]
    ),
    st.sampled_from([b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\n", b"Connection: close\r\n", b"\r\n"]),
)


async def answered(port: int, parts: list[bytes]) -> bytes:
    """What comes back for bytes on a socket, until it is closed from the other side, or this side says no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        writer.write_eof()
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@fuzzed
@given_any(parts=st.lists(lines, min_size=1, max_size=8))
def test_any_bytes_leave_the_host_well(loop: Loop, parts: list[bytes]) -> None:
    answer = loop.run(answered(loop.site.web.port, parts))
    assert not answer.startswith((b"HTTP/1.1 500", b"HTTP/1.1 503"))
    assert loop.run(loop.site.client.get("/api/echo")).status_code == 200


def test_many_large_bodies_at_once_take_no_more_memory_than_their_limit(loop: Loop) -> None:
    async def flood() -> list[int]:
        async def one() -> int:
            try:
                return (await loop.site.client.post("/api/echo", content=b"x" * 2_000_000)).status_code
            except httpx.WriteError:  # it was told to stop
                return 413

        return await asyncio.gather(*(one() for _ in range(20)))

    loop.run(flood())
    tracemalloc.start()
    try:
        assert set(loop.run(flood())) == {413}
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60_000_000  # the client's own bodies are 40 million of it
    assert held(loop.site) == (0, 0)
