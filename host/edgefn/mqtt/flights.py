"""Packets that have left and are not acknowledged yet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from edgefn.errors import AckTimeout, ConnectionLost, HubError, NotConnected
from edgefn.mqtt.faults import Fault


class _Flight(NamedTuple):
    future: asyncio.Future[None]
    sent: float


def failed(error: HubError) -> asyncio.Future[None]:
    """What a message ends with that did not leave."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future


class Flights:
    """The packets of one connection, by their ids; ``overdue`` is called when the oldest is not acknowledged in time.

    Before that ``read`` is: what the loop had no time to read did come in time.
    """

    def __init__(self, who: str, timeout: float, read: Callable[[], None], overdue: Callable[[], None]) -> None:
        self._who = who
        self._timeout = timeout
        self._read = read
        self._overdue = overdue
        self._loop = asyncio.get_running_loop()
        self._flying: dict[int, _Flight] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._flying)

    def launch(self, info: Any) -> asyncio.Future[None]:
        """For what paho gave when it was asked to publish: ends with the acknowledgement, or raises HubError."""
        if info.rc:
            return failed(NotConnected(f"{self._who}: the connection has just ended; the message did not leave"))
        future: asyncio.Future[None] = self._loop.create_future()
        self._flying[info.mid] = _Flight(future, time.monotonic())
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout, self._look)
        return future

    def landed(self, packet_id: int, error: HubError | None = None) -> bool:
        """A packet was acknowledged, or refused; whether it is one of these."""
        flight = self._flying.pop(packet_id, None)
        if flight is not None and not flight.future.done():
            if error is None:
                flight.future.set_result(None)
            else:
                flight.future.set_exception(error)
        if self._empty is not None and not self._flying and not self._empty.done():
            self._empty.set_result(None)
        return flight is not None

    async def quiet(self, lost: asyncio.Future[Fault]) -> None:
        """Returns when no packet is on its way any more, or the connection has ended."""
        if self._flying and not lost.done():
            self._empty = self._loop.create_future()
            either: set[asyncio.Future[Any]] = {self._empty, lost}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)

    def fail(self, fault: Fault) -> None:
        """The connection has ended: all that is on its way fails."""
        if self._timer is not None:
            self._timer.cancel()
        flying, self._flying = self._flying, {}
        overdue = time.monotonic() - self._timeout
        for future, sent in flying.values():
            if future.done():
                continue
            if sent <= overdue:
                text = f"not acknowledged within {self._timeout:g} s; the message may have arrived, or not"
                future.set_exception(AckTimeout(f"{self._who}: {text}"))
            else:
                text = f"the connection ended before the acknowledgement; the message may have arrived, or not: {fault}"
                future.set_exception(ConnectionLost(f"{self._who}: {text}"))

    def _look(self) -> None:
        self._timer = None
        self._read()
        if not self._flying:
            return
        left = next(iter(self._flying.values())).sent + self._timeout - time.monotonic()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._overdue()
