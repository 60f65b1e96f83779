"""A circuit breaker: what does not answer is left alone for a while, and then tried by one call.

closed -> (so many failures in a row) -> open -> (its pause is over) -> half-open: one call -> closed, or open again
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from edgefn.errors import ModelError

log = logging.getLogger(__name__)

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"


class CircuitOpen(ModelError):
    """A call that was not made."""


class Circuit:
    """The circuit of one far side, for all threads. Who enters says how it ended: ``succeeded`` or ``failed``."""

    def __init__(
        self,
        name: str,
        failures: int,
        pause: float,
        changed: Callable[[bool], None] = lambda is_closed: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._most = failures
        self._pause = pause
        self._changed = changed
        self._clock = clock
        self._lock = threading.Lock()
        self._state = CLOSED
        self._failures = 0
        self._probes_at = 0.0
        """When the next call may try whether it answers again."""
        self._opened = 0
        self._refused = 0
        self._reason = ""

    def enter(self) -> None:
        """Lets a call begin; raises CircuitOpen while the circuit is open, and while another call tries it."""
        with self._lock:
            if self._state == CLOSED:
                return
            now = self._clock()
            if now >= self._probes_at:
                self._state, self._probes_at = HALF_OPEN, now + self._pause  # another one may try if this never ends
                return
            self._refused += 1
        raise CircuitOpen(
            f"{self._name} is not asked, since it failed {self._failures} times in a row ({self._reason}); it is tried"
            f" again in {self._probes_at - now:.1f} s"
        )

    def succeeded(self) -> None:
        """The far side answered."""
        with self._lock:
            was, self._state, self._failures = self._state, CLOSED, 0
        if was != CLOSED:
            log.info("%s answers again; it is asked as before", self._name)
            self._changed(True)

    def failed(self, reason: str) -> None:
        """The far side did not answer, or could not."""
        with self._lock:
            self._reason = reason
            self._failures += 1
            opens = self._state == CLOSED and self._failures >= self._most
            if opens or self._state == HALF_OPEN:
                self._state, self._probes_at = OPEN, self._clock() + self._pause
                self._opened += opens
        if opens:
            log.warning(
                "%s failed %d times in a row: %s; it is left alone, and tried every %.1f s",
                *(self._name, self._failures, reason, self._pause),
            )
            self._changed(False)

    def status(self) -> dict[str, Any]:
        """State, failures in a row and why the last one was, how often it opened, and calls that it refused."""
        with self._lock:
            return {
                "state": self._state,
                "failures": self._failures,
                "reason": self._reason if self._failures else "",
                "opened": self._opened,
                "refused": self._refused,
            }
