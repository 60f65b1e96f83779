"""The ASGI application of the functions: request -> route -> key -> body -> invocation -> response.

It is written close to ASGI, since each request of each function passes through it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from azure.functions.http import HttpRequest
from prometheus_client import Counter

from edgefn.metrics import Metrics
from edgefn.web.http import NOT_RUNNING, RETRY, HttpListener, HttpTriggerKind
from edgefn.web.keys import Keys
from edgefn.web.replies import WITHOUT_BODY, Reply, plain
from edgefn.web.requests import Buffered, Gone, Receive, Refused, Scope, Send, body_of, headers_of, query_of, url_of
from edgefn.web.routes import Route, decoded

KEY_HEADER = "x-functions-key"
KEY_QUERY = "code"


class Calls:
    """Answers the requests of all HTTP functions of one host."""

    def __init__(self, kind: HttpTriggerKind, keys: Keys | None, is_up: Callable[[], bool], metrics: Metrics) -> None:
        self._routes = kind.routes
        self._options = kind.http
        self._keys = keys
        self._is_up = is_up
        self.outstanding = 0
        """Requests that run or wait."""
        self._limit = kind.http.max_outstanding_requests
        self.buffered = Buffered(kind.http.max_buffered_body_size)
        self._metric: Counter = metrics.counter("edgefn_http_requests", "Requests by status", ("function", "status"))
        self._counters: dict[tuple[str, int], Counter] = {}

    def declares(self, path: str) -> bool:
        """Whether a function has this very path as its route."""
        return self._routes.declares(path)

    def answers(self, path: str, method: str) -> bool:
        """Whether a function would get such a request."""
        return self._routes.match(path, method) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = ""
        try:
            route, values = self._found(scope)
            name = route.function
            reply = await self._answer(scope, receive, route, values)
        except Refused as refused:
            reply = refused.reply
        except Gone:
            return
        self._count(name, reply.status)
        await write(reply, scope, send)

    def _found(self, scope: Scope) -> tuple[Route[HttpListener], Mapping[str, str]]:
        if not self._is_up():
            raise Refused(503, NOT_RUNNING, RETRY)
        try:
            path = decoded(scope["raw_path"])
        except ValueError:
            raise Refused(400, "The path is not valid UTF-8.") from None
        found = self._routes.match(path, scope["method"])
        if found is None or found[0].target is None:
            raise Refused(404)
        return found

    async def _answer(
        self, scope: Scope, receive: Receive, route: Route[HttpListener], values: Mapping[str, str]
    ) -> Reply:
        listener = route.target
        assert listener is not None
        headers = headers_of(scope["headers"])
        query = query_of(scope["query_string"])
        if self._keys is not None and not self._keys.allow(route.level, route.function, given_key(headers, query)):
            return Reply(401)
        if self.outstanding >= self._limit >= 0:
            return plain(429, "Too many requests at once.", RETRY)
        url = url_of(scope, headers)
        self.outstanding += 1
        held = 0

        async def request() -> HttpRequest:
            nonlocal held
            body = await body_of(headers, receive, self._options.max_request_body_size, self.buffered)
            held = len(body)
            return HttpRequest(
                scope["method"],
                url,
                headers=headers,
                params=query,
                route_params=values,
                body_type="bytes",
                body=body,
            )

        try:
            return await listener.answer(request)
        finally:
            self.outstanding -= 1
            self.buffered.held -= held

    def _count(self, function: str, status: int) -> None:
        counter = self._counters.get((function, status))
        if counter is None:
            counter = self._counters[function, status] = self._metric.labels(function, str(status))
        counter.inc()


def given_key(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """The key of a request: that of its header, else that of its query."""
    return headers.get(KEY_HEADER) or query.get(KEY_QUERY, "")


async def write(reply: Reply, scope: Scope, send: Send) -> None:
    """Sends a response; one to HEAD, and one whose status has none, without its body."""
    body, headers = reply.body, reply.headers
    if reply.status in WITHOUT_BODY:
        headers, body = [pair for pair in headers if pair[0] != b"content-type"], b""
    if reply.status not in (204, 304):
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
