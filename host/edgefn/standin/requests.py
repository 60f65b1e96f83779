"""What modules ask of the hub by MQTT: to carry messages, to tell and change twins, to take answers to methods."""

from __future__ import annotations

import logging
from typing import Any

import orjson

from edgefn.errors import HubError
from edgefn.standin import topics
from edgefn.standin.clients import Client
from edgefn.standin.faults import Faults
from edgefn.standin.messages import Message
from edgefn.standin.methods import Methods
from edgefn.standin.router import Router
from edgefn.standin.store import Store

log = logging.getLogger("edgefn.standin")

TWIN_CHANGES = "/twinChangeNotifications"


class Requests:
    """Shared by all connections: what it is given is on its way to the store when it returns."""

    def __init__(self, router: Router, methods: Methods, store: Store, faults: Faults) -> None:
        self._router = router
        self._methods = methods
        self._store = store
        self._faults = faults

    def message(self, client: Client, properties: bytes, body: bytes) -> None:
        """A message; ``properties`` is the end of its topic. edgeHub acknowledges and drops what it can not read."""
        identity = client.identity
        try:
            given, system = topics.split_properties(properties.decode().removesuffix("/"))
        except ValueError as error:
            self._router.drop("unreadable", _source(client, ""), f"its topic can not be read: {error}")
            return
        source = _source(client, system.get("outputName", ""))
        system["connectionDeviceId"] = identity.device
        if identity.module:
            system["connectionModuleId"] = identity.module
        self._router.take(Message(source, identity.device, identity.module, given, system, body))

    def request(self, client: Client, topic: bytes, body: bytes) -> None:
        """Everything that is no message."""
        text = topic.decode(errors="replace")
        if asked := topics.twin_request(text):
            method, request = asked
            log.debug("%s: %s of its twin", client.identity.client_id, method)
            answer = self._get_twin if method == "GET" else self._patch_reported
            answer(client, request, body)
        elif answered := topics.method_answer(text):
            self._methods.answered(client, *answered, body)
        else:
            self._router.drop("unreadable", _source(client, ""), f"edgeHub knows no topic {text[:200]!r}")

    def _get_twin(self, client: Client, request: str, _body: bytes) -> None:
        self._answer(client, topics.twin_answer(200, request), orjson.dumps(client.twin.document()))

    def _patch_reported(self, client: Client, request: str, body: bytes) -> None:
        try:
            patch = _object(body)
            client.twin.patch_reported(patch)
        except HubError as error:
            log.warning("%s: %s", client.identity.client_id, error)
            self._answer(client, topics.twin_answer(400, request), orjson.dumps({"message": str(error)}))
            return
        client.save_twin()
        self._tell_change(client, body)
        version = client.twin.reported_version
        self._store.on_commit(lambda _: self._answer(client, topics.twin_answer(204, request, version), b""))

    def _tell_change(self, client: Client, body: bytes) -> None:
        identity = client.identity
        system = {
            "contentType": "application/json",
            "contentEncoding": "utf-8",
            "connectionDeviceId": identity.device,
            **({"connectionModuleId": identity.module} if identity.module else {}),
        }
        self._router.notify(Message(TWIN_CHANGES, identity.device, identity.module, {}, system, body))

    def _answer(self, client: Client, topic: str, body: bytes) -> None:
        if self._faults and self._faults.strike("lose-twin-answers", client.identity.name):
            return
        client.tell(topics.TWIN_ANSWERS, topic, body)


def _source(client: Client, output: str) -> str:
    """Where a message comes from, as routes name it."""
    module = client.identity.module
    if not module:
        return "/messages"
    return f"/messages/modules/{module}/outputs/{output}" if output else f"/messages/modules/{module}"


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise HubError(f"reported properties: no JSON: {error}") from None
    if not isinstance(value, dict):
        raise HubError(f"reported properties: a {type(value).__name__}; an object would be right")
    return value
