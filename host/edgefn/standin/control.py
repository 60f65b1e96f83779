"""A running hub, from another process: plain blocking calls, with nothing but Python's own library.

hub = Control(".edgefn/hub")
hub.send("cam", "commands", '{"zoom": 2}')
hub.fault("lose-pubacks", share=0.01)
for message in hub.upstream(): print(message.output, message.json())
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from edgefn.errors import HubError
from edgefn.standin.folder import Folder

PAGE = 1000
PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class UpstreamMessage:
    """A message that went to IoT Hub; ``number`` counts arrivals from 1 on."""

    number: int
    time: float
    device: str
    module: str
    output: str
    id: str
    content_type: str
    body: bytes
    properties: Mapping[str, str] = field(default_factory=dict)
    system: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message for an input, where a body alone does not say enough."""

    body: str | bytes
    properties: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    content_type: str = ""
    sender: str = "hub"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a direct method gave; 404 and 504 are the hub's."""

    status: int
    payload: Any


class Control:
    """Raises HubError where no hub runs in the folder, and for what the hub refuses."""

    def __init__(self, folder: Path | str) -> None:
        self._folder = Folder(Path(folder))

    def environment(self, name: str, form: str = "module") -> dict[str, str]:
        """The variables of a module, made if it is not there; ``form`` is module, debug or device."""
        variables: dict[str, str] = self._ask("POST", f"/environment/{_quoted(name)}", {"form": form})
        return variables

    def send(self, module: str, name: str, *messages: str | bytes | Outgoing) -> None:
        """Puts messages into the queue for an input, in this order; returns when they are stored."""
        path = f"/inputs/{_quoted(module)}/{_quoted(name)}"
        for first in range(0, len(messages), PAGE):
            self._ask("POST", path, body=[_outgoing(message) for message in messages[first : first + PAGE]])

    def upstream(self, after: int = 0, *, wait: float = 0.0) -> list[UpstreamMessage]:
        """All that went to IoT Hub after that number; waits so many seconds for the first of them."""
        found: list[UpstreamMessage] = []
        while page := self._page(found[-1].number if found else after, 0.0 if found else wait):
            found += page
            if len(page) < PAGE:
                break
        return found

    def before_last(self, count: int) -> int:
        """The number of the message before the last so many; 0 where there are no more."""
        return int(self._ask("GET", "/upstream/before-last", {"count": count})["number"])

    def wait_for_upstream(self, count: int, *, within: float = 10.0, after: int = 0) -> list[UpstreamMessage]:
        """At least so many messages after that number; raises HubError when they do not come in time."""
        ends = time.monotonic() + within
        found: list[UpstreamMessage] = []
        while len(found) < count:
            left = ends - time.monotonic()
            if left <= 0:
                raise HubError(f"{len(found)} of {count} messages went upstream within {within:g} s")
            found += self.upstream(found[-1].number if found else after, wait=min(left, 5.0))
        return found

    def twin(self, name: str) -> dict[str, Any]:
        """``{"desired": {..., "$version": 1}, "reported": {...}}`` of a module or device."""
        twin: dict[str, Any] = self._ask("GET", f"/twins/{_quoted(name)}")
        return twin

    def set_twin(self, name: str, desired: Mapping[str, Any], *, replace: bool = False) -> dict[str, Any]:
        """Merges desired properties (None removes one), or makes them exactly these; gives the twin."""
        method = "PUT" if replace else "PATCH"
        twin: dict[str, Any] = self._ask(method, f"/twins/{_quoted(name)}", body=desired)
        return twin

    def invoke(
        self, name: str, method: str, payload: Any = None, *, connect_timeout: float = 10, response_timeout: float = 30
    ) -> Answer:
        """Calls a direct method."""
        query = {"connect": connect_timeout, "response": response_timeout}
        answer = self._ask("POST", f"/methods/{_quoted(name)}/{_quoted(method)}", query, body=payload)
        return Answer(answer["status"], answer["payload"])

    def fault(self, name: str, **options: str | float) -> None:
        """``fault("refuse-connect", code=5, count=1)``; `edgefn hub fault --list` names them all."""
        self.fault_words([name, *(f"{option}={value}" for option, value in options.items())])

    def fault_words(self, words: Iterable[str]) -> dict[str, Any]:
        """The same as the words of a command line."""
        fault: dict[str, Any] = self._ask("POST", "/faults", body=list(words))
        return fault

    def clear(self) -> int:
        """Ends all faults; gives their number."""
        return int(self._ask("DELETE", "/faults")["cleared"])

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self._ask("GET", "/status")
        return status

    def _page(self, after: int, wait: float) -> list[UpstreamMessage]:
        rows = self._ask("GET", "/upstream", {"after": after, "limit": PAGE, "wait": wait})
        return [_message(row) for row in rows]

    def _ask(self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        connection = _Connection(self._folder.control_socket)
        content = None if body is None else json.dumps(body)
        try:
            connection.request(method, f"{path}?{urlencode(query)}" if query else path, content)
            response = connection.getresponse()
            status, text = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise HubError(f"{self._folder.path}: no hub answers there: {_why(error)}") from None
        finally:
            connection.close()
        if status >= 400:
            raise HubError(_refusal(text))
        return json.loads(text)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(os.fsencode(self._path))


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return "it does not run; start it with `edgefn hub start`, or name its folder with --dir"
    return str(error) or type(error).__name__


def _refusal(text: bytes) -> str:
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text.decode(errors="replace") or "the hub refuses without a word"


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _outgoing(message: str | bytes | Outgoing) -> dict[str, Any]:
    given = message if isinstance(message, Outgoing) else Outgoing(message)
    body = given.body.encode() if isinstance(given.body, str) else given.body
    system = {"messageId": given.id, "contentType": given.content_type}
    return {
        "body": base64.b64encode(body).decode(),
        "properties": dict(given.properties),
        "system": {name: value for name, value in system.items() if value},
        "sender": given.sender,
    }


def _message(row: dict[str, Any]) -> UpstreamMessage:
    row["content_type"] = row.pop("contentType")
    row["body"] = base64.b64decode(row["body"])
    return UpstreamMessage(**row)
