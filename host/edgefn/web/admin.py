"""The admin endpoints of Azure's host: what runs, run it now, its keys, drain and resume."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edgefn import __version__
from edgefn.by_hand import event_by_hand
from edgefn.contracts import Event
from edgefn.errors import EdgefnError
from edgefn.host import Host
from edgefn.redaction import redact, redacted
from edgefn.running import Running
from edgefn.web.http import REASON, HttpTriggerKind
from edgefn.web.keys import SCOPES, Keys
from edgefn.web.requests import Buffered, Gone, Refused, body_of, headers_of

STATES = {"starting": "Starting", "running": "Running", "stopping": "Stopping", "stopped": "Stopped"}
"""The states of the host in Azure's words; a drained host is a running one there."""
DRAINING = {"draining": "InProgress", "drained": "Completed"}
LATER = "edgefn does not do this while it runs; stop it, and start it again"
RUNS_AT_ONCE = 100
"""Invocations by hand that may run at once."""

Answer = Callable[[Request], Awaitable[Response]]


class Admin:
    """The admin endpoints of one host; who may use them is decided before."""

    def __init__(self, host: Host, keys: Keys, kind: HttpTriggerKind | None, body_limit: int) -> None:
        self._host = host
        self._keys = keys
        self._kind = kind
        self._body_limit = body_limit
        self._tasks: set[asyncio.Task[Any]] = set()
        self._drain: asyncio.Task[None] | None = None
        self._started = time.monotonic()
        self._id = f"{os.getpid():x}-{time.time_ns():x}"

    def routes(self) -> list[Route]:
        scope = "{scope:str}"
        table: list[tuple[str, list[str], Answer]] = [
            ("/admin/host/status", ["GET"], self._host_status),
            ("/admin/edgefn/status", ["GET"], self._whole_status),
            ("/admin/host/ping", ["GET", "POST"], self._ping),
            ("/admin/host/drain", ["POST"], self._drained),
            ("/admin/host/drain/status", ["GET"], self._drain_status),
            ("/admin/host/resume", ["POST"], self._resume),
            ("/admin/host/synctriggers", ["POST"], self._sync),
            ("/admin/host/processes", ["GET"], self._processes),
            ("/admin/host/restart", ["POST"], self._restart),
            ("/admin/host/state", ["PUT"], self._not_yet),
            ("/admin/warmup", ["GET", "POST"], self._warm_up),
            ("/admin/functions", ["GET"], self._functions),
            ("/admin/functions/{name}", ["GET"], self._function),
            ("/admin/functions/{name}", ["POST"], self._run),
            ("/admin/functions/{name}/status", ["GET"], self._function_status),
            ("/admin/functions/{name}/keys", ["GET"], self._list_keys),
            ("/admin/functions/{name}/keys/{key}", ["GET", "PUT", "POST", "DELETE"], self._one_key),
            (f"/admin/host/{scope}", ["GET"], self._list_keys),
            (f"/admin/host/{scope}/{{key}}", ["GET", "PUT", "POST", "DELETE"], self._one_key),
        ]
        return [Route(path, answer, methods=methods) for path, methods, answer in table]

    async def close(self) -> None:
        """Ends what was begun by hand."""
        tasks = [*self._tasks, *([self._drain] if self._drain is not None else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)

    # --- the host ------------------------------------------------------------------------------------------------

    async def _host_status(self, request: Request) -> Response:
        app = self._host.app
        status = {
            "id": app.root.name.lower(),
            "state": STATES.get(self._host.state, "Running"),
            "version": f"4.0.0-edgefn.{__version__}",
            "versionDetails": f"edgefn {__version__}",
            "platformVersion": platform.python_version(),
            "instanceId": self._id,
            "computerName": platform.node(),
            "processUptime": round((time.monotonic() - self._started) * 1000),
            "functionAppContentEditingState": "NotAllowed",
        }
        return JSONResponse({**status, **({"errors": redacted(app.errors)} if app.errors else {})})

    async def _whole_status(self, request: Request) -> Response:
        """All that the host tells of itself: hub, spool, functions with their triggers, inputs and outputs."""
        return _json(redacted(self._host.status()))

    async def _ping(self, request: Request) -> Response:
        return Response()

    async def _processes(self, request: Request) -> Response:
        return JSONResponse([{"processId": os.getpid(), "processName": "edgefn"}])

    async def _sync(self, request: Request) -> Response:
        return JSONResponse({"status": "success"})

    async def _not_yet(self, request: Request) -> Response:
        return JSONResponse({"error": LATER}, 501)

    async def _restart(self, request: Request) -> Response:
        if self._host.restart is None:
            return await self._not_yet(request)
        self._host.restart()
        return Response()

    async def _drained(self, request: Request) -> Response:
        if self._host.state == "running":
            self._drain = asyncio.create_task(self._host.drain(), name="drain")
            await asyncio.sleep(0)
        elif self._host.state not in DRAINING:
            return _busy(self._host.state)
        return Response(status_code=202)

    async def _drain_status(self, request: Request) -> Response:
        running = sum(each.invoker.running for each in self._host.running if each.invoker is not None)
        state = DRAINING.get(self._host.state, "Disabled")
        return JSONResponse({"state": state, "outstandingInvocations": running, "outstandingRetries": 0})

    async def _resume(self, request: Request) -> Response:
        if self._host.state == "drained":
            await self._host.resume()
        elif self._host.state != "running":
            return _busy(self._host.state)
        return JSONResponse({"state": STATES[self._host.state]})

    async def _warm_up(self, request: Request) -> Response:
        for running in self._host.running:
            trigger = running.function.trigger
            if trigger is not None and trigger.type.lower() == "warmuptrigger" and running.invoker is not None:
                await running.invoker.emit(self._event(running, ""))
        return Response()

    # --- functions -----------------------------------------------------------------------------------------------

    def _named(self, request: Request) -> Running | None:
        name = str(request.path_params["name"]).lower()
        return next((each for each in self._host.running if each.function.name.lower() == name), None)

    async def _functions(self, request: Request) -> Response:
        return _json([self._described(each, request) for each in self._host.running])

    async def _function(self, request: Request) -> Response:
        running = self._named(request)
        return _json(self._described(running, request)) if running else Response(status_code=404)

    async def _function_status(self, request: Request) -> Response:
        running = self._named(request)
        if running is None:
            return Response(status_code=404)
        errors = redacted(running.function.errors)
        return JSONResponse({"errors": errors} if errors else {})

    def _described(self, running: Running, request: Request) -> dict[str, Any]:
        function = running.function
        base = str(request.base_url).rstrip("/")
        route = self._kind.routes.get(function.name) if self._kind else None
        return {
            "name": function.name,
            "script_root_path_href": f"{base}/admin/vfs/{function.place.file.rpartition('/')[0]}",
            "script_href": f"{base}/admin/vfs/{function.place.file}",
            "config_href": None,
            "test_data_href": None,
            "href": f"{base}/admin/functions/{function.name}",
            "invoke_url_template": f"{base}/{route.template.text.strip('/')}" if route else None,
            "language": "python",
            "config": {
                "name": function.name,
                "scriptFile": function.place.file,
                "language": "python",
                "bindings": [redacted(binding.json()) for binding in function.bindings],
            },
            "files": None,
            "test_data": None,
            "isDisabled": function.disabled,
            "isDirect": route is not None,
            "isProxy": False,
        }

    async def _run(self, request: Request) -> Response:
        """Runs a function in the background, with the ``input`` of the body as its event."""
        running = self._named(request)
        if running is None:
            return Response(status_code=404)
        document = await self._document(request)
        if document is None:
            return _wrong('the body should be a JSON object: {"input": "..."}')
        if running.function.errors:
            return JSONResponse({"errors": redacted(running.function.errors)}, 409)
        if running.invoker is None or self._host.state != "running":
            return _busy(self._host.state)
        if len(self._tasks) >= RUNS_AT_ONCE:
            return Response(status_code=429, headers={"retry-after": "1"})
        given = document.get("input", "")
        try:
            event = self._event(running, given if isinstance(given, str) else orjson.dumps(given).decode())
        except (EdgefnError, ValueError) as error:
            return _wrong(str(error))
        task = asyncio.create_task(running.invoker.emit(event), name=f"run {running.function.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Response(status_code=202)

    def _event(self, running: Running, text: str) -> Event:
        return event_by_hand(self._host.app.kinds, running.function, text, REASON)

    # --- keys ----------------------------------------------------------------------------------------------------

    async def _list_keys(self, request: Request) -> Response:
        scope, function = self._scope(request)
        keys = self._keys.listed(scope, function) if scope in SCOPES else None
        if keys is None:
            return Response(status_code=404)
        return _json({"keys": keys, "links": [{"rel": "self", "href": str(request.url.replace(query=""))}]})

    async def _one_key(self, request: Request) -> Response:
        scope, function = self._scope(request)
        name = str(request.path_params["key"])
        listed = self._keys.listed(scope, function) if scope in SCOPES else None
        found = next((key for key in listed or () if key["name"].lower() == name.lower()), None)
        if listed is None or (found is None and request.method not in ("PUT", "POST")):
            return Response(status_code=404)
        if request.method in ("GET", "HEAD"):
            return _json(found)
        if request.method == "DELETE":
            gone = await asyncio.to_thread(self._keys.delete, scope, function, name)
            return Response(status_code=204) if gone else _wrong("the master key can be renewed, not deleted")
        value = None
        if request.method == "PUT":
            document = await self._document(request)
            value = document.get("value") if document else None
            if not isinstance(value, str) or not value:
                return _wrong('the body should be a JSON object: {"name": "...", "value": "..."}')
        put = await asyncio.to_thread(self._keys.put, scope, function, name, value)
        if put is None:
            return Response(status_code=404)
        return _json(put[0], 201 if put[1] else 200)

    def _scope(self, request: Request) -> tuple[str, str]:
        """The list that a path means, and the function where it is one of a function."""
        if "name" in request.path_params:
            return "keys", str(request.path_params["name"])
        return str(request.path_params["scope"]).lower(), ""

    async def _document(self, request: Request) -> dict[str, Any] | None:
        """The JSON object in the body; None when there is none."""
        limit = self._body_limit
        raw = await body_of(headers_of(request.scope["headers"]), request.receive, limit, Buffered(limit))
        try:
            document = orjson.loads(raw)
        except ValueError:
            return None
        return document if isinstance(document, dict) else None


async def refused(request: Request, error: Exception) -> Response:
    """A body beyond the limit, for Starlette."""
    assert isinstance(error, Refused)
    reply = error.reply
    return Response(reply.body, reply.status, {name.decode(): value.decode() for name, value in reply.headers})


async def gone(request: Request, error: Exception) -> Response:
    """A client that has hung up gets nothing any more."""
    assert isinstance(error, Gone)
    return Response(status_code=400)


def _busy(state: str) -> Response:
    return JSONResponse({"error": f"the host is {state}"}, 409)


def _wrong(text: str) -> Response:
    return JSONResponse({"error": redact(text)}, 400)


def _json(document: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(document, default=str), status, media_type="application/json")
