"""``httpTrigger`` and ``http``: a request runs a function, and what that gives is the response."""

from __future__ import annotations

import asyncio
import inspect
import logging
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

import azure.functions as func
from azure.functions import _abc as contract
from pydantic import Field, field_validator

from edgefn.contracts import (
    NOTHING,
    Copies,
    Emit,
    Event,
    Feed,
    Needs,
    Origin,
    OutputKind,
    Services,
    Status,
    TriggerKind,
)
from edgefn.errors import BindingError, EdgefnError, StillRunning, UnfitEvent, listing
from edgefn.function import Binding, Options
from edgefn.hookspecs import hookimpl
from edgefn.values import first_of_union
from edgefn.web.options import MODULE_PORT, HttpOptions, http_options
from edgefn.web.replies import Reply, plain, reply_of
from edgefn.web.routes import Route, Routes, route_of
from edgefn.web.templates import TemplateError

log = logging.getLogger("edgefn.web")

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "QUERY")
RESERVED = ("admin", "runtime")
REASON = "This function was programmatically called via the host APIs."
NOT_RUNNING = "Function host is not running."
NO_TEXT = "The body is not valid UTF-8; the function takes text."
RETRY = (b"retry-after", b"1")
LAST_WISH = 1.0
"""Seconds that invocations get to end after they were cancelled."""


class HttpTrigger(Options):
    """The options of ``httpTrigger``."""

    auth_level: Literal["anonymous", "function", "admin"] = "function"
    methods: list[str] = Field(default_factory=list)
    route: str = ""
    web_hook_type: str = ""

    @field_validator("auth_level", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("methods")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        methods = [method.upper() for method in value]
        if unknown := [method for method in methods if method not in METHODS]:
            raise ValueError(f"there is no method {listing(unknown)}; methods: {listing(METHODS)}")
        return methods


class HttpOutputOptions(Options):
    """``http`` has no options."""


class Slot:
    """Where the output ``http`` of an invocation puts the response to its request."""

    __slots__ = ("reply",)

    def __init__(self) -> None:
        self.reply: Reply | None = None


class HttpListener:
    """Answers the requests of one function while it listens."""

    feed = Feed.ENDLESS

    def __init__(self, route: Route[HttpListener], limit: int) -> None:
        self._route = route
        self._emit: Emit | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_cut = False
        self._turns = asyncio.Semaphore(limit) if limit > 0 else None
        self._requests = 0

    @property
    def is_open(self) -> bool:
        return self._emit is not None

    async def listen(self, emit: Emit) -> None:
        self._emit, self._is_cut = emit, False
        self._route.target = self
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._emit = None
            await self._end()

    async def _end(self) -> None:
        """Waits for the requests that were taken; cancels them when it is cancelled itself."""
        try:
            await self._idle.wait()
        except asyncio.CancelledError:
            self._is_cut = True
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=LAST_WISH)
            raise

    async def answer(self, make: Callable[[], Any]) -> Reply:
        """Runs the function for the request that ``make``, called at once or later, gives; never raises for its faults.

        ``make`` may be a coroutine function: reading the body belongs to the request.
        """
        task = asyncio.current_task()
        assert task is not None
        emit = self._emit
        if emit is None:
            return plain(503, NOT_RUNNING, RETRY)
        self._requests += 1
        self._tasks.add(task)
        self._idle.clear()
        try:
            request = await make()
            if self._turns is None:
                return await self._run(emit, request)
            async with self._turns:
                return await self._run(emit, request)
        except asyncio.CancelledError:
            if not self._is_cut:
                raise
            task.uncancel()
            return plain(503, NOT_RUNNING, RETRY)
        finally:
            self._tasks.discard(task)
            if not self._tasks:
                self._idle.set()

    async def _run(self, emit: Emit, request: Any) -> Reply:
        slot = Slot()
        outcome = await emit(Event(request, REASON, {"reply": slot}))
        if outcome.status is Status.OK:
            return slot.reply or Reply(204)
        if isinstance(outcome.error, StillRunning):
            return plain(503, "", RETRY)
        if isinstance(outcome.error, UnfitEvent):
            return plain(400, NO_TEXT)
        return Reply(500)

    def status(self) -> Mapping[str, Any]:
        route = self._route
        return {
            "route": f"/{route.template.text.strip('/')}",
            "methods": list(route.methods),
            "requests": self._requests,
            "answering": len(self._tasks),
        }


