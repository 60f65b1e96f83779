"""How a connection that is kept stands: its state, since when, how often it was made, and why the last one ended."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from edgefn.contracts import HubState
from edgefn.mqtt.faults import Cause, Fault, Repetitions

LONG = 60.0
"""Seconds of a connection after which a fault counts as the first of its kind again."""
TO_BE_MENDED = {Cause.WORKLOAD, Cause.CERTIFICATE, Cause.REFUSED, Cause.RIVAL, Cause.CLIENT}
"""Causes that hardly go away by themselves."""


class Standing:
    """Says what changes in the log, but not each of many faults of one kind; tells ``on_state`` of each new state."""

    def __init__(self, who: str, log: logging.Logger, on_state: Callable[[HubState], None]) -> None:
        self.state = HubState.OFFLINE
        self.generation = 0
        """Connections so far."""
        self.lost = ""
        """Why the last one ended, or did not come about."""
        self._who = who
        self._log = log
        self._on_state = on_state
        self._since = datetime.now(UTC)
        self._said = Repetitions()
        self._news = True
        """Whether a line says next that all is well."""
        self._online_since = 0.0
        self._reconnects: Counter[str] = Counter()

    def online(self, as_whom: str) -> None:
        """There is a connection."""
        self.generation += 1
        level, self._news = (logging.INFO if self._news else logging.DEBUG), False
        self._log.log(level, "Connected to %s as '%s' (%d)", self._who, as_whom, self.generation)
        self._online_since = time.monotonic()
        self.enter(HubState.ONLINE)

    def ended(self, fault: Fault) -> None:
        """A connection has ended."""
        self._reconnects[fault.cause.value] += 1
        if time.monotonic() - self._online_since > LONG:
            self._said.forget()
        if fault.cause is not Cause.RENEWAL:
            self._say(fault)

    def failed(self, fault: Fault) -> None:
        """An attempt has come to nothing."""
        self._say(fault)
        if self.state is HubState.CONNECTING:
            self.enter(HubState.OFFLINE)

    def enter(self, state: HubState) -> None:
        if state is not self.state:
            self.state = state
            self._since = datetime.now(UTC)
            try:
                self._on_state(state)
            except Exception as error:  # who is told is at fault: the connection is not to suffer from it
                text = "%s: what was to be done on '%s' failed: %s: %s"
                self._log.error(text, self._who, state, type(error).__name__, error)

    def status(self) -> Mapping[str, Any]:
        return {
            "state": self.state,
            "since": self._since.isoformat(timespec="seconds"),
            "generation": self.generation,
            "lost": self.lost,
            "reconnects": dict(self._reconnects),
        }

    def _say(self, fault: Fault) -> None:
        self.lost = str(fault)
        if self._said.worth_a_line(fault):
            times = self._said.times(fault)
            level = logging.ERROR if fault.cause in TO_BE_MENDED else logging.WARNING
            self._log.log(level, "%s%s", fault, f" ({times} times by now)" if times > 1 else "")
            self._news = True
