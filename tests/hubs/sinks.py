"""A sink that keeps what a hub delivers, and does as it is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from edgefn.contracts import EdgeMessage, HubState, MethodReply, MethodRequest

LONGEST = 20.0
"""Seconds that any wait takes at most."""


class RecordingSink:
    """Takes everything at once, unless ``take``, ``answer`` or ``change`` are replaced."""

    def __init__(self) -> None:
        self.inputs: list[EdgeMessage] = []
        self.methods: list[MethodRequest] = []
        self.patches: list[Mapping[str, Any]] = []
        self.states: list[HubState] = []
        self.take: Callable[[EdgeMessage], Awaitable[None]] = _nothing
        self.answer: Callable[[MethodRequest], Awaitable[MethodReply]] = _echo
        self.change: Callable[[Mapping[str, Any]], Awaitable[None]] = _nothing

    async def on_input(self, message: EdgeMessage) -> None:
        await self.take(message)
        self.inputs.append(message)

    async def on_method(self, request: MethodRequest) -> MethodReply:
        self.methods.append(request)
        return await self.answer(request)

    async def on_desired(self, patch: Mapping[str, Any]) -> None:
        await self.change(patch)
        self.patches.append(patch)

    def on_state(self, state: HubState) -> None:
        self.states.append(state)

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.inputs]


async def _nothing(_: Any) -> None:
    """Takes it."""


async def _echo(request: MethodRequest) -> MethodReply:
    return MethodReply(200, {"name": request.name, "payload": request.payload})


async def until(condition: Callable[[], Any], *, within: float = LONGEST) -> Any:
    """Gives the first answer that is true, and fails when none comes in time; the loop goes on meanwhile."""
    ends = time.monotonic() + within
    while not (answer := condition()):
        assert time.monotonic() < ends, f"it did not come about within {within} s"
        await asyncio.sleep(0.005)
    return answer


def in_thread(call: Callable[..., Any], *arguments: Any, **named: Any) -> Awaitable[Any]:
    """A call that blocks, and waits for what the loop does."""
    return asyncio.to_thread(call, *arguments, **named)
