"""Who gets the page: no other site; with keys only the master's acts. Row S2.9 has where it is served at all."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from edgefn.errors import SettingError
from edgefn.settings import HostConfig
from edgefn.web.options import ServerOptions
from edgefn.web.page.options import has_page
from tests.web.conftest import ECHO, Serve, Site

EVENTS = "/admin/page/events"
ACTS = ("/admin/page/cable", "/admin/page/desired", "/admin/page/letters/1/replay", "/admin/page/letters/1/discard")


def configured(**page: object) -> HostConfig:
    return HostConfig({"version": "2.0", "extensions": {"page": page}})


def test_an_unknown_option_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        SettingError, match=r"host\.json: extensions\.page\.enabeld: unknown option; .*known options: enabled"
    ):
        has_page(tmp_path, configured(enabeld=True), ServerOptions())


async def starts(site: Site, path: str = EVENTS, **headers: str) -> int:
    """The status of a stream; what comes of it is not awaited."""
    async with site.client.stream("GET", path, headers=headers) as response:
        return response.status_code


async def test_where_the_page_is_off_the_landing_page_of_azure_is_there(serve: Serve) -> None:
    site = await serve({"function_app.py": ECHO}, page=False)
    assert "<h1>Your function app is up and running</h1>" in (await site.client.get("/")).text
    assert (await site.client.get(EVENTS)).status_code == 404


async def test_without_the_landing_page_there_is_no_page(serve: Serve) -> None:
    site = await serve(ECHO, {"AzureWebJobsDisableHomepage": "true"})
    assert (await site.client.get("/")).status_code == 204
    assert (await site.client.get(EVENTS)).status_code == 404


async def test_the_page_and_its_files_allow_nothing_from_outside(serve: Serve) -> None:
    site = await serve(ECHO)
    page = await site.client.get("/")
    files = {part.partition('"')[0] for part in page.text.split("/admin/page/files/")[1:]}
    for response in [page, *[await site.client.get(f"/admin/page/files/{name}") for name in sorted(files)]]:
        assert response.status_code == 200
        assert "default-src 'none'; script-src 'self'" in response.headers["content-security-policy"]
        assert "http://" not in response.text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in response.text
        assert "innerHTML" not in response.text
    assert {"page.js", "page.css", "icon.svg"} <= files
    assert (await site.client.get("/admin/page/files/..%2Foptions.py")).status_code == 404


async def test_pages_of_other_sites_see_nothing_and_do_nothing(serve: Serve) -> None:
    site = await serve(ECHO)
    assert await starts(site) == 200
    assert await starts(site, Host="evil.example") == 403
    assert await starts(site, **{"Sec-Fetch-Site": "cross-site"}) == 403
    for path in ACTS:
        for origin in ("http://evil.example", "null"):
            assert (await site.client.post(path, json={}, headers={"Origin": origin})).status_code == 403
    assert (await site.client.post(ACTS[0], json={"plugged": "no"})).status_code == 400
    assert (await site.client.post(ACTS[2], json={})).status_code == 404


async def test_with_keys_a_key_of_the_host_shows_and_the_masters_acts(serve: Serve) -> None:
    site = await serve(ECHO, enable_auth=True)
    keys = {key["name"]: key["value"] for key in site.web.keys.listed("keys") or []}
    reader, master = ({"x-functions-key": keys[name]} for name in ("default", "_master"))
    of_function = (site.web.keys.listed("keys", "echo") or [])[0]["value"]
    assert (await site.client.get("/")).status_code == 200
    assert [await starts(site), await starts(site, **{"x-functions-key": of_function})] == [401, 401]
    assert [await starts(site, **reader), await starts(site, **master)] == [200, 200]
    for path in ACTS:
        assert (await site.client.post(path, json={}, headers=reader)).status_code == 401
    assert (await site.client.get("/admin/page/twin", headers=reader)).status_code == 403
    assert (await site.client.post(ACTS[0], json={"plugged": True}, headers=master)).status_code == 200


async def test_secrets_are_not_in_the_events(serve: Serve) -> None:
    site = await serve(ECHO, {"CAMERA_PASSWORD": "Tr0ub4dor&3xyz"})
    site.host.app.errors.append("the password is Tr0ub4dor&3xyz")
    text = ""
    async with site.client.stream("GET", EVENTS) as response:
        async for part in response.aiter_text():
            text += part
            if "event: host" in text and "event: samples" in text.partition("event: host")[2]:
                break
    assert "the password is ***" in text
    assert "Tr0ub4dor" not in text


async def test_only_so_many_streams_are_open_at_once(serve: Serve) -> None:
    from contextlib import AsyncExitStack

    site = await serve(ECHO)
    async with AsyncExitStack() as stack, httpx.AsyncClient(base_url=str(site.client.base_url)) as client:
        found = [await stack.enter_async_context(client.stream("GET", EVENTS)) for _ in range(17)]
        assert [response.status_code for response in found] == [200] * 16 + [503]


def test_every_module_of_the_page_is_imported_by_another_or_by_the_page() -> None:
    folder = Path(__file__).parents[3] / "host/edgefn/web/page/files"
    texts = {path.name: path.read_text() for path in folder.iterdir() if path.suffix in (".js", ".html")}
    named = json.dumps(list(texts.values()))
    assert [name for name in texts if name.endswith(".js") and name not in named] == []
