"""How an invocation and what it sends end together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgefn.contracts import Outcome, Outgoing, Status
from edgefn.errors import EdgefnError, SpoolError, StillRunning
from edgefn.ids import new_id
from edgefn.logs import user_traceback
from edgefn.redaction import redact
from edgefn.spool.store import Work

if TYPE_CHECKING:
    from edgefn.spool.outbox import Outbox
    from edgefn.spool.subscription import Received, Subscription

log = logging.getLogger("edgefn.spool")

AGAIN = 1.0
"""Seconds between attempts to store an end, and until a message is taken again that could not be worked off yet."""


@dataclass(slots=True)
class MessageSettlement:
    """What is to become of the messages of one invocation, and of its outputs."""

    subscription: Subscription
    rows: list[Received]
    outputs: list[Outgoing] = field(default_factory=list)
    undos: list[Callable[[], None]] = field(default_factory=list)
    _ending: asyncio.Task[None] | None = None
    _is_given_up: bool = False

    @property
    def attempts(self) -> int:
        return max(row.attempts for row in self.rows)

    def begin(self) -> None:
        self.outputs.clear()
        while self.undos:
            self.undos.pop()()

    def put(self, message: Outgoing) -> None:
        self.outputs.append(message)

    def otherwise(self, undo: Callable[[], None]) -> None:
        self.undos.append(undo)

    def next_id(self) -> str:
        return self.subscription.output_id(self.rows[0], len(self.outputs))

    async def failed(self, error: BaseException, delay: float) -> None:
        try:
            await self.subscription.failed(self.rows, error, delay)
        except SpoolError as fault:
            log.warning("A failed attempt can not be kept, and is counted in memory: %s", fault)

    def back(self) -> None:
        """Gives the messages back, since their invocation was cancelled; where their end is being stored, if it can not
        be.
        """
        self._is_given_up = True
        if self._ending is None or (self._ending.done() and self._ending.exception() is not None):
            self._give_back()

    def _give_back(self) -> None:
        self.begin()
        self.subscription.back(self.rows)

    async def end(self, outcome: Outcome, also: Work[Any] | None = None) -> None:
        """Stores how the invocation ended, as often as it takes where nothing can be stored at present.

        ``also`` is work that belongs into the transaction of one that ended well. Where the outcome is open the
        messages are given back.
        """
        if not outcome.ok:
            self.begin()  # at once: the function's next event is about to put what it causes
        if outcome.is_open:
            self.subscription.back(self.rows)
            if isinstance(outcome.error, StillRunning):
                await asyncio.sleep(AGAIN)
            return
        self._ending = asyncio.ensure_future(self._stored(outcome, also))
        await asyncio.shield(self._ending)

    async def _stored(self, outcome: Outcome, also: Work[Any] | None) -> None:
        while True:
            try:
                if outcome.ok:
                    await self.subscription.done(self.rows, self.outputs, also)
                else:
                    await self.subscription.dead(self.rows, outcome.error)
                return
            except SpoolError:
                if self._is_given_up:
                    self._give_back()
                    return
                await asyncio.sleep(AGAIN)
            except Exception as error:  # an output that no file takes: its message must not run for ever
                if not outcome.ok:
                    raise
                log.error("An output of function '%s' can not be stored: %s", self.subscription.function, error)
                self.begin()
                outcome = Outcome(Status.FAILED, error=error)


class Together:
    """What one invocation sends for an event that is no stored message: one transaction, with all of it or nothing.

    The end of ``async with`` stores it; an error before that takes everything back.
    """

    attempts = 0

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._outputs: list[Outgoing] = []
        self._undos: list[Callable[[], None]] = []

    async def __aenter__(self) -> Together:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        stored = False
        try:
            if kind is None and self._outputs:
                await self._outbox.put(self._outputs)
            stored = kind is None
        finally:
            if not stored:
                self.begin()

    def begin(self) -> None:
        self._outputs.clear()
        while self._undos:
            self._undos.pop()()

    def next_id(self) -> str:
        return new_id()

    def put(self, message: Outgoing) -> None:
        self._outputs.append(message)

    def otherwise(self, undo: Callable[[], None]) -> None:
        self._undos.append(undo)

    async def failed(self, error: BaseException, delay: float) -> None:
        """Nothing is to be recorded."""


def reason_of(error: BaseException | None) -> tuple[str, str]:
    """An error as a dead letter has it: one line, and the user's part of the traceback."""
    if error is None:
        return "unknown", ""
    if isinstance(error, EdgefnError):
        return str(error), ""
    return redact(f"{type(error).__name__}: {error}"), redact(user_traceback(error))
