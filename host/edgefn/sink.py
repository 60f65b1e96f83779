"""Where a hub delivers: each thing to the part of the host that it is for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from edgefn.contracts import EdgeMessage, HubState, MethodReply, MethodRequest
from edgefn.methods import Methods
from edgefn.twin import TwinReader


class Sink:
    """The host as its hub sees it; ``watchers`` are told when the hub goes and comes."""

    def __init__(
        self,
        on_input: Callable[[EdgeMessage], Awaitable[None]],
        methods: Methods,
        twin: TwinReader,
        watchers: tuple[Callable[[HubState], None], ...] = (),
    ) -> None:
        self._input = on_input
        self._methods = methods
        self._twin = twin
        self._watchers = watchers

    async def on_input(self, message: EdgeMessage) -> None:
        await self._input(message)

    async def on_method(self, request: MethodRequest) -> MethodReply:
        return await self._methods.answer(request)

    async def on_desired(self, patch: Mapping[str, Any]) -> None:
        self._twin.on_desired(patch)

    def on_state(self, state: HubState) -> None:
        self._twin.on_state(state)
        for watch in self._watchers:
            watch(state)
