"""Watches that nothing holds the event loop: a thread that notices when its beat stops, and says which line it is."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from pathlib import Path

from edgefn.logs import running_line
from edgefn.metrics import Metrics

log = logging.getLogger("edgefn.host")

BEAT = 0.1
PATIENCE = 0.5
"""Seconds without a beat after which the loop counts as blocked."""


class Heartbeat:
    """Beats on the loop that it is started on, and listens in a thread of its own."""

    def __init__(self, root: Path, metrics: Metrics) -> None:
        self._root = root
        self._blocked = metrics.counter("edgefn_loop_blocked", "Times that the event loop was blocked for over 0.5 s")
        self._last = time.monotonic()
        self._ended = threading.Event()
        self.lines: dict[str, int] = {}
        """How often each line of the app was seen to block the loop."""

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._beat()
        threading.Thread(target=self._listen, name="edgefn-heartbeat", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()

    def _beat(self) -> None:
        self._last = time.monotonic()
        if not self._ended.is_set():
            self._loop.call_later(BEAT, self._beat)

    def _listen(self) -> None:
        said = 0.0
        while not self._ended.wait(BEAT):
            silent = time.monotonic() - self._last
            if silent < PATIENCE or said == self._last:
                continue
            said = self._last
            self._say(silent)

    def _say(self, silent: float) -> None:
        line = running_line(self._loop_thread, self._root)
        self._blocked.inc()
        self.lines[line] = self.lines.get(line, 0) + 1
        if self.lines[line] & (self.lines[line] - 1):
            return  # said the 1st, 2nd, 4th, 8th ... time
        if not line:
            log.debug("Something outside of the app has blocked the event loop for %.1f s", silent)
            return
        log.warning(
            "%s has blocked the event loop for %.1f s, and every async function with it; "
            "await what takes time, or write `def` in place of `async def`, so that it runs in a thread",
            *(line, silent),
        )
