"""Served models on the host's own web server: request -> key -> protocol -> reply."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from edgefn.protocols.tensorflow import status_document
from edgefn.web.calls import given_key, write
from edgefn.web.keys import Keys
from edgefn.web.options import MIB
from edgefn.web.replies import Header, Reply
from edgefn.web.requests import Buffered, Gone, Receive, Refused, Scope, Send, body_of, headers_of, query_of
from edgefn.web.serving import open_inference, tensorflow
from edgefn.web.serving.catalog import VERSION
from edgefn.web.serving.desk import Desk
from edgefn.web.serving.faults import Cause, Fault
from edgefn.web.serving.open_inference import JSON, json_reply

log = logging.getLogger("edgefn.web")

BUFFERED = 256 * MIB
"""Bytes of the bodies of all requests that run or wait."""
STATUS = {
    Cause.INVALID: 400,
    Cause.DENIED: 401,
    Cause.UNKNOWN: 404,
    Cause.NOT_READY: 503,
    Cause.BUSY: 503,
    Cause.FAILED: 500,
}
RETRY: Header = (b"retry-after", b"1")
NO_QUERY: Mapping[str, str] = {}
TENSORFLOW = "/v1/models"
LIVE, READY, SERVER, MODELS = "/v2/health/live", "/v2/health/ready", "/v2", "/v2/models"
GET, POST = ("GET", "HEAD"), ("POST",)


class ServingOverHttp:
    """The ASGI application of the served models. ``keys`` is None where nobody needs one."""

    def __init__(self, desk: Desk, keys: Keys | None, most_bytes: int) -> None:
        self._desk = desk
        self._keys = keys
        self._most_bytes = most_bytes
        self._buffered = Buffered(BUFFERED)

    def has(self, path: str) -> bool:
        """Whether a path belongs to the served models."""
        return path == SERVER or path.startswith((f"{SERVER}/", f"{TENSORFLOW}/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope["headers"])
        held = 0
        try:
            self._check_key(scope, headers)
            body = b""
            if scope["method"] == "POST":
                if headers.get("content-encoding", "identity") != "identity":
                    raise Refused(415, "Bodies that are compressed are not taken.")
                body = await body_of(headers, receive, self._most_bytes, self._buffered)
                held = len(body)
            reply = await self._answer(scope["path"], scope["method"], headers, body)
        except Fault as fault:
            reply = refusal(fault)
        except Refused as refused:
            reply = in_json(refused.reply)
        except Gone:
            return
        finally:
            self._buffered.held -= held
        await write(reply, scope, send)

    def _check_key(self, scope: Scope, headers: Mapping[str, str]) -> None:
        if self._keys is None or scope["path"] in (LIVE, READY):
            return
        given = given_to(headers, query_of(scope["query_string"]))
        if not self._keys.allow("function", "", given):
            raise Fault(Cause.DENIED, "a key of the host is needed, in the header x-functions-key")

    async def _answer(self, path: str, method: str, headers: Mapping[str, str], body: bytes) -> Reply:
        catalog = self._desk.catalog
        if path in (LIVE, READY, SERVER, MODELS):
            if method not in GET:
                return not_allowed(GET)
            if path == LIVE:
                return json_reply(200, {"live": True})
            if path == READY:
                return readiness(catalog.is_ready())
            return json_reply(
                200, open_inference.server_described() if path == SERVER else {"models": [*catalog.served()]}
            )
        if path.startswith(TENSORFLOW):
            return await self._tensorflow(path, method, body)
        match = open_inference.PATH.fullmatch(path)
        if match is None:
            raise Fault(Cause.UNKNOWN, f"there is nothing at {path}; models are at {MODELS}/NAME")
        name, version, act = match["model"], match["version"] or "", match["act"]
        methods = POST if act == "/infer" else GET
        if method not in methods:
            return not_allowed(methods)
        if act == "/infer":
            return await open_inference.infer(self._desk, name, version, headers, body)
        if act == "/ready":
            return readiness(self._desk.is_ready(name, version))
        return json_reply(200, open_inference.model_described(catalog.model(name, version)))

    async def _tensorflow(self, path: str, method: str, body: bytes) -> Reply:
        match = tensorflow.PATH.fullmatch(path)
        if match is None:
            raise Fault(Cause.UNKNOWN, f"there is nothing at {path}; models are at {TENSORFLOW}/NAME")
        name, version, act = match["model"], match["version"] or "", match["act"]
        methods = POST if act == ":predict" else GET
        if method not in methods:
            return not_allowed(methods)
        if act == ":predict":
            return await tensorflow.predict(self._desk, name, version, body)
        if act == "/metadata":
            return json_reply(200, tensorflow.metadata(self._desk.catalog.model(name, version)))
        return json_reply(200, status_document(VERSION, tensorflow.state(self._desk, name, version)))


def given_to(headers: Mapping[str, str], query: Mapping[str, str] = NO_QUERY) -> str:
    """The key of a request: as Azure Functions take it, or as a bearer token."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return given_key(headers, query) or (token.strip() if scheme.lower() == "bearer" else "")


def in_json(reply: Reply) -> Reply:
    """A refusal of the web server's own in the protocols' form."""
    made = json_reply(reply.status, {"error": reply.body.decode()})
    headers = [header for header in reply.headers if header[0] != b"content-type"]
    return Reply(made.status, [*made.headers, *headers], made.body)


def readiness(is_ready: bool) -> Reply:
    reply = json_reply(200 if is_ready else 503, {"ready": is_ready})
    return reply if is_ready else Reply(reply.status, [JSON, RETRY], reply.body)


def refusal(fault: Fault) -> Reply:
    reply = json_reply(STATUS[fault.cause], {"error": str(fault)})
    return Reply(reply.status, [JSON, RETRY] if fault.cause.passes else [JSON], reply.body)


def not_allowed(methods: tuple[str, ...]) -> Reply:
    listed = ", ".join(methods)
    reply = json_reply(405, {"error": f"the method is not allowed; right would be {listed}"})
    return Reply(reply.status, [JSON, (b"allow", listed.encode())], reply.body)
