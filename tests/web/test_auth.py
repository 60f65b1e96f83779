"""Who may call what: nobody is asked on this machine, everybody else needs a key."""

from __future__ import annotations

import logging

import pytest

from tests.web.conftest import HEAD, Serve, Site

LEVELS = HEAD + "".join(
    f"@app.route('for-{level}', auth_level='{level.upper()}')\ndef {level}_level(req): return 'in'\n"
    for level in ("anonymous", "function", "admin")
)


def keys(site: Site) -> tuple[str, str, str]:
    """The master key, the host's key for functions, and the one of ``function_level``."""
    master, shared = (key["value"] for key in site.web.keys.listed("keys") or [])
    return master, shared, (site.web.keys.listed("keys", "function_level") or [])[0]["value"]


async def test_without_enable_auth_everything_is_open_on_loopback(serve: Serve) -> None:
    site = await serve(LEVELS)
    for level in ("anonymous", "function", "admin"):
        assert (await site.client.get(f"/api/for-{level}")).status_code == 200
    assert (await site.client.get("/admin/functions")).status_code == 200


@pytest.mark.parametrize(
    ("level", "opened_by"),
    [("anonymous", "none wrong own shared master"), ("function", "own shared master"), ("admin", "master")],
)
async def test_each_level_takes_its_keys_from_header_or_query(serve: Serve, level: str, opened_by: str) -> None:
    site = await serve(LEVELS, enable_auth=True)
    given = dict(zip(("master", "shared", "own"), keys(site), strict=True)) | {"none": "", "wrong": "x"}
    for name, key in given.items():
        expected = 200 if name in opened_by.split() else 401
        by_header = await site.client.get(f"/api/for-{level}", headers={"x-functions-key": key} if key else {})
        by_query = await site.client.get(f"/api/for-{level}", params={"code": key} if key else {})
        assert (by_header.status_code, by_query.status_code) == (expected, expected), name
        assert by_header.content == (b"in" if expected == 200 else b"")


async def test_the_header_wins_over_the_query(serve: Serve) -> None:
    site = await serve(LEVELS, enable_auth=True)
    own = keys(site)[2]
    assert (await site.client.get(f"/api/for-function?code={own}", headers={"x-functions-key": "x"})).status_code == 401
    assert (await site.client.get("/api/for-function?code=x", headers={"x-functions-key": own})).status_code == 200


async def test_admin_endpoints_take_the_master_key_only_and_ping_takes_none(serve: Serve) -> None:
    site = await serve(LEVELS, enable_auth=True)
    master, shared, own = keys(site)
    for key, status in ((master, 200), (shared, 401), (own, 401), ("", 401)):
        for path in ("/admin/host/status", "/ADMIN/functions" if not key else "/admin/functions", "/admin/host/keys"):
            assert (await site.client.get(path, headers={"x-functions-key": key})).status_code == status
    for path in ("/admin/host/ping", "/health/live", "/health/ready", "/metrics", "/"):
        assert (await site.client.get(path)).status_code == 200


MODULE = {
    "IOTEDGE_IOTHUBHOSTNAME": "hub.example",
    "IOTEDGE_DEVICEID": "box",
    "IOTEDGE_MODULEID": "edgefn",
    "IOTEDGE_MODULEGENERATIONID": "1",
    "IOTEDGE_GATEWAYHOSTNAME": "127.0.0.1",
    "IOTEDGE_APIVERSION": "2021-12-07",
    "IOTEDGE_WORKLOADURI": "unix:///nowhere",
}


@pytest.mark.parametrize("asked", [{"settings": MODULE}, {"address": "0.0.0.0"}])
async def test_in_a_module_and_beyond_loopback_keys_are_asked_for(serve: Serve, asked: dict[str, object]) -> None:
    site = await serve(LEVELS, **asked)
    assert (await site.client.get("/api/for-function")).status_code == 401
    assert (await site.client.get("/api/for-anonymous")).status_code == 200


async def test_pages_of_other_sites_can_not_use_open_admin_endpoints(serve: Serve) -> None:
    site = await serve(LEVELS)
    port = site.web.port
    origins = {"http://evil.example": 403, "null": 403, f"http://127.0.0.1:{port}": 200}
    for origin, status in origins.items():
        assert (await site.client.get("/admin/functions", headers={"origin": origin})).status_code == status
    assert (await site.client.get("/admin/functions", headers={"host": f"evil.example:{port}"})).status_code == 403
    assert (await site.client.get("/admin/functions", headers={"host": f"localhost:{port}"})).status_code == 200


async def test_keys_are_in_no_log_line(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    site = await serve(LEVELS, enable_auth=True)
    for key in keys(site):
        await site.client.get("/api/for-function", params={"code": key})
        await site.client.get("/admin/host/keys", headers={"x-functions-key": key})
    own_lines = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert [line for line in own_lines for key in keys(site) if key in line] == []


async def test_cors_answers_the_origins_that_are_named(serve: Serve) -> None:
    site = await serve(LEVELS, cors="http://localhost:3000, http://other/", cors_credentials=True)
    ask = {"origin": "http://localhost:3000", "access-control-request-method": "POST"}
    preflight = await site.client.options("/api/for-function", headers=ask)
    assert preflight.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert preflight.headers["access-control-allow-credentials"] == "true"
    answer = await site.client.get("/api/for-function", headers={"origin": "http://other"})
    assert answer.headers["access-control-allow-origin"] == "http://other"
    assert (
        "access-control-allow-origin"
        not in (await site.client.get("/api/for-function", headers={"origin": "x"})).headers
    )