class HttpTriggerKind:
    """The binding type ``httpTrigger``; ``routes`` is what the web server looks requests up in."""

    type = "httpTrigger"
    options = HttpTrigger
    level = logging.INFO
    is_call = True
    """Somebody waits for each outcome: a slow invocation holds up no other, and none is tried again."""
    fixed = ("route", "methods", "authLevel", "webHookType")

    def __init__(self, options: HttpOptions) -> None:
        self.http = options
        self.routes: Routes[HttpListener] = Routes()

    def check(self, binding: Binding) -> None:
        assert isinstance(binding.options, HttpTrigger)
        self.convert(binding)
        if binding.options.web_hook_type:
            log.warning("%s: webHookType does nothing since version 2 of Azure Functions", binding.where())
        path = binding.options.route or binding.function
        if path.strip("/").lower().startswith(RESERVED):
            raise BindingError(
                f"{binding.where()}: The specified route conflicts with one or more built in routes.; "
                f"'{path}' should not begin with {' or '.join(RESERVED)}"
            )
        methods = tuple(binding.options.methods)
        try:
            route: Route[HttpListener] = route_of(
                binding.function, self.http.route_prefix, path, methods, binding.options.auth_level
            )
        except TemplateError as error:
            raise BindingError(f"{binding.where()}: route '{path}' can not be read: {error}") from None
        for other in self.routes:
            if other.function != binding.function and route.collides_with(other):
                raise BindingError(
                    f"{binding.where()}: The route specified conflicts with the route defined by function "
                    f"'{other.function}'.; give one of them another route, or other methods"
                )
        self.routes.add(route)

    def release(self, function: str) -> None:
        self.routes.remove(function)

    def convert(self, binding: Binding) -> Callable[[Any], Any] | None:
        """``func.HttpRequest``, also without an annotation; ``str`` and ``bytes`` are its body."""
        annotation = first_of_union(binding.annotation)
        if annotation in (None, Any) or (inspect.isclass(annotation) and issubclass(annotation, contract.HttpRequest)):
            return None
        if annotation is bytes:
            return lambda request: request.get_body()
        if annotation is str:
            return lambda request: request.get_body().decode()
        name = getattr(annotation, "__name__", annotation)
        raise BindingError(
            f"{binding.place}: cannot load the {binding.function} function: type of {binding.name} binding "
            f'"httpTrigger" does not match its Python annotation "{name}"; func.HttpRequest would do, '
            "or str or bytes for the body"
        )

    def listener(self, binding: Binding) -> HttpListener:
        route = self.routes.get(binding.function)
        assert route is not None
        listener = HttpListener(route, self.http.max_concurrent_requests)
        if route.target is None or not route.target.is_open:
            route.target = listener  # which asks to come back, until it listens
        return listener

    def manual(self, binding: Binding, text: str) -> Event:
        """A request as the admin endpoint makes it: a POST to the function's route with the text as its body."""
        route = self.routes.get(binding.function)
        assert route is not None
        method = "POST" if route.takes("POST") else route.methods[0]
        request = func.HttpRequest(
            method=method, url=f"http://localhost/{route.template.text}", headers={}, body=text.encode()
        )
        return Event(request, metadata={"reply": Slot()})

    def origin(self, binding: Binding) -> Callable[[Event], Origin]:
        """The request; of its address the path alone, since a query may hold a key."""
        route = self.routes.get(binding.function)
        assert route is not None
        name = f"/{route.template.text.strip('/')}"

        def origin(event: Event) -> Origin:
            request: func.HttpRequest = event.value
            address = urlsplit(request.url)
            about: dict[str, str | int] = {"http.request.method": request.method, "http.route": name}
            return Origin(
                "http",
                [request.headers],
                {**about, "url.scheme": address.scheme, "url.path": address.path},
                lambda: _answered(event),
            )

        return origin

    def needs(self, binding: Binding) -> Needs:
        """The port of the web server."""
        return Needs(ports=(MODULE_PORT,))

    def copies(self, binding: Binding) -> Copies:
        """Any host may answer a request, where no key is asked for: each makes its own keys."""
        assert isinstance(binding.options, HttpTrigger)
        level = binding.options.auth_level
        if level == "anonymous":
            return Copies()
        return Copies(f"authLevel {level} asks for a key, and each host makes its own; anonymous asks for none")

    async def close(self) -> None:
        """Shares nothing that is open."""


def _answered(event: Event) -> Mapping[str, str | int]:
    """What a trace says of the response, where the function has given one."""
    slot = event.metadata.get("reply")
    reply = slot.reply if isinstance(slot, Slot) else None
    return NOTHING if reply is None else {"http.response.status_code": reply.status}


# --- the response ------------------------------------------------------------------------------------------------


class HttpOutput:
    """Puts the response where its request waits."""

    required = True
    """Whether a function that returns None for it has failed."""

    def encode(self, value: Any) -> Reply:
        return reply_of(value)

    async def send(self, encoded: Reply, event: Event) -> None:
        slot = event.metadata.get("reply")
        if not isinstance(slot, Slot):
            raise EdgefnError("there is no request to answer: an http output goes with an httpTrigger")
        slot.reply = encoded

    def status(self) -> Mapping[str, Any]:
        return {}

    async def close(self) -> None:
        """Holds nothing."""


class HttpOutputKind:
    """The binding type ``http``."""

    type = "http"
    options = HttpOutputOptions

    def check(self, binding: Binding) -> None:
        """``str`` and ``func.HttpResponse``; a ``dict`` loads, and fails when it is returned, as in Azure's library."""
        annotation = binding.annotation
        members = typing.get_args(annotation) if first_of_union(annotation) is not annotation else (annotation,)
        if any(_may_answer(member) for member in members):
            return
        name = getattr(annotation, "__name__", annotation)
        origin = "return annotation" if binding.name == "$return" else "annotation"
        raise BindingError(
            f'{binding.place}: cannot load the {binding.function} function: Python {origin} "{name}" does not match '
            'binding type "http"; str or func.HttpResponse would do'
        )

    async def open(self, binding: Binding) -> HttpOutput:
        return HttpOutput()

    async def close(self) -> None:
        """Shares nothing."""


def _may_answer(annotation: Any) -> bool:
    if annotation in (None, Any, str, dict) or typing.get_origin(annotation) is dict:
        return True
    return inspect.isclass(annotation) and issubclass(annotation, contract.HttpResponse)


@hookimpl
def edgefn_triggers(services: Services) -> Sequence[TriggerKind]:
    return [HttpTriggerKind(http_options(services.root, services.config))]


@hookimpl
def edgefn_outputs(services: Services) -> Sequence[OutputKind]:
    return [HttpOutputKind()]
