"""What the host tells of itself without a key: that it lives, that it is ready, its metrics, its landing page."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from edgefn.host import Host
from edgefn.settings import Settings
from edgefn.web.exposition import Exposition

LIVE, READY, METRICS, HOME = "/health/live", "/health/ready", "/metrics", "/"
RETRY_AFTER = {"retry-after": "1"}
WELCOME = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>edgefn</title></head>
<body><h1>Your function app is up and running</h1></body>
</html>
"""


def page_routes(host: Host, home: Callable[[], Response]) -> list[Route]:
    """The routes of the pages of one host; ``home`` is what is at ``/``, unless that is hidden."""
    exposition = Exposition(host)
    pages: dict[str, Callable[[Request], Response]] = {
        LIVE: lambda _: JSONResponse({"status": "live"}),
        READY: lambda _: _ready(host),
        METRICS: lambda _: Response(exposition.text(), headers={"content-type": CONTENT_TYPE_LATEST}),
        HOME: lambda _: Response(status_code=204) if is_home_hidden(host.app.services.settings) else home(),
    }
    return [Route(path, _async(page), methods=["GET", "HEAD"]) for path, page in pages.items()]


def _async(page: Callable[[Request], Response]) -> Callable[[Request], object]:
    """Starlette would call a plain function in a thread of its own pool, and they wait for nothing."""

    async def called(request: Request) -> Response:
        return page(request)

    return called


def _ready(host: Host) -> Response:
    """200 while the functions listen, with the state of the hub, without which they run too; else 503 and why not."""
    services = host.app.services
    if host.state == "running" and services.spool.fault:
        return JSONResponse({"status": "spool unusable", "reason": services.spool.fault}, 503, RETRY_AFTER)
    if host.state == "running":
        return JSONResponse({"status": "running", "hub": services.hub.state})
    return JSONResponse({"status": host.state}, 503, RETRY_AFTER)


def welcome() -> Response:
    """The landing page of Azure's host, where edgefn's own page is off."""
    return HTMLResponse(WELCOME)


def is_home_hidden(settings: Settings) -> bool:
    """Whether ``AzureWebJobsDisableHomepage`` leaves the address ``/`` to the functions."""
    return (settings.get("AzureWebJobsDisableHomepage") or "").lower() in ("true", "1")
