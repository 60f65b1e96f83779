"""The direct methods of one host: which there are, and who answers them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from edgefn.contracts import MethodReply, MethodRequest
from edgefn.metrics import Metrics
from edgefn.redaction import redact

log = logging.getLogger("edgefn.methods")

Answer = Callable[[Any], Awaitable[MethodReply]]
"""What answers a method: gets the payload, a JSON value."""

LONGEST = 300.0
"""Seconds: the longest time for which IoT Hub lets somebody wait for an answer."""
AT_ONCE = 100
"""Requests that may run at once."""
MOST = 131_072
"""Bytes of an answer that IoT Hub takes."""


def refusal(status: int, text: str) -> MethodReply:
    """An answer that says why there is none, in the form that Microsoft's samples use."""
    return MethodReply(status, {"Response": redact(text)})


class Methods:
    """Answers direct methods. Names match without regard to case, as those of edgeAgent do.

    A method of a function has its name before one that the host offers. A request that comes again while it runs gets
    the one answer; after that only the hub can tell it from a new one, since it knows its connections.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._claims: dict[str, str] = {}
        self._served: dict[str, Answer] = {}
        self._offered: dict[str, Answer] = {}
        self._running: dict[str, asyncio.Task[MethodReply]] = {}
        self._requests = metrics.counter("edgefn_direct_methods", "Direct methods by answer", ("method", "status"))

    # --- who answers ---------------------------------------------------------------------------------------------

    def claim(self, name: str, function: str) -> str:
        """Gives a name to a function; the name of the function that has it, which is another one if it came first."""
        return self._claims.setdefault(name.lower(), function)

    def release(self, function: str) -> None:
        """Takes back the names that a function was given."""
        self._claims = {name: owner for name, owner in self._claims.items() if owner != function}

    def serve(self, name: str, answer: Answer) -> None:
        """Answers a method from now on, until ``withdraw``."""
        self._served[name.lower()] = answer

    def withdraw(self, name: str, answer: Answer) -> None:
        """Ends what ``serve`` began, where nobody else has begun since."""
        if self._served.get(name.lower()) is answer:
            del self._served[name.lower()]

    def offer(self, answers: Mapping[str, Answer]) -> None:
        """Adds methods of the host."""
        self._offered.update({name.lower(): answer for name, answer in answers.items()})

    # --- answering -----------------------------------------------------------------------------------------------

    async def answer(self, request: MethodRequest) -> MethodReply:
        """The answer to a request; never raises."""
        key = _key(request)
        task = self._running.get(key)
        if task is None:
            if len(self._running) >= AT_ONCE:
                return refusal(429, f"{AT_ONCE} direct methods run already; try again later")
            task = asyncio.create_task(self._run(request), name=f"method {request.name}")
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key))
        return await asyncio.shield(task)

    async def _run(self, request: MethodRequest) -> MethodReply:
        name = request.name.lower()
        answer = self._served.get(name)
        if answer is None and name in self._claims:
            function = self._claims[name]
            return refusal(503, f"Direct method {request.name} has no answer now: function '{function}' does not run")
        answer = answer or self._offered.get(name)
        if answer is None:
            self._requests.labels("unknown", 404).inc()
            return refusal(404, f"Direct method not defined: {request.name}")
        reply = await self._within(answer, request)
        self._requests.labels(name, reply.status).inc()
        return reply

    async def _within(self, answer: Answer, request: MethodRequest) -> MethodReply:
        try:
            async with asyncio.timeout(LONGEST):
                return _bounded(await answer(request.payload))
        except TimeoutError:
            return refusal(504, f"Direct method {request.name} has not answered for {LONGEST:.0f} s")
        except Exception as error:  # a plugin's own fault, or ours: the caller gets an answer, and the hub's task lives
            log.exception("Direct method '%s' failed", request.name)
            return refusal(500, f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        """Ends what still runs."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)


def _key(request: MethodRequest) -> str:
    """What two deliveries of one request have in common, and two requests have not; of its own where it has no id."""
    return json.dumps([request.id or id(request), request.name, request.payload], default=str)


def _bounded(reply: MethodReply) -> MethodReply:
    size = len(orjson.dumps(reply.payload))
    if size <= MOST:
        return reply
    return refusal(500, f"the answer has {size} bytes, and that of a direct method {MOST} at most")
