"""Messages on their way from the hub to the sink: in order, each acknowledged when it has been taken."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Protocol

from edgefn.contracts import EdgeMessage, HubSink
from edgefn.mqtt.deliveries import Delivery
from edgefn.mqtt.faults import Cause, Fault

log = logging.getLogger("edgefn.hub")

PATIENCE = 25.0
"""Seconds for which a message is offered to the sink: less than the 30 after which edgeHub sends it again by itself."""
MOST_WAITING = 1000
"""edgeHub sends one message at a time; a hub that sends more than this without acknowledgement is none."""


class Line(Protocol):
    """The connection that a message came by."""

    @property
    def number(self) -> int:
        """No two connections of a hub have the same; later ones have higher ones."""

    @property
    def lost(self) -> asyncio.Future[Fault]: ...

    def ask_to_leave(self, fault: Fault) -> None: ...


class Inputs:
    """Offers one message after the other to the sink.

    One that the sink can not take is offered again, later each time, and stays unacknowledged: edgeHub sends no further
    one meanwhile, and what leaves by the outputs goes on, which may be what makes room. When that lasts, the connection
    is given up, so that nothing is held for longer than the hub waits; the next one gets the message again.
    """

    def __init__(self, who: str, sink: HubSink) -> None:
        self._who = who
        self._sink = sink
        self._waiting: asyncio.Queue[tuple[Line, Delivery, EdgeMessage]] = asyncio.Queue()
        self._refused = 0
        self._left = 0
        """Up to this number connections are left: nothing that came by them is taken any more."""
        self._free = asyncio.Event()
        self._free.set()

    @property
    def is_full(self) -> bool:
        """Whether one more message that waits would cost the connection."""
        return self._waiting.qsize() >= MOST_WAITING

    def put(self, connection: Line, delivery: Delivery, message: EdgeMessage) -> None:
        if self.is_full:
            said = f"more than {MOST_WAITING} messages came without waiting for an acknowledgement; edgeHub sends one"
            self._leave(connection, said)
            return
        self._waiting.put_nowait((connection, delivery, message))

    async def run(self) -> None:
        """Takes messages until it is cancelled."""
        while True:
            connection, delivery, message = await self._waiting.get()
            if connection.lost.done() or connection.number <= self._left:
                continue  # the hub sends it again on the next one
            self._free.clear()
            if await self._taken(message, connection):
                delivery.settle()
            self._free.set()

    async def quiet(self, connection: Line) -> None:
        """Takes nothing more that came by the connection; returns when what is being taken is."""
        self._left = connection.number
        await self._free.wait()

    async def _taken(self, message: EdgeMessage, connection: Line) -> bool:
        """Whether the sink has it; else the connection has ended, or is asked to."""
        error: BaseException | None = None
        task = asyncio.current_task()
        assert task is not None
        try:
            async with asyncio.timeout(PATIENCE):
                for pause in _pauses():
                    try:
                        await self._sink.on_input(message)
                        return True
                    except asyncio.CancelledError as raised:
                        if task.cancelling():
                            raise
                        error = raised
                        self._say_refused(message, "what the sink waited for was cancelled")
                    except Exception as raised:  # whatever it is: what was not taken is not acknowledged
                        error = raised
                        self._say_refused(message, raised)
                    await asyncio.wait({connection.lost}, timeout=pause)
                    if connection.lost.done():
                        return False
        except TimeoutError:
            why = error or "the sink did not return"
            said = f"a message for input '{message.input_name}' could not be taken within {PATIENCE:g} s: {why}"
            self._leave(connection, f"{said}; it comes again on a new connection")
        return False

    def _leave(self, connection: Line, said: str) -> None:
        """Gives the connection up; what came after the message that was not taken must not overtake it."""
        self._left = connection.number
        connection.ask_to_leave(Fault(Cause.INPUTS, said))

    def _say_refused(self, message: EdgeMessage, error: object) -> None:
        """The first, second, fourth, eighth, ... time."""
        self._refused += 1
        if self._refused.bit_count() == 1:
            text = "%s: a message for input '%s' is not taken, and is offered again (%d times by now): %s"
            log.warning(text, self._who, message.input_name, self._refused, error)


def _pauses() -> Iterator[float]:
    """0.1, 0.2, 0.4, ... 3.2, and that for ever."""
    pause = 0.1
    while True:
        yield pause
        pause = min(pause * 2, 3.2)
