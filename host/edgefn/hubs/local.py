"""``local``: a hub inside this process, for a laptop without edgeHub.

Routes of host.json carry outputs to inputs of the same app, so that functions make a pipeline; what goes to
``$upstream`` is a line of ``upstream.jsonl`` in the state folder, and of the log ``edgefn.upstream``.

    {"extensions": {"edgeHub": {
        "moduleId": "edgefn",
        "routes": {"toEvents": "FROM /messages/modules/edgefn/outputs/detections
                                INTO BrokeredEndpoint(\\"/modules/edgefn/inputs/detections\\")"},
        "upstreamMaxBytes": 10000000}}}

Without routes everything goes to ``$upstream``. The twin is in ``twin.json`` of the state folder; ``set_desired`` and
``invoke`` are what IoT Hub's service side has, ``pull`` and ``plug`` what becomes of the cable.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import errno
import logging
import os
import threading
from collections import Counter, deque
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from edgefn.contracts import EdgeMessage, Hub, HubSink, HubState, MethodReply, MethodRequest, Twin
from edgefn.errors import HubError, NotConnected, SettingError, TooLarge, listing
from edgefn.hookspecs import hookimpl
from edgefn.hubs.local_twin import LocalTwin
from edgefn.hubs.options import EdgeHubOptions, edge_hub_options
from edgefn.ids import new_id
from edgefn.metrics import Metrics
from edgefn.routes import ModuleInput, RouteError, Routes, parse_routes
from edgefn.settings import HostConfig, Settings

log = logging.getLogger("edgefn.hub")
upstream_log = logging.getLogger("edgefn.upstream")

NEWEST = 50
"""Messages to ``$upstream`` that are also kept in memory, to be shown."""
MAX_MESSAGE = 262_144
"""Bytes of a message, properties included, that edgeHub takes (IoT Edge's documented limit of 256 KiB)."""


@dataclasses.dataclass(slots=True)
class Routed:
    """A message as routes see it."""

    source: str
    message: EdgeMessage
    device: str
    module: str

    @property
    def properties(self) -> Mapping[str, str]:
        return self.message.properties

    @property
    def body(self) -> bytes:
        return self.message.body

    @property
    def system_properties(self) -> Mapping[str, str]:
        message = self.message
        return {
            "contentType": message.content_type,
            "contentEncoding": message.content_encoding,
            "messageId": message.message_id,
            "correlationId": message.correlation_id,
            "connectionDeviceId": self.device,
            "connectionModuleId": self.module,
        }


class UpstreamFile:
    """The newest messages to ``$upstream``, one JSON object a line; the older half moves to ``upstream.1.jsonl``."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._limit = max_bytes // 2
        self._size = 0
        self._file: Any = None
        self._lock = threading.Lock()

    def open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a+b", buffering=0)
        self._size = self._file.seek(0, os.SEEK_END)
        if self._size and os.pread(self._file.fileno(), 1, self._size - 1) != b"\n":
            self._size += self._file.write(b"\n")  # a power cut has torn the last line: the next one begins anew

    def write(self, line: bytes) -> None:
        with self._lock:
            if self._file is None:
                raise HubError("the local hub does not run; publish after it was started")
            if self._size + len(line) > self._limit and self._size:
                self._file.close()
                with contextlib.suppress(FileNotFoundError):  # somebody has removed it
                    self._path.replace(self._path.with_suffix(".1.jsonl"))
                self.open()
            if self._file.write(line) < len(line):  # the disk had room for a part of it
                self._file.truncate(self._size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._size += len(line)

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


class LocalHub:
    """See the module's text."""

    name = "local"
    window = 1

    def __init__(self, options: EdgeHubOptions, routes: Routes, state: Path, metrics: Metrics) -> None:
        self.module = options.module_id
        self._device = options.device_id
        self.routes = routes
        self._upstream = UpstreamFile(state / "upstream.jsonl", options.upstream_max_bytes)
        self.state = HubState.OFFLINE
        self._since = datetime.now(UTC)
        self._generation = 0
        self._lost = ""
        self._is_plugged = True
        self.newest: deque[EdgeMessage] = deque(maxlen=NEWEST)
        """The last messages to ``$upstream``."""
        self._twin = LocalTwin(state / "twin.json")
        self._sink: HubSink | None = None
        self._counts: Counter[str] = Counter()
        self._unrouted: set[str] = set()
        self._counters: dict[tuple[str, str], Any] = {}
        self._messages = metrics.counter("edgefn_hub_messages", "Messages by where routes sent them", ("output", "to"))

    async def start(self, sink: HubSink) -> None:
        try:
            self._upstream.open()
        except OSError as error:
            raise HubError(f"the state folder can not be written: {error}; choose another with --state") from None
        self._sink = sink
        self._turn(HubState.ONLINE if self._is_plugged else HubState.OFFLINE)

    async def stop(self) -> None:
        self._turn(HubState.OFFLINE, "the host has stopped")
        self._sink = None
        self._upstream.close()

    def _turn(self, state: HubState, why: str = "") -> None:
        if state is not self.state:
            self.state, self._since, self._lost = state, datetime.now(UTC), why or self._lost
            self._generation += state is HubState.ONLINE
            if self._sink is not None:
                self._sink.on_state(state)

    async def twin(self) -> Twin:
        self._check_cable()
        return self._twin.get()

    async def report(self, patch: Mapping[str, Any]) -> None:
        self._check_cable()
        self._twin.change(reported=patch)

    def _check_cable(self) -> None:
        if not self._is_plugged:
            raise NotConnected("the local hub is away: its cable is pulled; plug it in again")

    # --- the other side ------------------------------------------------------------------------------------------

    def pull(self) -> None:
        """Pulls the cable: nothing leaves or comes any more, until ``plug``."""
        self._is_plugged = False
        self._turn(HubState.OFFLINE, "the cable was pulled")

    def plug(self) -> None:
        """Plugs the cable in again."""
        self._is_plugged = True
        if self._sink is not None:
            self._turn(HubState.ONLINE)

    async def set_desired(self, patch: Mapping[str, Any]) -> int:
        """Changes the desired properties, None removes one; the new ``$version``. The host is told when it is there.

        Raises HubError when IoT Hub would not take them.
        """
        version = self._twin.change(desired=patch).version
        if self._sink is not None and self._is_plugged:
            await self._sink.on_desired({**patch, "$version": version})
        return version

    @property
    def is_plugged(self) -> bool:
        """Whether the cable is in."""
        return self._is_plugged

    @property
    def properties(self) -> Twin:
        """The twin as the cloud sees it, also while the cable is pulled."""
        return self._twin.get()

    async def invoke(self, name: str, payload: Any = None, timeout: float = 30.0) -> MethodReply:  # noqa: ASYNC109
        """Calls a direct method; 504 when there is no answer within ``timeout`` seconds.

        Raises NotConnected while the host does not run, or the cable is pulled.
        """
        self._check_cable()
        if self._sink is None:
            raise NotConnected("nobody answers direct methods: the host does not run; start it")
        request = MethodRequest(new_id(), name, payload)
        try:
            async with asyncio.timeout(timeout):
                return await self._sink.on_method(request)
        except TimeoutError:
            return MethodReply(504, {"Response": f"Direct method {name} has not answered for {timeout:g} s"})

    # --- messages ------------------------------------------------------------------------------------------------

    def check(self, message: EdgeMessage) -> None:
        if message.size > MAX_MESSAGE:
            raise TooLarge(
                f"a message for output '{message.output_name}' has {message.size} bytes with its properties, edgeHub "
                f"takes {MAX_MESSAGE}; send less of it, or in parts (a list is sent as one message for each element)"
            )

    async def publish(self, message: EdgeMessage) -> None:
        """Carries the message along its routes; one that no route takes is dropped and counted, as edgeHub does."""
        self._check_cable()
        output = message.output_name
        source = f"/messages/modules/{self.module}/outputs/{output}" if output else f"/messages/modules/{self.module}"
        deliveries = self.routes.sinks_for(Routed(source, message, self._device, self.module))
        if not deliveries:
            self._count(output, "nowhere")
            self._say_unrouted(output, source)
        for delivery in deliveries:
            if isinstance(delivery.sink, ModuleInput):
                await self._to_input(message, delivery.sink)
            else:
                self._to_upstream(message)

    def _say_unrouted(self, output: str, source: str) -> None:
        """Once for an output that no route takes at all; a condition that holds a message back is meant."""
        if output not in self._unrouted and not any(route.takes(source) for route in self.routes):
            self._unrouted.add(output)
            named = listing(f"{route.name} from {route.source}" for route in self.routes)
            log.warning("Messages of output '%s' are dropped: no route takes them; routes: %s", output, named)

    async def _to_input(self, message: EdgeMessage, sink: ModuleInput) -> None:
        if sink.module.lower() != self.module.lower() or self._sink is None:
            self._count(message.output_name, f"{sink.module} (not here)")
            return
        self._count(message.output_name, sink.input)
        await self._sink.on_input(
            dataclasses.replace(
                message,
                input_name=sink.input,
                output_name="",
                connection_device_id=self._device,
                connection_module_id=self.module,
            )
        )

    def _to_upstream(self, message: EdgeMessage) -> None:
        self._count(message.output_name, "$upstream")
        line = orjson.dumps(as_line(message), option=orjson.OPT_APPEND_NEWLINE)
        try:
            self._upstream.write(line)
        except OSError as error:
            raise HubError(f"upstream.jsonl can not be written: {error}; make room, or name another --state") from None
        self.newest.append(message)
        if upstream_log.isEnabledFor(logging.INFO):
            body = _body(message)
            shown = message.text if "body" in body else body["bodyBase64"]
            upstream_log.info("%s -> $upstream %s", message.output_name or "messages", shown)

    def _count(self, output: str, to: str) -> None:
        self._counts[to] += 1
        counter = self._counters.get((output, to))
        if counter is None:
            counter = self._counters[output, to] = self._messages.labels(output, to)
        counter.inc()

    def status(self) -> Mapping[str, Any]:
        return {
            "name": self.name,
            "state": self.state,
            "since": self._since.isoformat(timespec="milliseconds"),
            "generation": self._generation,
            "lost": self._lost,
            "module": self.module,
            "messages": dict(self._counts),
        }


def as_line(message: EdgeMessage) -> dict[str, Any]:
    """A message as ``upstream.jsonl`` has it; a body that is no JSON as text, or as base64 when it is no text."""
    return {
        "id": message.message_id,
        "output": message.output_name,
        "created": message.created,
        "contentType": message.content_type,
        "contentEncoding": message.content_encoding,
        "properties": dict(message.properties),
        **_body(message),
    }


def _body(message: EdgeMessage) -> dict[str, Any]:
    body = message.body
    if message.is_json:
        return {"body": orjson.Fragment(body)}
    try:
        return {"body": orjson.Fragment(body)} if orjson.loads(body) is not None else {"body": None}
    except orjson.JSONDecodeError:
        pass
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"bodyBase64": base64.b64encode(body).decode()}


@hookimpl
def edgefn_hub(root: Path, state: Path, config: HostConfig, settings: Settings, metrics: Metrics) -> Hub | None:
    options = edge_hub_options(root, config)
    try:
        routes = parse_routes(options.routes)
    except RouteError as error:
        where = config.at(root, "extensions", "edgeHub", "routes")
        raise SettingError(f"{where}: extensions.edgeHub.routes: {error}") from None
    return LocalHub(options, routes, state, metrics)
