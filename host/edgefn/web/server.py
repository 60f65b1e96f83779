"""The one web server of a host: functions, admin endpoints, health and metrics, on one address."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from typing import cast
from urllib.parse import unquote, urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from edgefn.errors import SettingError
from edgefn.host import Host
from edgefn.web import pages
from edgefn.web.admin import Admin, gone, refused
from edgefn.web.around import around_routes
from edgefn.web.calls import Calls, given_key, write
from edgefn.web.corked import Corked
from edgefn.web.http import HttpTriggerKind
from edgefn.web.keys import Keys
from edgefn.web.lifespans import shut_down
from edgefn.web.options import LOOPBACK, HttpOptions, ServerOptions, http_options
from edgefn.web.page import FILES, PATH, Page
from edgefn.web.page.options import has_page
from edgefn.web.replies import Header, Reply, header, plain
from edgefn.web.requests import Gone, Receive, Refused, Scope, Send, headers_of, query_of
from edgefn.web.serving.http import ServingOverHttp
from edgefn.web.serving.serving import Serving

log = logging.getLogger("edgefn.web")

Application = Callable[[Scope, Receive, Send], Awaitable[None]]

BACKLOG = 1024
KEEP_ALIVE = 30
"""Seconds that an idle connection stays open."""
ADMIN, PING = "/admin", "/admin/host/ping"
PAGES = (pages.LIVE, pages.READY, pages.METRICS)
"""Paths of the host's own, unless a function declares the very same."""
UP = ("running", "draining", "drained", "stopping")
"""States of a host whose functions are open; those that do not listen any more answer for themselves."""


class Front:
    """Decides who answers a request: the host itself, its served models, or the functions."""

    def __init__(
        self,
        own: Application,
        calls: Calls | None,
        served: ServingOverHttp | None,
        keys: Keys,
        options: ServerOptions,
        home: bool,
    ) -> None:
        self._own = own
        self._calls = calls
        self._served = served
        self._keys = keys
        self._options = options
        self._has_home = home
        self._names = {*LOOPBACK, options.address.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if "://" in path[:8]:
            scope = _without_origin(scope)
            path = scope["path"]
        if self._served is not None and self._served.has(path):
            await self._served(scope, receive, send)
            return
        if self._calls is not None and not self._is_own(path, scope["method"]):
            await self._calls(scope, receive, send)
            return
        reply = self._refusal(path, scope) if _is_admin(path) else None
        if reply is not None:
            await write(reply, scope, send)
        else:
            await self._own(scope, receive, send)

    def _is_own(self, path: str, method: str) -> bool:
        assert self._calls is not None
        if path == pages.HOME:
            return self._has_home or not self._calls.answers(path, method)
        return _is_admin(path) or (path in PAGES and not self._calls.declares(path))

    def _refusal(self, path: str, scope: Scope) -> Reply | None:
        """Why an admin endpoint is closed to a request; None when it is open."""
        if path == PING or path.startswith(FILES):
            return None
        headers = headers_of(scope["headers"])
        if self._options.enforce:
            given = given_key(headers, query_of(scope["query_string"]))
            reads = path.startswith(PATH) and scope["method"] in ("GET", "HEAD")
            return None if self._keys.allow("function" if reads else "admin", "", given) else Reply(401)
        if headers.get("sec-fetch-site") == "cross-site" and path.startswith(PATH):
            return plain(403, "The page is not for other sites.")
        host, origin = headers.get("host", "").lower(), headers.get("origin", "").lower()
        if _name(host) not in self._names:
            return plain(403, "Admin endpoints without keys are for this machine: the header Host names another one.")
        if origin and urlsplit(origin).netloc != host and origin not in self._options.origins:
            return plain(403, "Admin endpoints without keys are not for pages of other sites.")
        return None


def _without_origin(scope: Scope) -> Scope:
    """A request whose target is a whole address, as proxies send it, as one for the path in that."""
    raw = b"/" + scope["raw_path"].partition(b"://")[2].partition(b"/")[2]
    return {**scope, "raw_path": raw, "path": unquote(raw.decode("ascii"))}


def _is_admin(path: str) -> bool:
    return path[:7].lower() == f"{ADMIN}/" or path.lower() == ADMIN


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


class WithHeaders:
    """Adds ``customHeaders`` of host.json to each response."""

    def __init__(self, app: Application, headers: list[Header]) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_more(message: Scope) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self._headers]}
            await send(message)

        await self._app(scope, receive, send_more)


