"""Apps that are served on a real port of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from edgefn.host import Host
from edgefn.loader import App
from edgefn.web.options import Asked, server_options
from edgefn.web.server import WebServer
from tests.conftest import AppIn

HEAD = "import asyncio, json, threading\nimport azure.functions as func\napp = func.FunctionApp()\n"
ECHO = HEAD + (
    "@app.route('echo/{*rest}')\n"
    "async def echo(req: func.HttpRequest):\n"
    "    return func.HttpResponse(json.dumps({'method': req.method, 'url': req.url, 'headers': dict(req.headers),\n"
    "        'params': dict(req.params), 'route': dict(req.route_params), 'body': req.get_body().decode('latin-1')}),\n"
    "        mimetype='application/json')\n"
)


@dataclass(slots=True)
class Site:
    """A served app, and a client of it."""

    host: Host
    web: WebServer
    client: httpx.AsyncClient

    def module(self) -> dict[str, Any]:
        """What function_app.py holds, as it was imported."""
        return vars(self.host.app.manager.get_plugin("function_app"))

    async def answering(self, name: str, count: int) -> None:
        """Returns when a function answers so many requests."""

        async def holds() -> bool:
            return bool(self.function(name)["trigger"]["answering"] == count)

        await until(holds)

    async def gets(self, path: str, status: int) -> httpx.Response:
        """The response to the path, as soon as it has that status."""
        seen = [await self.client.get(path)]

        async def holds() -> bool:
            seen.append(await self.client.get(path))
            return seen[-1].status_code == status

        if seen[0].status_code != status:
            await until(holds)
        return seen[-1]

    def function(self, name: str) -> Mapping[str, Any]:
        """What the host's status tells of a function."""
        found: Mapping[str, Any] = self.host.status()["functions"][name]
        return found


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Returns when it holds; fails after five seconds."""
    async with asyncio.timeout(5):
        while not await holds():  # noqa: ASYNC110  it watches the other side of a socket
            await asyncio.sleep(0.005)


@asynccontextmanager
async def served(app: App, *, started: bool = True, grace: float = 5.0, **asked: Any) -> AsyncIterator[Site]:
    """The app on a free port; where it is not ``started``, only the web server is."""
    host = Host(app, grace=grace)
    web = WebServer(host, server_options(app.root, app.services.settings, Asked(**{"port": 0, **asked})))
    await web.start()
    try:
        if started:
            await host.start()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{web.port}", timeout=20) as client:
            yield Site(host, web, client)
    finally:
        if host.state not in ("starting", "stopped"):
            await host.stop()
        await web.stop()


Serve = Callable[..., Awaitable[Site]]


@pytest.fixture
async def serve(app_of: AppIn) -> AsyncIterator[Serve]:
    """Serves the text of a function_app.py, or files by their names."""
    async with AsyncExitStack() as stack:

        async def begin(code: str | Mapping[str, str], settings: Mapping[str, str] | None = None, **asked: Any) -> Site:
            files = {"function_app.py": code} if isinstance(code, str) else code
            app = app_of(files, **(settings or {}))
            return await stack.enter_async_context(served(app, **asked))

        yield begin
