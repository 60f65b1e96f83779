"""What a condition sees of one message: properties by name, and values of its JSON body.

The body is read lazily and at most once (JsonMessageQueryValueProvider and JsonPath.g4 of Azure/iotedge).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from edgefn.routes.functions import Null, Value, defined


class RoutedMessage(Protocol):
    """A message on its way through the routes.

    ``source`` is where it comes from: ``/messages/modules/cam/outputs/detections``, ``/twinChangeNotifications``,
    ``/messages``. System properties carry edgeHub's long names: ``connectionModuleId``, ``contentType``, ...
    """

    @property
    def source(self) -> str: ...

    @property
    def properties(self) -> Mapping[str, str]: ...

    @property
    def system_properties(self) -> Mapping[str, str]: ...

    @property
    def body(self) -> bytes: ...


Step = str | int

_PATH = re.compile(r"(?:(?![0-9]+(?:[.\[]|$)|\*)[^.\[\]]+(?:\[[0-9]{1,9}\])*(?:\.(?!$)|$))+")
_STEP = re.compile(r"\[([0-9]+)\]|([^.\[\]]+)")
_ENCODINGS = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
_JSON = json.JSONDecoder(parse_int=float, strict=False)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?")
_UNREAD = object()


def parse_path(text: str) -> tuple[Step, ...] | None:
    """``a.b[0]`` as steps; None if it is no path of JsonPath.g4 (a wildcard is one there, but gives no value)."""
    if not _PATH.fullmatch(text):
        return None
    return tuple(int(index) if index else member for index, member in _STEP.findall(text))


def look_up(properties: Mapping[str, str], name: str, lowered: str) -> str | None:
    """The property of that name; case matters no more than in edgeHub."""
    value = properties.get(name)
    if value is None:
        return next((value for key, value in properties.items() if key.lower() == lowered), None)
    return value


class MessageView:
    """One message during one evaluation of routes."""

    __slots__ = ("_message", "_parsed", "properties", "system_properties")

    def __init__(self, message: RoutedMessage) -> None:
        self.properties = message.properties
        self.system_properties = message.system_properties
        self._message = message
        self._parsed: Any = _UNREAD

    def find(self, path: tuple[Step, ...]) -> Any:
        """What JSON has at ``path``; ``Null.MISSING`` if nothing, None if the body is no JSON object."""
        if self._parsed is _UNREAD:
            self._parsed = self._parse()
        return _follow(path, self._parsed)

    def value(self, path: tuple[Step, ...]) -> Value:
        """The value at ``path``; objects, arrays and times are undefined, as in edgeHub."""
        return _as_value(self.find(path))

    def _parse(self) -> Any:
        if (self._system("contentType") or "").lower() != "application/json":
            return None
        encoding = _ENCODINGS.get((self._system("contentEncoding") or "").lower())
        return _parse_json(self._message.body, encoding) if encoding else None

    def _system(self, name: str) -> str | None:
        return look_up(self.system_properties, name, name.lower())


def _parse_json(body: bytes, encoding: str) -> dict[str, Any] | None:
    try:
        parsed = _JSON.decode(body.decode(encoding, "replace"))
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _follow(path: tuple[Step, ...], node: Any) -> Any:
    if node is None:
        return None
    for step in path:
        if isinstance(step, int):
            found = isinstance(node, list) and step < len(node)
        else:
            found = isinstance(node, dict) and step in node
        if not found:
            return Null.MISSING
        node = node[step]
    return Null.NULL if node is None else node


def _as_value(found: Any) -> Value:
    if isinstance(found, float):
        return defined(found)
    if isinstance(found, str):
        return None if _is_time(found) else found
    return found if isinstance(found, bool | Null) else None


def _is_time(text: str) -> bool:
    """Whether edgeHub's JSON reader takes the text for a time; a value of that kind is compared with nothing."""
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text[:19])
    except ValueError:
        return False
    return True
