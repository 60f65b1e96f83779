"""The workload API of IoT Edge: the roots to trust, and signatures with a key that never leaves the runtime.

The SDK asks it without any time-out, so it is asked here, and the SDK is given what it said.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import time
from typing import Any
from urllib.parse import quote, urlsplit

from edgefn.hubs.iot_edge.identity import WorkloadKey
from edgefn.mqtt.faults import Cause, Fault

PATIENCE = 5.0
"""Seconds that one call may take."""
LARGEST_ANSWER = 1_000_000


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def trust_bundle(key: WorkloadKey) -> str:
    """The certificates of the roots, as PEM; blocks, raises Fault."""
    return str(_answer(key, "GET", "/trust-bundle", "certificate"))


def sign(key: WorkloadKey, module: str, text: str) -> str:
    """The module's signature of the text, as base64; blocks, raises Fault."""
    path = f"/modules/{quote(module, safe='')}/genid/{quote(key.generation, safe='')}/sign"
    asked = {"keyId": "primary", "algo": "HMACSHA256", "data": base64.b64encode(text.encode()).decode()}
    return str(_answer(key, "POST", path, "digest", json.dumps(asked)))


def _answer(key: WorkloadKey, method: str, path: str, wanted: str, body: str | None = None) -> Any:
    where = f"IOTEDGE_WORKLOADURI {key.uri}"
    try:
        status, text = _call(key, method, path, body)
    except TimeoutError:
        said = f"{where}: {method} {path} was not answered within {PATIENCE:g} s; the IoT Edge runtime should answer"
        raise Fault(Cause.WORKLOAD, said) from None
    except (OSError, http.client.HTTPException) as error:
        right = "edgeAgent mounts the socket, and the user of the container must be allowed to open it"
        if isinstance(error, ConnectionRefusedError):
            right = "the IoT Edge runtime should run: iotedge system status on the device tells"
        raise Fault(Cause.WORKLOAD, f"{where}: can not be asked: {_short(error)}; {right}") from None
    if status != 200:
        raise Fault(
            Cause.WORKLOAD, f"{where}: {method} {path} was answered with {status}: {_message(text)}{_hint(status)}"
        )
    try:
        return json.loads(text)[wanted]
    except (ValueError, KeyError, TypeError):
        said = f"{where}: {method} {path} was answered without a {wanted!r}; it should be the workload API of IoT Edge"
        raise Fault(Cause.WORKLOAD, said) from None


def _call(key: WorkloadKey, method: str, path: str, body: str | None) -> tuple[int, bytes]:
    ends = time.monotonic() + PATIENCE
    connection = _connection(key.uri)
    try:
        connection.request(method, f"{path}?api-version={key.api_version}", body, {"Content-Type": "application/json"})
        connection.sock.settimeout(max(0.1, ends - time.monotonic()))
        answer = connection.getresponse()
        return answer.status, answer.read(LARGEST_ANSWER)
    finally:
        connection.close()


def _connection(uri: str) -> http.client.HTTPConnection:
    if uri.startswith("unix://"):
        return _UnixConnection(uri.removeprefix("unix://").rstrip("/"), PATIENCE)
    return http.client.HTTPConnection(urlsplit(uri).netloc, timeout=PATIENCE)


def _short(error: Exception) -> str:
    return getattr(error, "strerror", None) or f"{type(error).__name__} {error}".strip()


def _message(text: bytes) -> str:
    """What an answer says of its reason."""
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:200].decode(errors="replace")


def _hint(status: int) -> str:
    if status in (401, 403, 404):
        return "; IOTEDGE_MODULEID and IOTEDGE_MODULEGENERATIONID should be those of a module that edgeAgent runs"
    return "; it is asked again"
