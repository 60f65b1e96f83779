"""Direct methods: a request to a module, and its answer."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import orjson

from edgefn.ids import new_id
from edgefn.standin import topics
from edgefn.standin.clients import Client
from edgefn.standin.faults import Faults

log = logging.getLogger("edgefn.standin")

NOT_THERE, NO_ANSWER = 404, 504


@dataclass(frozen=True, slots=True)
class Answer:
    """What a method gave: the module's own status and payload, or 404 or 504 with a reason."""

    status: int
    payload: Any


class Methods:
    """Requests that wait for their answer, by client and request id."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._waiting: dict[tuple[str, str], asyncio.Future[Answer]] = {}

    async def invoke(
        self, client: Client, name: str, payload: Any, *, connect_timeout: float, response_timeout: float
    ) -> Answer:
        """Waits for the module first, then for its answer; 404 or 504 where one of both does not come in time."""
        if not await client.listening(topics.METHODS, connect_timeout):
            return Answer(NOT_THERE, {"message": f"{client.identity.name} is not there, or takes no methods"})
        request = new_id()
        key = client.identity.client_id, request
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[key] = answer
        try:
            self._ask(client, name, request, orjson.dumps(payload))
            return await asyncio.wait_for(answer, response_timeout)
        except TimeoutError:
            return Answer(NO_ANSWER, {"message": f"{client.identity.name} did not answer in {response_timeout:g} s"})
        finally:
            del self._waiting[key]

    def answered(self, client: Client, status: int, request: str, body: bytes) -> None:
        answer = self._waiting.get((client.identity.client_id, request))
        if answer is None or answer.done():
            log.info("%s: an answer to a method that nobody waits for", client.identity.client_id)
            return
        answer.set_result(Answer(status, _payload(body)))

    def _ask(self, client: Client, name: str, request: str, body: bytes) -> None:
        topic = topics.method_request(name, request)
        client.tell(topics.METHODS, topic, body)
        if self._faults and self._faults.strike("double-methods", client.identity.name):
            client.tell(topics.METHODS, topic, body)


def _payload(body: bytes) -> Any:
    try:
        return orjson.loads(body or b"null")
    except orjson.JSONDecodeError:
        return body.decode(errors="replace")
