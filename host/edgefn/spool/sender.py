"""Takes what waits for the hub, or a broker, there: in order, so many at once as that allows, and again what was not
acknowledged.

After an error it waits for what else is on its way, goes back to the lowest message without acknowledgement, and
begins with one at a time; each acknowledgement doubles that, up to the hub's window. So it also finds a message on
which the hub ends the connection each time: one that was alone on its way in ``LOSSES`` connections. That one is
passed over once, and is a dead letter when the one after it arrives; when that is lost too, the hub is at fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Mapping
from typing import Any

from edgefn.contracts import EdgeMessage, HubState
from edgefn.errors import ConnectionLost, HubError, Refused, SpoolError, TooLarge
from edgefn.metrics import Metrics
from edgefn.spool.lanes import Lane, Waiting
from edgefn.spool.outbox import Outbox
from edgefn.supervision import for_ever
from edgefn.traces import Traces

log = logging.getLogger("edgefn.spool")

LOSSES = 5
PAUSE = 0.1
LONGEST_PAUSE = 5.0


class Broken(HubError):
    """A fault of ours, or of a library, with a message."""


class Sender:
    """One task that sends; see the module's text."""

    def __init__(self, outbox: Outbox, lane: Lane, metrics: Metrics, traces: Traces) -> None:
        self._outbox = outbox
        self._traces = traces
        self._tail = lane.tail
        self._destination = lane.destination
        self._window = 1
        self._flying: dict[asyncio.Future[None], Waiting] = {}
        self._failed: list[Waiting] = []
        self._error: HubError | None = None
        self._pause = PAUSE
        self._wake = lane.tail.arrived
        self._back = asyncio.Event()
        self._idle = asyncio.Event()
        self._suspect: Waiting | None = None
        self._losses = 0
        self._resting = False
        self.sent = 0
        self.last_error = ""
        self._task: asyncio.Task[None] | None = None
        self._counted = metrics.counter("edgefn_spool_sent", "Messages that the hub, or a broker, has acknowledged")

    def start(self) -> None:
        self._task = asyncio.create_task(for_ever(self._send, log, "Sending"), name="send")

    async def stop(self) -> None:
        """Sends nothing more; what is on its way without acknowledgement stays in the outbox."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def on_state(self, state: HubState) -> None:
        """The hub came or went: sends at once when it is back."""
        if state is HubState.ONLINE:
            self._pause = PAUSE
            self._back.set()

    async def idle(self) -> None:
        """Returns when all messages are with the hub, or that takes none."""
        while not self._resting and (self._tail.has_more or self._flying or self._failed):
            self._idle.clear()
            await self._idle.wait()

    def status(self) -> Mapping[str, Any]:
        return {"sent": self.sent, "on_their_way": len(self._flying), "last_error": self.last_error}

    # --- the loop ------------------------------------------------------------------------------------------------

    async def _send(self) -> None:
        while True:
            try:
                await self._fill()
                if self._error is not None and not self._flying:
                    await self._recover()
                    continue
                await self._wake.wait()
                self._wake.clear()
            except SpoolError as error:
                self.last_error = str(error)
                await self._rest()

    async def _fill(self) -> None:
        """Hands messages to the hub until its window is full, or there are none."""
        while self._error is None and len(self._flying) < self._window and not self._outbox.is_clogged:
            row = self._tail.at_hand() or await self._tail.next()
            if row is None:
                break
            left = self._outbox.left(row)
            if left <= 0:
                self._outbox.remove([row])
                self._outbox.count_lost(row.output, row.destination, "expired")
                continue
            future = asyncio.ensure_future(self._published(row.message, left if row.has_ttl else None))
            self._flying[future] = row
            if self._traces.spans is not None:
                self._traces.spans.sending(row.message, future)
            future.add_done_callback(self._landed)
        if not self._flying and self._error is None and not self._tail.has_more:
            self._idle.set()

    def _published(self, message: EdgeMessage, left: float | None) -> Awaitable[None]:
        """What the destination gives for a message; a fault of its own at once is one of that message."""
        try:
            return self._destination.publish(message, left)
        except Exception as error:
            broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            broken.set_exception(error)
            return broken

    def _landed(self, future: asyncio.Future[None]) -> None:
        row = self._flying.pop(future)
        self._wake.set()
        error = HubError("the host stops") if future.cancelled() else future.exception()
        if error is None:
            self._arrived(row)
            return
        self._failed.append(row)
        if isinstance(error, HubError):
            if self._error is None or isinstance(error, ConnectionLost):
                self._error = error
        else:
            text = f"{type(error).__name__}: {error}"
            log.error("Sending a message of output '%s' broke: %s; please report it", row.output, text, exc_info=error)
            self._error = Broken(text)

    def _arrived(self, row: Waiting) -> None:
        self.sent += 1
        self._counted.inc()
        self._window = min(self._window * 2, max(1, self._destination.window))
        self._pause = PAUSE
        if self._suspect is not None and row.id == self._suspect.id:
            self._suspect, self._losses = None, 0
        self._outbox.remove([row])

    # --- errors --------------------------------------------------------------------------------------------------

    async def _recover(self) -> None:
        """After an error, with nothing on its way: goes back to the first message that is not acknowledged."""
        error, self._error = self._error, None
        failed, self._failed = sorted(self._failed, key=lambda row: row.id), []
        self.last_error = str(error)
        alone = self._window == 1 and len(failed) == 1
        self._window = 1
        self._tail.back(failed)
        if isinstance(error, TooLarge | Refused) and alone:
            await self._refused(error)
        elif isinstance(error, ConnectionLost | Broken) and alone:
            how = f"broke ({error})" if isinstance(error, Broken) else "ended the connection"
            await self._suspected(failed[0], how)
        await self._rest()

    async def _refused(self, error: TooLarge | Refused) -> None:
        row = await self._tail.next()
        if row is not None:
            cause = "too_large" if isinstance(error, TooLarge) else "refused"
            await self._outbox.bury(row, 1, str(error), cause)
        self._pause = 0.0

    async def _suspected(self, row: Waiting, how: str) -> None:
        """Counts a connection that ended, or an attempt that broke, with one message alone on its way."""
        if self._suspect is None or self._suspect.id != row.id:
            self._suspect, self._losses = row, 0
        self._losses += 1
        if self._losses >= LOSSES:
            await self._try_the_next(row, how)

    async def _try_the_next(self, suspect: Waiting, how: str) -> None:
        """Sends the message after the suspect, alone: when it arrives, the suspect is to blame."""
        self._losses = 0
        taken = await self._tail.next()
        after = await self._tail.next()
        if taken is None or taken.id != suspect.id or after is None:
            self._tail.back([row for row in (taken, after) if row is not None])
            return
        try:
            await self._rest()
            await self._destination.publish(after.message, self._outbox.left(after) if after.has_ttl else None)
        except HubError as error:
            self.last_error = str(error)
            self._tail.back([taken, after])
            return
        except BaseException:
            self._tail.back([taken, after])
            raise
        self._arrived(after)
        whom = taken.destination or "the hub"
        reason = f"{whom} {how} on it {LOSSES} times, and took the message after it"
        await self._outbox.bury(taken, LOSSES, reason, "poison")

    async def _rest(self) -> None:
        """Waits a while that grows, and then for the hub; no longer than until that is back."""
        self._back.clear()
        self._resting = True
        self._idle.set()
        pause, self._pause = self._pause, min(max(PAUSE, self._pause * 2), LONGEST_PAUSE)
        await self._back_within(pause * random.uniform(0.8, 1.2))
        while self._destination.state is not HubState.ONLINE:
            self._back.clear()  # it was back, and has gone again: without this the loop would never be left, nor wait
            await self._back_within(LONGEST_PAUSE)
        self._resting = False

    async def _back_within(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._back.wait()
