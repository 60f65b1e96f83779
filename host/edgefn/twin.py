"""Follows the desired properties: reads the twin after each connection, and takes patches by their versions.

    on_state(online) -> read the twin -> accept            on_desired(patch) -> in order? -> accept
                                                                             -> a gap: read the twin

Nobody waits for it: what a hub delivers is noted, and one task works it off. Each version is looked at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgefn.contracts import Hub, HubState, Twin
from edgefn.desired import merged, properties, same
from edgefn.errors import EdgefnError, HubError
from edgefn.pacing import BackOff
from edgefn.supervision import for_ever

log = logging.getLogger("edgefn.twin")

MOST = 100
"""Patches that are kept until their turn; with more the twin is read instead."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one version of the desired properties."""

    version: int
    fault: str = ""
    """Why they are refused, one reason a line; empty when they are in force."""
    warnings: tuple[str, ...] = ()


Accept = Callable[[Mapping[str, Any], int], Awaitable[Verdict]]
"""Applies whole desired properties, without ``$version``, or raises EdgefnError when they are refused."""


class TwinReader:
    """Follows the twin of one hub; ``read`` is told of each twin that was read, ``decided`` of each verdict."""

    def __init__(
        self,
        hub: Hub,
        accept: Accept,
        read: Callable[[Twin], None],
        decided: Callable[[Verdict], None],
        back_off: Callable[[], BackOff] = lambda: BackOff(0.5, 60.0),
    ) -> None:
        self._hub = hub
        self._accept = accept
        self._read = read
        self._decided = decided
        self._make_back_off = back_off
        self._back_off = back_off()
        self._online = False
        self._connections = 0
        self._stale = False
        self._known: Mapping[str, Any] | None = None
        self._version = 0
        self._pending: dict[int, Mapping[str, Any]] = {}
        self._woken = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._task: asyncio.Task[None] | None = None

    # --- what the hub tells --------------------------------------------------------------------------------------

    def on_state(self, state: HubState) -> None:
        """The hub came or went; when it has come, what happened meanwhile is in the twin."""
        self._online = state is HubState.ONLINE
        if self._online:
            self._connections += 1
            self._stale = True
            self._back_off = self._make_back_off()
        self._wake()

    def on_desired(self, patch: Mapping[str, Any]) -> None:
        """A patch came; its ``$version`` says where it belongs."""
        version = patch.get("$version")
        if isinstance(version, int) and not isinstance(version, bool) and len(self._pending) < MOST:
            self._pending[version] = properties(patch)
        else:
            self._stale = True
        self._wake()

    def _wake(self) -> None:
        self._settled.clear()
        self._woken.set()

    # --- lifetime ------------------------------------------------------------------------------------------------

    def start(self, known: Mapping[str, Any] | None, version: int) -> None:
        """Follows from now on; ``known`` are the desired properties that are in force already, None for none."""
        self._known, self._version = known, version
        self._task = asyncio.create_task(for_ever(self._follow, log, "Following the desired properties"), name="twin")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def settled(self) -> None:
        """Returns when everything that came so far was worked off, as far as it can be while the hub is away."""
        await self._settled.wait()

    # --- working off ---------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            if not self._online or not (self._stale or self._pending):
                self._settled.set()
                await self._woken.wait()
            self._woken.clear()
            if self._online and self._stale:
                await self._read_twin()
            elif self._online and self._pending:
                await self._take_patch()

    async def _read_twin(self) -> None:
        self._stale = False  # before it is read: who says so meanwhile has it read once more
        try:
            twin = await self._hub.twin()
        except HubError as error:
            self._stale = True
            await self._pause(f"the twin can not be read: {error}")
            return
        self._pending = {number: patch for number, patch in self._pending.items() if number > twin.version}
        await self._take(properties(twin.desired), twin.version)
        self._read(twin)
        if self._pending and min(self._pending) > self._version + 1:
            self._stale = True
            await self._pause(f"the twin has version {self._version}, and a patch is of {min(self._pending)}")

    async def _pause(self, reason: str) -> None:
        """Waits before another attempt, no longer than this connection lasts."""
        delay, connection = self._back_off.next(), self._connections
        log.info("%s; again in %.1f s", reason, delay)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                while self._online and self._connections == connection:
                    await self._woken.wait()
                    self._woken.clear()

    async def _take_patch(self) -> None:
        version = min(self._pending)
        if version > self._version + 1:
            self._stale = True  # one is missing: the whole twin tells it too
            return
        patch = self._pending.pop(version)
        if version == self._version + 1:
            await self._take(merged(self._known or {}, patch), version)

    async def _take(self, document: Mapping[str, Any], version: int) -> None:
        """Has a document applied, unless it is the one that was looked at last."""
        if self._known is not None and version == self._version and same(document, self._known):
            return
        self._known, self._version = document, version
        self._back_off = self._make_back_off()
        try:
            verdict = await self._accept(document, version)
        except EdgefnError as error:
            verdict = Verdict(version, str(error))
            log.warning("Desired properties, version %d, are refused: %s", version, error)
        except Exception as error:  # a fault of ours: who set them hears of it, and the next ones may do
            verdict = Verdict(version, f"the host failed on it: {type(error).__name__}: {error}")
            log.exception("The host failed on desired properties, version %d; please report it", version)
        self._decided(verdict)
