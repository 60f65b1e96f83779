"""Messages in the outbox for brokers that no function sends to: told, counted, and dropped when they are too old.

Nobody else would: they have no sender. They leave when a function sends to that broker again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping

from edgefn.errors import SpoolError
from edgefn.metrics import Metrics
from edgefn.spool.outbox import Outbox

log = logging.getLogger("edgefn.spool")

EVERY = 60.0
"""Seconds between two looks."""


class Unserved:
    """See the module's text; to be ``run`` when all functions have been opened."""

    def __init__(self, outbox: Outbox, metrics: Metrics) -> None:
        self._outbox = outbox
        self._told: set[str] = set()
        text = "Messages in the outbox for brokers that no function sends to"
        metrics.gauge("edgefn_spool_unserved_messages", text).set_function(lambda: sum(self.waiting().values()))

    def waiting(self) -> Mapping[str, int]:
        """How many messages wait for which broker."""
        served, known = self._outbox.lanes, self._outbox.totals.by_destination.copy()
        return {name: messages for name, (messages, _) in known.items() if messages and name not in served}

    async def run(self) -> None:
        """Looks now and then, until it is cancelled."""
        while True:
            if unserved := tuple(self.waiting()):
                with contextlib.suppress(SpoolError):
                    await self._outbox.drop_expired(unserved)
            self._tell()
            await asyncio.sleep(EVERY)

    def _tell(self) -> None:
        for name, messages in self.waiting().items():
            if name not in self._told:
                self._told.add(name)
                text = (
                    "%d messages wait for %s, to which no function that runs sends: they leave when one does, and are "
                    "dropped when they are too old"
                )
                log.warning(text, messages, name)
