"""From the first socket to the last response: starting, saturated, stopping, and a port that is taken."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from edgefn.errors import SettingError
from tests.conftest import AppIn
from tests.web.conftest import ECHO, HEAD, Serve, Site, served

GATED = HEAD + (
    "GATE, BEGUN = asyncio.Event(), asyncio.Event()\n@app.route('f')\nasync def f(req):\n"
    "    BEGUN.set()\n    await GATE.wait()\n    return 'done'\n"
)


def limited(code: str, **limits: int) -> dict[str, str]:
    return {"host.json": json.dumps({"version": "2.0", "extensions": {"http": limits}}), "function_app.py": code}


async def test_while_the_host_starts_requests_are_asked_to_come_back(serve: Serve) -> None:
    site = await serve(ECHO, started=False)
    for path in ("/api/echo", "/api/nothing"):
        response = await site.client.get(path)
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    ready = await site.client.get("/health/ready")
    assert (ready.status_code, ready.json(), ready.headers["retry-after"]) == (503, {"status": "starting"}, "1")
    assert (await site.client.get("/health/live")).json() == {"status": "live"}
    assert (await site.client.get("/admin/host/status")).json()["state"] == "Starting"
    await site.host.start()
    assert (await site.client.get("/health/ready")).json() == {"status": "running", "hub": "online"}
    assert (await site.gets("/api/echo", 200)).json()["route"] == {}


async def test_a_function_in_error_and_a_disabled_one_are_404(serve: Serve) -> None:
    code = (
        HEAD
        + "@app.route('bad')\n@app.generic_input_binding(arg_name='x', type='nothing')\ndef bad(req, x): return 'x'\n"
    )
    site = await serve(code + "@app.route('off')\ndef off(req): return 'x'", {"AzureWebJobs.off.Disabled": "true"})
    assert (await site.client.get("/api/bad")).status_code == 404
    assert (await site.client.get("/api/off")).status_code == 404


async def test_stopping_lets_responses_be_written_and_takes_no_more_requests(app_of: AppIn) -> None:
    async with served(app_of({"function_app.py": GATED})) as site:
        module = site.module()
        running = asyncio.create_task(site.client.get("/api/f"))
        await module["BEGUN"].wait()
        stopping = asyncio.create_task(site.host.stop())
        assert (await site.gets("/health/ready", 503)).json() == {"status": "stopping"}
        assert (await site.client.get("/api/f")).status_code == 503
        module["GATE"].set()
        assert (await running).text == "done"
        await stopping


async def test_a_request_that_outlives_the_grace_time_gets_503(app_of: AppIn) -> None:
    async with served(app_of({"function_app.py": GATED}), grace=0.2) as site:
        running = asyncio.create_task(site.client.get("/api/f"))
        await site.module()["BEGUN"].wait()
        await site.host.stop()
        assert (await running).status_code == 503


async def test_a_stop_during_a_drain_grants_the_grace_time(app_of: AppIn) -> None:
    async with served(app_of({"function_app.py": GATED})) as site:
        module = site.module()
        running = asyncio.create_task(site.client.get("/api/f"))
        await module["BEGUN"].wait()
        await site.client.post("/admin/host/drain")
        stopping = asyncio.create_task(site.host.stop())
        await asyncio.sleep(0)
        module["GATE"].set()
        assert (await running).text == "done"
        await stopping
        assert site.host.state == "stopped"


async def test_beyond_the_outstanding_requests_callers_get_429(serve: Serve) -> None:
    site = await serve(limited(GATED, maxOutstandingRequests=2, maxConcurrentRequests=1))
    two = [asyncio.create_task(site.client.get("/api/f")) for _ in range(2)]
    await site.answering("f", 2)
    assert site.function("f")["in_flight"] == 1
    refused = await site.client.get("/api/f")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    site.module()["GATE"].set()
    assert [(await each).text for each in two] == ["done", "done"]
    assert (await site.client.get("/api/f")).text == "done"


async def post(site: Site, head: bytes, body: bytes = b"") -> bytes:
    """The first line that comes back, while the request is still being written."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.web.port)
    writer.write(b"POST /api/echo HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n\r\n" + body)
    async with asyncio.timeout(10):
        line = await reader.readline()
    writer.close()
    return line


async def test_a_body_beyond_the_limit_is_413_before_it_is_there(serve: Serve) -> None:
    site = await serve(limited(ECHO, maxRequestBodySize=1000))
    assert b" 413 " in await post(site, b"Content-Length: 1001")
    assert b" 413 " in await post(site, b"Transfer-Encoding: chunked", b"400\r\n" + b"x" * 1024 + b"\r\n")
    assert b" 413 " in await post(site, b"Content-Length: 99999999\r\nExpect: 100-continue")
    assert b" 100 " in await post(site, b"Content-Length: 1000\r\nExpect: 100-continue")
    assert (await site.client.post("/api/echo", content=b"x" * 1000)).status_code == 200
    big = await site.client.post("/api/echo", content=b"x" * 3_000_000)
    assert (big.status_code, site.function("echo")["invocations"]) == (413, 1)


async def test_bodies_that_are_too_large_together_are_429_and_their_room_is_given_back(serve: Serve) -> None:
    files = limited(GATED, maxRequestBodySize=1000, maxBufferedBodySize=1500)
    site = await serve(files)
    first = asyncio.create_task(site.client.post("/api/f", content=b"x" * 1000))
    await site.module()["BEGUN"].wait()
    assert (await site.client.post("/api/f", content=b"x" * 1000)).status_code == 429
    site.module()["GATE"].set()
    assert (await first).text == "done"
    assert (await site.client.post("/api/f", content=b"x" * 1000)).text == "done"


async def test_a_body_that_comes_too_slowly_is_given_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgefn.web.requests.PATIENCE", 0.1)
    site = await serve(ECHO)
    assert b" 408 " in await post(site, b"Content-Length: 100", b"half")
    assert site.function("echo")["trigger"]["answering"] == 0


async def test_a_port_that_is_taken_is_said_where_a_function_needs_it(app_of: AppIn) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=f"Port {port} is unavailable.*--port"):
            async with served(app_of({"function_app.py": ECHO}), port=port):
                pass


async def test_where_nobody_named_the_port_and_no_function_needs_it_another_one_will_do(
    app_of: AppIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("edgefn.web.options.DEFAULT_PORT", port)
        async with served(app_of({"functions/nothing.py": ""}), port=None) as site:
            assert site.web.port != port
            assert f"Port {port} is unavailable" in caplog.text
            assert (await site.client.get("/health/ready")).status_code == 200


async def test_an_address_that_is_not_here_is_said(app_of: AppIn) -> None:
    with pytest.raises(SettingError, match=r"can not listen on 203\.0\.113\.1, port 0"):
        async with served(app_of({"function_app.py": ECHO}), address="203.0.113.1"):
            pass
