"""What the page tells of a host, in sections, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from edgefn import __version__
from edgefn.contracts import EdgeMessage
from edgefn.errors import SpoolError
from edgefn.host import Host
from edgefn.hubs.local import LocalHub
from edgefn.redaction import redact, redacted
from edgefn.running import Running
from edgefn.spool import DeadLetter

LETTERS = 30
"""Dead letters that are listed, the newest."""
MESSAGES = 30
"""Upstream messages that are listed, the newest."""
LONGEST = 600
"""Characters of a body in a list."""


class Snapshot:
    """Looks at one host."""

    def __init__(self, host: Host) -> None:
        self._host = host

    @property
    def is_local(self) -> bool:
        """Whether the hub is the one inside the process, whose twin and cable the page may touch."""
        return isinstance(self._host.app.services.hub, LocalHub)

    async def sections(self) -> dict[str, bytes]:
        """Each section by its name."""
        status = redacted(self._host.status())
        functions = [self._function(running, status["functions"]) for running in self._host.running]
        found = {
            "host": self._whole(status),
            "functions": functions,
            "sources": _sources(functions),
            "store": status["spool"],
            "letters": await self._letters(status["spool"]),
            "messages": self._messages(),
            "twin": self._twin(),
            "invocations": self._invocations(),
        }
        return {name: orjson.dumps(section, default=str) for name, section in found.items()}

    def _whole(self, status: Mapping[str, Any]) -> dict[str, Any]:
        hub = self._host.app.services.hub
        return {
            "app": self._host.app.root.name,
            "version": __version__,
            **{name: status[name] for name in ("state", "uptime", "hub", "blocked", "errors")},
            "plugged": hub.is_plugged if isinstance(hub, LocalHub) else None,
        }

    def _function(self, running: Running, statuses: Mapping[str, Any]) -> dict[str, Any]:
        function = running.function
        return {
            "name": function.name,
            "place": str(function.place),
            "type": function.trigger.type if function.trigger is not None else "",
            **statuses[function.name],
        }

    async def _letters(self, spool: Mapping[str, Any]) -> list[dict[str, Any]]:
        if not spool["dead_letters"]["messages"]:
            return []
        try:
            return [letter_of(each) for each in await self._host.app.services.spool.dead_letters(LETTERS)]
        except SpoolError:
            return []

    def _messages(self) -> list[dict[str, Any]]:
        hub = self._host.app.services.hub
        return [message_of(each) for each in list(hub.newest)[-MESSAGES:]] if isinstance(hub, LocalHub) else []

    def _twin(self) -> dict[str, Any]:
        hub, operation = self._host.app.services.hub, self._host.operation
        desired = self._host.app.services.desired
        known: dict[str, Any] = {"desired": desired.document, "version": desired.version}
        if isinstance(hub, LocalHub):
            twin = hub.properties
            known = {"desired": without_version(twin.desired), "version": twin.version}
            known["reported"] = without_version(twin.reported)
        else:
            known["reported"] = operation.reported
        verdict = operation.verdict
        told = {"version": verdict.version, "fault": verdict.fault} if verdict is not None else None
        return {**redacted(known), "verdict": redacted(told)}

    def _invocations(self) -> dict[str, Any]:
        """The newest of each function, and the newest that failed, whose errors are told."""
        found = {}
        for running in self._host.running:
            metrics = self._host.app.services.metrics.function(running.function.name)
            told = {identity: redact(text) for identity, text in metrics.failures}
            rows = [
                {"id": identity, "ended": round(at, 3), "ms": round(duration * 1000, 2), "status": status}
                for identity, at, duration, status in metrics.ended
            ]
            found[running.function.name] = {"ended": rows, "failures": told}
        return found


def without_version(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "$version"}


def message_of(message: EdgeMessage, most: int = LONGEST) -> dict[str, Any]:
    """A message as it is shown, its body as text."""
    try:
        body = message.text
    except (UnicodeDecodeError, LookupError):
        body = message.body.hex(" ")
    return {
        "id": message.message_id,
        "output": message.output_name,
        "created": message.created,
        "properties": dict(message.properties),
        "bytes": len(message.body),
        "body": body[:most],
    }


def letter_of(letter: DeadLetter, most: int = LONGEST) -> dict[str, Any]:
    """A dead letter as it is shown."""
    return {
        **message_of(letter.message, most),
        **{name: getattr(letter, name) for name in ("id", "box", "function", "name", "stored", "died", "attempts")},
        "reason": redact(letter.reason),
        "traceback": redact(letter.traceback),
    }


def _sources(functions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The sources of all functions on video, each once, with the functions on it."""
    found: dict[str, dict[str, Any]] = {}
    for function in functions:
        trigger = function["trigger"]
        if "age_ms" not in trigger:
            continue
        source = found.setdefault(trigger["source"], {**trigger, "functions": []})
        share = {name: trigger[name] for name in ("frames", "emitted", "dropped")}
        source["functions"].append({"name": function["name"], **share})
    return list(found.values())
