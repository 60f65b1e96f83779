"""The order of events, kept by invocations that run at once."""

from __future__ import annotations

import asyncio
from collections import deque


class Ticket:
    """A place in the order of events."""

    __slots__ = ("left", "turn")

    def __init__(self) -> None:
        self.left = False
        self.turn: asyncio.Future[None] | None = None


class Turnstile:
    """Lets invocations that run at once send their outputs one after the other, in the order of their events."""

    def __init__(self) -> None:
        self._line: deque[Ticket] = deque()

    def enter(self) -> Ticket:
        ticket = Ticket()
        self._line.append(ticket)
        return ticket

    async def turn(self, ticket: Ticket) -> None:
        """Returns when all earlier tickets have left."""
        if self._line[0] is not ticket:
            ticket.turn = asyncio.get_running_loop().create_future()
            await ticket.turn

    def leave(self, ticket: Ticket) -> None:
        ticket.left = True
        line = self._line
        while line and line[0].left:
            line.popleft()
        if line and (turn := line[0].turn) is not None and not turn.done():
            turn.set_result(None)
