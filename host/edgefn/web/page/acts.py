"""What the page asks for by a click: dead letters, twin and cable of the hub inside the process, an invocation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edgefn.desired import changes
from edgefn.errors import EdgefnError
from edgefn.host import Host
from edgefn.hubs.local import LocalHub
from edgefn.redaction import redact
from edgefn.web.page.snapshot import letter_of, without_version

LARGEST = 262_144
"""Bytes of a request."""
LINES = 200
"""Log lines of an invocation that are shown."""

Answer = Callable[[Request], Awaitable[Response]]


class Acts:
    """The questions and the acts of the page, the latter for those who ``may_act``; ``done`` is told of each act."""

    def __init__(self, host: Host, may_act: Callable[[Request], bool], done: Callable[[], None]) -> None:
        self._host = host
        self._spool = host.app.services.spool
        self._may_act = may_act
        self._done = done

    def routes(self, path: str) -> list[Route]:
        asked: dict[str, Answer] = {
            "letters/{number:int}": self._letter,
            "invocations/{id}": self._invocation,
        }
        acts: dict[str, tuple[str, Answer]] = {
            "letters/{number:int}/replay": ("POST", self._replay),
            "letters/{number:int}/discard": ("POST", self._discard),
            "desired": ("POST", self._set_desired),
            "twin": ("GET", self._desired),
            "cable": ("POST", self._cable),
        }
        return [
            *(Route(path + name, answer, methods=["GET"]) for name, answer in asked.items()),
            *(Route(path + name, self._guarded(act), methods=[method]) for name, (method, act) in acts.items()),
        ]

    # --- questions -----------------------------------------------------------------------------------------------

    async def _letter(self, request: Request) -> Response:
        """One dead letter, whole."""
        number = request.path_params["number"]
        found = next((each for each in await self._spool.dead_letters(1, number + 1) if each.id == number), None)
        return _json(letter_of(found, LARGEST)) if found is not None else _gone(number)

    async def _invocation(self, request: Request) -> Response:
        """The log lines of an invocation that are still there, oldest first, and what it failed with."""
        identity = request.path_params["id"]
        newest = self._host.operation.ring.newest(invocation=identity)
        lines = [orjson.loads(line.text) for line, _ in zip(newest, range(LINES), strict=False)]
        told = (
            text
            for running in self._host.running
            for known, text in self._host.app.services.metrics.function(running.function.name).failures
            if known == identity
        )
        return _json({"id": identity, "lines": lines[::-1], "error": redact(next(told, ""))})

    async def _desired(self, request: Request) -> Response:
        """The desired properties as they are, to be changed."""
        return _json({"desired": without_version(self._hub().properties.desired)})

    # --- acts ----------------------------------------------------------------------------------------------------

    async def _replay(self, request: Request) -> Response:
        number = request.path_params["number"]
        return _json({}) if await self._spool.replay(number) else _gone(number)

    async def _discard(self, request: Request) -> Response:
        number = request.path_params["number"]
        return _json({}) if await self._spool.discard(number) else _gone(number)

    async def _set_desired(self, request: Request) -> Response:
        """Makes the desired properties what the body holds; the host's verdict comes with the events."""
        document = await _document(request)
        desired = document.get("desired") if document is not None else None
        if not isinstance(desired, dict):
            return _wrong("the desired properties should be a JSON object")
        hub = self._hub()
        patch = changes(without_version(hub.properties.desired), desired)
        version = await hub.set_desired(patch) if patch else hub.properties.version
        return _json({"version": version})

    async def _cable(self, request: Request) -> Response:
        document = await _document(request)
        plugged = document.get("plugged") if document is not None else None
        if not isinstance(plugged, bool):
            return _wrong('the body should be {"plugged": true} or {"plugged": false}')
        hub = self._hub()
        hub.plug() if plugged else hub.pull()
        return _json({"plugged": hub.is_plugged})

    def _hub(self) -> LocalHub:
        hub = self._host.app.services.hub
        if not isinstance(hub, LocalHub):
            raise EdgefnError("the page changes only the hub inside the process; this host has another one")
        return hub

    def _guarded(self, act: Answer) -> Answer:
        """The act for those who may, after which the page shows what came of it; 409 where it can not be done."""

        async def guarded(request: Request) -> Response:
            if not self._may_act(request):
                return _json({"error": "the page only shows; give it the master key to act"}, 403)
            try:
                return await act(request)
            except EdgefnError as error:
                return _json({"error": redact(str(error))}, 409)
            finally:
                self._done()

        return guarded


async def _document(request: Request) -> dict[str, Any] | None:
    """The JSON object in the body; None where there is none, or too large a one."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > LARGEST:
            return None
    try:
        document = orjson.loads(raw)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _gone(number: int) -> Response:
    return _json({"error": f"there is no dead letter {number} any more"}, 404)


def _wrong(text: str) -> Response:
    return _json({"error": text}, 400)


def _json(document: Any, status: int = 200) -> Response:
    body = orjson.dumps(document, default=str)
    return Response(body, status, {"cache-control": "no-store"}, media_type="application/json")
