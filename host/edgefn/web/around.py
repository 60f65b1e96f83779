"""What commands ask a running host for: send to an input, call a method, see and change the twin, pull the cable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edgefn.contracts import EdgeMessage, MethodRequest
from edgefn.errors import EdgefnError, listing
from edgefn.hubs.local import LocalHub
from edgefn.ids import new_id
from edgefn.redaction import redacted

if TYPE_CHECKING:
    from edgefn.host import Host

Answer = Callable[[Request], Awaitable[Response]]
BODY = '{"body": "...", "properties": {}}'


def around_routes(host: Host) -> list[Route]:
    """The endpoints below ``/admin/edgefn/``; who may use them is decided before."""
    around = Around(host)
    table: list[tuple[str, str, Answer]] = [
        ("POST", "inputs/{name}", around.send),
        ("POST", "methods/{name}", around.invoke),
        ("GET", "twin", around.twin),
        ("PATCH", "twin", around.desire),
        ("POST", "cable", around.cable),
    ]
    return [Route(f"/admin/edgefn/{path}", answer, methods=[method]) for method, path, answer in table]


class Around:
    """Asks one host."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def send(self, request: Request) -> Response:
        """Puts a message for an input into the inbox, as the hub would."""
        name = str(request.path_params["name"])
        document = await _object(request)
        given = (document or {}).get("properties") or {}
        if document is None or not isinstance(document.get("body", ""), str) or not isinstance(given, dict):
            return _wrong(f"the body should be a JSON object: {BODY}")
        properties = {str(key): str(value) for key, value in given.items()}
        inbox = self._host.app.services.spool.inbox
        if not inbox.listening(name):
            return _wrong(f"no function listens to input '{name}'; inputs heard: {listing(inbox.heard())}", 404)
        message = EdgeMessage(
            document.get("body", "").encode(),
            properties,
            message_id=new_id(),
            created=datetime.now(UTC),
            input_name=name,
        )
        try:
            await inbox.on_input(message)
        except EdgefnError as error:
            return _wrong(str(error), 503)
        return JSONResponse({"id": message.message_id}, 202)

    async def invoke(self, request: Request) -> Response:
        """Calls a direct method, a function's or the host's own."""
        raw = await request.body()
        try:
            payload = orjson.loads(raw) if raw.strip() else None
        except orjson.JSONDecodeError as error:
            return _wrong(f"the payload should be a JSON value: {error}")
        method = MethodRequest(new_id(), str(request.path_params["name"]), payload)
        reply = await self._host.operation.sink.on_method(method)
        return _json({"status": reply.status, "payload": reply.payload})

    async def twin(self, request: Request) -> Response:
        try:
            twin = await self._host.app.services.hub.twin()
        except EdgefnError as error:
            return _wrong(str(error), 503)
        return _json(redacted({"desired": dict(twin.desired), "reported": dict(twin.reported)}))

    async def desire(self, request: Request) -> Response:
        """Changes the desired properties of the local hub; those of IoT Hub are changed there."""
        patch = await _object(request)
        if patch is None:
            return _wrong('the body should be a JSON object of desired properties: {"settings": {...}}')
        change: Any = getattr(self._host.app.services.hub, "set_desired", None)
        if change is None:
            return _wrong("the desired properties of a module are changed in IoT Hub, or by edgefn hub twin set", 409)
        try:
            version = await change(patch)
        except EdgefnError as error:
            return _wrong(str(error))
        return _json({"version": version})

    async def cable(self, request: Request) -> Response:
        """Pulls the cable of the local hub, or plugs it in."""
        plugged = (await _object(request) or {}).get("plugged")
        if not isinstance(plugged, bool):
            return _wrong('the body should be {"plugged": true} or {"plugged": false}')
        hub = self._host.app.services.hub
        if not isinstance(hub, LocalHub):
            return _wrong("only the hub inside the process has a cable; edgefn hub fault is what edgefn hub has", 409)
        hub.plug() if plugged else hub.pull()
        return _json({"plugged": hub.is_plugged})


async def _object(request: Request) -> dict[str, Any] | None:
    try:
        document = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _wrong(text: str, status: int = 400) -> Response:
    return JSONResponse({"error": redacted(text)}, status)


def _json(document: Any) -> Response:
    return Response(orjson.dumps(document, default=str), media_type="application/json")
