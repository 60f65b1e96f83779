"""HTTP on a unix socket, for the workload API and for the commands."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edgefn.errors import EdgefnError, HubError

log = logging.getLogger("edgefn.standin")


@contextlib.asynccontextmanager
async def serving(path: Path, routes: Sequence[Route], mode: int = 0o600) -> AsyncIterator[None]:
    """Answers on the socket while it lasts; raises HubError where the socket can not be made."""
    handlers = {EdgefnError: _refused, ValueError: _refused, Exception: _failed}
    config = uvicorn.Config(
        Starlette(routes=list(routes), exception_handlers=handlers),
        http="h11",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="critical",  # what it would say of requests that are cancelled at the end; the rest is logged here
        timeout_graceful_shutdown=1,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)  # as its serve(), which would take the signals too
    listening = _bound(path, mode)
    await server.startup(sockets=[listening])
    task = asyncio.create_task(server.main_loop(), name=f"server of {path.name}")
    try:
        yield
    finally:
        server.should_exit = True
        await task
        await server.shutdown(sockets=[listening])
        path.unlink(missing_ok=True)


def _bound(path: Path, mode: int) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(str(path))
    except OSError as error:
        listening.close()
        raise HubError(f"{path}: no socket can be made there: {error.strerror}; name another --dir") from None
    path.chmod(mode)
    return listening


async def _refused(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


async def _failed(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return JSONResponse({"error": f"the hub failed: {error!r}; its log says where"}, 500)
