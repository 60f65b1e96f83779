"""What the host tells of itself in the reported properties: what runs, on which devices, what became of the desired.

    Account.document -> 32 KB at most -> its difference to what the hub has -> Hub.report, once in some seconds at most

Nothing that changes all the time is in it: figures are in the metrics.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import platform
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from edgefn import __version__
from edgefn.contracts import Hub, HubState, Twin
from edgefn.desired import changes, merged
from edgefn.errors import HubError
from edgefn.outward import fitting
from edgefn.pacing import BackOff
from edgefn.redaction import redact, redacted
from edgefn.supervision import for_ever
from edgefn.twin import Verdict

log = logging.getLogger("edgefn.twin")

MOST = 30_000
"""Bytes; IoT Hub takes 32 KB of reported properties."""
LONGEST = 1000
"""Characters of a text; IoT Hub takes 4 KB."""
OWN = ("edgefn", "desired", "functions", "errors")
"""The reported properties that are the host's."""
OF_TRIGGERS = ("source", "state")
OF_INPUTS = ("model", "device", "asked", "precision", "note", "setting", "from")


class Account:
    """What is told, put together from the host's status."""

    def __init__(self, status: Callable[[], Mapping[str, Any]], in_force: Callable[[], Mapping[str, Any]]) -> None:
        self._status = status
        self._in_force = in_force
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self.verdict: Verdict | None = None

    def document(self) -> dict[str, Any]:
        """The reported properties, so short that IoT Hub takes them."""
        status = self._status()
        functions: Mapping[str, Any] = status["functions"]
        host: dict[str, Any] = {"version": __version__, "python": platform.python_version(), "started": self._started}
        whole: dict[str, Any] = {
            "edgefn": {**host, "state": status["state"]},
            "functions": {name: _told(figures) for name, figures in functions.items()},
            **({"desired": self._desired()} if self.verdict else {}),
            **({"errors": _text("\n".join(status["errors"]))} if status["errors"] else {}),
        }
        cut: dict[str, Any] = {"edgefn": {**whole["edgefn"], "cut": True}}
        if self.verdict:
            cut["desired"] = {name: value for name, value in whole["desired"].items() if name != "inForce"}
        states = {name: {"state": figures["state"]} for name, figures in functions.items()}
        return fitting(
            MOST,
            lambda: whole,
            lambda: {**cut, "functions": whole["functions"]},
            lambda: {**cut, "functions": states},
            lambda: {**cut, "functions": dict(Counter(figures["state"] for figures in functions.values()))},
        )

    def _desired(self) -> dict[str, Any]:
        assert self.verdict is not None
        verdict = self.verdict
        answer: dict[str, Any] = {"version": verdict.version, "status": "refused" if verdict.fault else "applied"}
        if verdict.fault:
            answer["reason"] = _text(verdict.fault)
        if verdict.warnings:
            answer["warnings"] = _text("\n".join(verdict.warnings))
        if in_force := dict(self._in_force()):
            answer["inForce"] = redacted(in_force)
        return answer


def _told(figures: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of one function: its state, its errors, its source, and what its inputs really are."""
    told: dict[str, Any] = {"state": figures["state"]}
    if figures["errors"]:
        told["errors"] = _text("\n".join(figures["errors"]))
    trigger = figures["trigger"]
    if "source" in trigger:
        told["source"] = {name: _text(str(trigger[name])) for name in OF_TRIGGERS if trigger.get(name)}
    facts = {
        name: {fact: _text(str(status[fact])) for fact in OF_INPUTS if status.get(fact)}
        for name, status in figures["inputs"].items()
    }
    if inputs := {name: known for name, known in facts.items() if known}:
        told["inputs"] = inputs
    return told


def _text(text: str) -> str:
    found = redact(text)
    return found if len(found) <= LONGEST else f"{found[: LONGEST - 3]}..."


class Reporter:
    """Keeps the reported properties of one hub as the account says: only differences, and seldom."""

    def __init__(
        self, hub: Hub, account: Account, interval: float, back_off: Callable[[], BackOff] = lambda: BackOff(1.0, 120.0)
    ) -> None:
        self._hub = hub
        self._account = account
        self._interval = interval
        self._make_back_off = back_off
        self._known: dict[str, Any] | None = None
        """What the hub has; None while that is not known."""
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def read(self, twin: Twin) -> None:
        """Learns what the hub has, which may be of an earlier run."""
        self._known = {name: twin.reported[name] for name in OWN if name in twin.reported}
        self._woken.set()

    def decided(self, verdict: Verdict) -> None:
        """Learns what became of desired properties."""
        self._account.verdict = verdict
        self._woken.set()

    def on_state(self, state: HubState) -> None:
        """What the hub has is known when its twin was read; a report may have been lost with the connection."""
        if state is not HubState.ONLINE:
            self._known = None

    def start(self) -> None:
        self._task = asyncio.create_task(for_ever(self._keep, log, "Reporting properties"), name="reported")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _keep(self) -> None:
        back_off = self._make_back_off()
        while True:
            await self._due()
            if self._known is None:
                continue
            patch = changes(self._known, self._account.document())
            if not patch:
                continue
            began = time.monotonic()
            try:
                await self._hub.report(patch)
            except HubError as error:
                delay = back_off.next()
                log.info("the reported properties can not be written: %s; again in %.1f s", error, delay)
                await asyncio.sleep(delay)
                self._woken.set()
                continue
            back_off = self._make_back_off()
            if self._known is not None:
                self._known = merged(self._known, patch)
            await asyncio.sleep(max(0.0, self._interval - (time.monotonic() - began)))

    async def _due(self) -> None:
        """Returns when somebody says that there is something new, or after the interval, to look."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._interval):
                await self._woken.wait()
        self._woken.clear()
