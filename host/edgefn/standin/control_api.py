"""What the commands and tests ask a running hub, over the unix socket in its folder; ``control.Control`` asks it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edgefn.errors import HubError
from edgefn.standin.faults import parse_fault
from edgefn.standin.hub import Hub
from edgefn.standin.messages import SENDER, Injected
from edgefn.standin.store import Upstream

LONGEST_WAIT = 60.0


class ControlApi:
    """See ``routes``."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self) -> list[Route]:
        return [
            Route("/status", self._status),
            Route("/environment/{name:path}", self._environment, methods=["POST"]),
            Route("/inputs/{module}/{input:path}", self._send, methods=["POST"]),
            Route("/upstream", self._upstream),
            Route("/upstream/before-last", self._before_last),
            Route("/twins/{name:path}", self._twin, methods=["GET"]),
            Route("/twins/{name:path}", self._set_twin, methods=["PATCH", "PUT"]),
            Route("/methods/{name}/{method:path}", self._invoke, methods=["POST"]),
            Route("/faults", self._faults, methods=["GET"]),
            Route("/faults", self._fault, methods=["POST"]),
            Route("/faults", self._clear, methods=["DELETE"]),
        ]

    async def _status(self, _request: Request) -> Response:
        return JSONResponse(self._hub.status())

    async def _environment(self, request: Request) -> Response:
        form = request.query_params.get("form", "module")
        variables = self._hub.environment(request.path_params["name"], form)
        await self._hub.committed()
        return JSONResponse(variables)

    async def _send(self, request: Request) -> Response:
        messages = [_injected(message) for message in orjson.loads(await request.body())]
        await self._hub.send(request.path_params["module"], request.path_params["input"], messages)
        return JSONResponse({"sent": len(messages)})

    async def _upstream(self, request: Request) -> Response:
        query = request.query_params
        after, limit = int(query.get("after", 0)), int(query.get("limit", 1000))
        rows = await self._hub.upstream(after, limit, min(float(query.get("wait", 0)), LONGEST_WAIT))
        return Response(orjson.dumps([_shown(*row) for row in rows]), media_type="application/json")

    async def _before_last(self, request: Request) -> Response:
        return JSONResponse({"number": self._hub.store.before_last(int(request.query_params["count"]))})

    async def _twin(self, request: Request) -> Response:
        return JSONResponse(self._hub.twin(request.path_params["name"]))

    async def _set_twin(self, request: Request) -> Response:
        desired = orjson.loads(await request.body())
        if not isinstance(desired, dict):
            raise HubError("desired properties: an object of names and values would be right")
        replace = request.method == "PUT"
        return JSONResponse(await self._hub.set_twin(request.path_params["name"], desired, replace=replace))

    async def _invoke(self, request: Request) -> Response:
        query = request.query_params
        answer = await self._hub.invoke(
            request.path_params["name"],
            request.path_params["method"],
            orjson.loads(await request.body() or b"null"),
            connect_timeout=float(query.get("connect", 10)),
            response_timeout=float(query.get("response", 30)),
        )
        return JSONResponse({"status": answer.status, "payload": answer.payload})

    async def _faults(self, _request: Request) -> Response:
        return JSONResponse(self._hub.faults.status())

    async def _fault(self, request: Request) -> Response:
        fault = parse_fault(orjson.loads(await request.body()))
        self._hub.fault(fault)
        return JSONResponse(fault.status())

    async def _clear(self, _request: Request) -> Response:
        return JSONResponse({"cleared": self._hub.faults.clear()})


def _injected(message: Mapping[str, Any]) -> Injected:
    try:
        body = base64.b64decode(message["body"])
    except (binascii.Error, KeyError, TypeError):
        raise HubError("a message to an input: its body should be in base64") from None
    system = {name: str(value) for name, value in message.get("system", {}).items()}
    properties = {name: str(value) for name, value in message.get("properties", {}).items()}
    return Injected(body, properties, system, message.get("sender", SENDER))


def _shown(number: int, row: Upstream) -> dict[str, Any]:
    return {
        "number": number,
        "time": row.time,
        "device": row.device,
        "module": row.module,
        "output": row.output,
        "id": row.message_id,
        "contentType": row.content_type,
        "properties": orjson.loads(row.properties),
        "system": orjson.loads(row.system),
        "body": base64.b64encode(row.body).decode(),
    }
