"""What lies over the app at present: the desired properties, and what direct methods have set since.

Whoever spoke last counts: a desired property that changes replaces what a method has set for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from edgefn.desired import changes, merged, untouched
from edgefn.function import Function
from edgefn.loader import App
from edgefn.loader.overlaid import OWN, Overlaid, overlaid
from edgefn.log_levels import Levels

Swap = Callable[[Sequence[Function]], Awaitable[None]]
Level = Callable[[Levels], None]


class Overlay:
    """Lays documents over one app; ``swap`` puts the functions that come of it into place, ``level`` its log levels."""

    def __init__(self, app: App, swap: Swap, level: Level) -> None:
        self._app = app
        self._swap = swap
        self._level = level
        self._levels = Levels()
        self._desired: Mapping[str, Any] = {}
        self._set: Mapping[str, Any] = {}
        self.turn = asyncio.Lock()
        """Held by who changes what the functions are: nobody reckons with what another is about to replace."""

    @property
    def in_force(self) -> dict[str, Any]:
        """The properties that act, without those that are the app's own."""
        whole = merged(self._desired, self._set)
        return {name: whole[name] for name in OWN if name in whole}

    def lay(self, desired: Mapping[str, Any]) -> Overlaid:
        """The functions under a document, before any of them is open; raises SettingError, and nothing is laid."""
        laid = overlaid(self._app, desired)
        self._desired, self._levels = desired, laid.levels
        self.level()
        return laid

    async def accept(self, desired: Mapping[str, Any]) -> Sequence[str]:
        """Puts whole desired properties in force, or raises EdgefnError; gives what in them may be a slip."""
        async with self.turn:
            rest = untouched(self._set, changes(self._desired, desired))
            laid = await self._lay(merged(desired, rest))
            self._desired, self._set = desired, rest
        return laid.warnings

    async def set(self, patch: Mapping[str, Any]) -> None:
        """Changes what a direct method asks for, until a desired property says otherwise, or the host ends."""
        async with self.turn:
            more = merged(self._set, patch)
            await self._lay(merged(self._desired, more))
            self._set = more

    async def _lay(self, whole: Mapping[str, Any]) -> Overlaid:
        laid = overlaid(self._app, whole)
        await self._swap(laid.functions)
        self._levels = laid.levels
        self.level()
        return laid

    def level(self) -> None:
        """Has log lines written as host.json and what lies over it say, for the functions that there are."""
        self._level(self._app.config.levels.under(self._levels))
