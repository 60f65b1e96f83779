"""The one web server of a host: functions, admin endpoints, health and metrics, on one address."""

from __future__ import annotations

import asyncio
import hmac
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware

from edgefn.errors import SettingError
from edgefn.host import Host
from edgefn.web import pages
from edgefn.web.admin import Admin, gone, refused
from edgefn.web.calls import Calls, given_key, write
from edgefn.web.http import HttpTriggerKind
from edgefn.web.keys import Keys
from edgefn.web.lifespans import shut_down
from edgefn.web.options import LOOPBACK, HttpOptions, ServerOptions, http_options
from edgefn.web.replies import Header, Reply, header, plain
from edgefn.web.requests import Gone, Receive, Refused, Scope, Send, headers_of, query_of

Application = Callable[[Scope, Receive, Send], Awaitable[None]]

BACKLOG = 1024
KEEP_ALIVE = 30
PING = "/admin/host/ping"
PAGES = (pages.LIVE, pages.READY, pages.METRICS)
"""Paths of the host's own, unless a function declares the very same."""
"""Seconds that an idle connection stays open."""


class Front:
    """Decides who answers a request: the host itself, or the functions."""

    def __init__(self, own: Application, calls: Calls | None, keys: Keys, options: ServerOptions, home: bool) -> None:
        self._own = own
        self._calls = calls
        self._keys = keys
        self._options = options
        self._has_home = home

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if self._calls is not None and not self._is_own(path):
            await self._calls(scope, receive, send)
            return
        reply = self._refusal(path, scope) if path[:6].lower() == "/admin" else None
        if reply is not None:
            await write(reply, scope, send)
        else:
            await self._own(scope, receive, send)