class Protocol(AutoHTTPProtocol):  # type: ignore[misc,valid-type]  # uvicorn chooses it when it is imported
    """uvicorn's HTTP on a transport that joins writes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(Corked(cast("asyncio.Transport", transport)))


class WebServer:
    """Serves one host. Start it before the host, so that callers hear that it is starting; stop it after the host."""

    def __init__(self, host: Host, options: ServerOptions) -> None:
        app = host.app
        self._host = host
        self._options = options
        self._kind = next((kind for kind in app.kinds.triggers.values() if isinstance(kind, HttpTriggerKind)), None)
        self._http: HttpOptions = self._kind.http if self._kind else http_options(app.root, app.config)
        self.keys = Keys(app.services.state / "secrets")
        self._admin = Admin(host, self.keys, self._kind, self._http.max_request_body_size)
        self.calls: Calls | None = None
        self._where = app.services.state / "web.json"
        is_on = has_page(app.root, app.config, options) and not pages.is_home_hidden(app.services.settings)
        self._page = Page(host, self._may_act) if is_on else None
        self._serving = Serving(host, self.keys, options)
        self._server: uvicorn.Server | None = None
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        assert self._socket is not None
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def grpc_port(self) -> int:
        """Where models are served by gRPC; 0 where they are not."""
        return self._serving.grpc.port if self._serving.grpc is not None else 0

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        address = self._options.address
        name = "localhost" if self._options.is_loopback or address in ("0.0.0.0", "::") else address
        return f"http://[{name}]:{self.port}" if ":" in name else f"http://{name}:{self.port}"

    @property
    def page(self) -> str:
        """The address of the page; empty where there is none."""
        return "" if self._page is None else f"{self.url}/"

    def addresses(self) -> dict[str, str]:
        """How ``func start`` shows each HTTP function: its methods and its address."""
        routes = self._kind.routes if self._kind else ()
        shown = {}
        for route in routes:
            methods = f"[{','.join(route.methods)}] " if route.methods else ""
            shown[route.function] = f"{methods}{self.url}/{route.template.text.strip('/')}"
        return shown

    async def start(self) -> None:
        """Listens; raises SettingError when the port is taken or the keys can not be kept."""
        routes = self._kind.routes if self._kind else ()
        await asyncio.to_thread(self.keys.open, [route.function for route in routes])
        self._socket = self._bound()
        try:
            await self._serving.start(self.url)
        except SettingError:
            self._socket.close()
            raise
        config = uvicorn.Config(
            self._application(),
            http=Protocol,
            log_config=None,
            log_level="error",  # what clients do wrong is theirs to see
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=max(1, round(self._host.grace)),
            backlog=BACKLOG,
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)  # as its serve(), which would take the signals too
        await self._server.startup(sockets=[self._socket])
        self._task = asyncio.create_task(self._server.main_loop(), name="web server")
        self._say_where()
        if self._page is not None:
            self._page.start()
        if self._options.enforce:
            log.info("Keys are asked for; they are in %s", self._host.app.services.state / "secrets")

    async def stop(self) -> None:
        """Lets responses be written within the grace time, and closes all connections."""
        await shut_down(self._host.app.functions, self._host.grace)
        await self._admin.close()
        self._where.unlink(missing_ok=True)
        if self._page is not None:
            await self._page.stop()
        await self._serving.stop()
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task
            await self._server.shutdown(sockets=[self._socket] if self._socket else None)

    def _say_where(self) -> None:
        """Leaves the address in the state folder, for the commands that ask a running host."""
        address = self._options.address
        reached = "127.0.0.1" if address in ("0.0.0.0", "::") else address
        with contextlib.suppress(OSError):  # what can not be written is told by the spool, which needs it
            where = {"address": reached, "port": self.port, "process": os.getpid(), "page": self.page}
            self._where.write_text(json.dumps(where), encoding="utf-8")

    def _application(self) -> Application:
        services = self._host.app.services
        page = self._page.routes() if self._page is not None else []
        home = self._page.home if self._page is not None else pages.welcome
        own = Starlette(
            routes=[
                *pages.page_routes(self._host, home),
                *page,
                *self._admin.routes(),
                *around_routes(self._host),
            ],
            exception_handlers={Refused: refused, Gone: gone},
        )
        keys = self.keys if self._options.enforce else None
        self.calls = Calls(self._kind, keys, self._is_up, services.metrics) if self._kind else None
        home_is_there = not pages.is_home_hidden(services.settings)
        app: Application = Front(own, self.calls, self._serving.http, self.keys, self._options, home_is_there)
        if self._http.custom_headers:
            app = WithHeaders(app, [header(name, text) for name, text in self._http.custom_headers.items()])
        if self._options.origins:
            app = CORSMiddleware(
                app,
                allow_origins=self._options.origins,
                allow_methods=["*"],
                allow_headers=["*"],
                allow_credentials=self._options.credentials,
            )
        return app

    def _may_act(self, request: Request) -> bool:
        """Whether a request may change something: all that get here where no keys are asked for, else the master's."""
        headers, query = headers_of(request.scope["headers"]), query_of(request.scope["query_string"])
        return not self._options.enforce or self.keys.is_master(given_key(headers, query))

    def _is_up(self) -> bool:
        return self._host.state in UP

    # --- the port ------------------------------------------------------------------------------------------------

    def _bound(self) -> socket.socket:
        """A socket on the port; on any other one where nobody asked for that port, and no function needs it."""
        options = self._options
        try:
            return _bind(options.address, options.port)
        except OSError as error:
            needed = options.port_is_asked or any(self._kind.routes if self._kind else ())
            if needed or error.errno != errno.EADDRINUSE:
                raise SettingError(_said(options, error)) from None
        found = _bind(options.address, 0)
        log.warning("Port %d is unavailable; health and metrics are on port %d", options.port, found.getsockname()[1])
        return found


def _bind(address: str, port: int) -> socket.socket:
    family, kind, protocol, _, where = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    found = socket.socket(family, kind, protocol)
    try:
        with contextlib.suppress(AttributeError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(where)
        found.listen(BACKLOG)  # now, not later: two hosts may bind one port, but only one of them can listen
    except OSError:
        found.close()
        raise
    return found


def _said(options: ServerOptions, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {options.port} is unavailable. Close the process using that port, "
            "or specify another port using --port [-p]."
        )
    where = f"{options.address}, port {options.port}"
    return f"can not listen on {where}: {error.strerror}; choose others with --address and --port"
