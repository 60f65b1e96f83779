"""What operators steer the host by, from far away: direct methods, desired and reported properties."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from edgefn.errors import SettingError
from edgefn.extensions import read_extension
from edgefn.function import Function, Options, Seconds
from edgefn.kept import Kept
from edgefn.loader.overlaid import settings_of
from edgefn.log_levels import Levels
from edgefn.log_ring import LogRing
from edgefn.overlay import Overlay
from edgefn.redaction import hold, secrets_in
from edgefn.reported import Account, Reporter
from edgefn.settings import HostConfig
from edgefn.sink import Sink
from edgefn.twin import TwinReader, Verdict

if TYPE_CHECKING:
    from edgefn.host import Host

log = logging.getLogger("edgefn.twin")

AGAIN = 10.0
"""Seconds until desired properties are written again that found no room."""


class TwinOptions(Options):
    """``extensions.twin`` of host.json."""

    report_interval: Seconds = Field(default=5.0, gt=0)
    """Seconds between two reports at least, and between two looks whether there is something to report."""


def twin_options(root: Path, config: HostConfig) -> TwinOptions:
    """The options of host.json; raises SettingError."""
    return read_extension(TwinOptions, root, config, "twin")


class Operation:
    """The far side of one host, while that runs."""

    def __init__(self, host: Host) -> None:
        app, services = host.app, host.app.services
        self._host = host
        self._services = services
        self._kept = Kept(
            services.state / "desired.json", "the host starts without these properties until it has the hub's"
        )
        self._writing = asyncio.Lock()
        self._keeps_on = False
        """Whether it is tried again to keep the desired properties."""
        self.ring = LogRing()
        self._tasks: set[asyncio.Task[None]] = set()
        self.overlay = Overlay(app, host.swap, self._level)
        self._account = Account(host.status, lambda: self.overlay.in_force)
        options = twin_options(app.root, app.config)
        self._reporter = Reporter(services.hub, self._account, options.report_interval)
        self.twin = TwinReader(services.hub, self._accept, self._reporter.read, self._reporter.decided)
        watchers = (services.spool.on_state, self._reporter.on_state)
        self.sink = Sink(services.spool.inbox.on_input, services.methods, self.twin, watchers)

    async def open(self) -> list[Function]:
        """The functions as the desired properties want them that were in force last, before any of them is opened."""
        logging.getLogger().addHandler(self.ring)
        for answers in self._host.app.manager.hook.edgefn_methods(host=self._host):
            self._services.methods.offer(answers)
        kept = await asyncio.to_thread(self._kept.read)
        if kept is None:
            return []
        try:
            document, version = dict(kept["properties"]), int(kept["version"])
            self._keep_secret(document)
            functions = self.overlay.lay(document).functions
        except (SettingError, KeyError, TypeError, ValueError) as error:
            log.warning("The desired properties that were in force last can not be used any more: %s", error)
            return []
        self._services.desired.accept(document, version)
        self._account.verdict = Verdict(version)
        return functions

    def start(self) -> None:
        """Follows the twin, and reports, from now on."""
        desired = self._services.desired
        self.twin.start(desired.document, desired.version)
        self._reporter.start()

    async def stop(self) -> None:
        """Follows and reports no more; what is asked by direct methods is answered until ``close``."""
        await self.twin.stop()
        await self._reporter.stop()

    @property
    def verdict(self) -> Verdict | None:
        """What became of the newest desired properties; None before the first."""
        return self._account.verdict

    @property
    def reported(self) -> Mapping[str, Any]:
        """What is told in the reported properties."""
        return self._account.document()

    def soon(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Has something done that nobody waits for, as long as the host runs."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Ends what was asked for and still runs."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        await self._services.methods.close()
        logging.getLogger().removeHandler(self.ring)

    def _level(self, levels: Levels) -> None:
        if self._host.level_lines is not None:
            self._host.level_lines(levels, self._host.app.names)

    def _keep_secret(self, *documents: Mapping[str, Any]) -> None:
        """Keeps what the settings of documents hold out of all that is told, whether they are refused or not."""
        hold("desired", {secret for document in documents for secret in secrets_in(settings_of(document))})

    async def _accept(self, document: Mapping[str, Any], version: int) -> Verdict:
        """Puts desired properties in force, and keeps them for a start without the hub."""
        self._keep_secret(document, self.overlay.in_force)
        warnings = await self.overlay.accept(document)
        before = self._services.desired.document
        self._services.desired.accept(document, version)
        if document or before:  # most twins have none
            await self._keep()
            if self._kept.is_behind and not self._keeps_on:
                self.soon(self._keep_later(), "keep desired")
            log.info("Desired properties, version %d, are in force", version)
        for warning in warnings:
            log.warning("Desired properties, version %d: %s", version, warning)
        return Verdict(version, warnings=tuple(warnings))

    async def _keep(self) -> None:
        """Writes the properties that are in force; of two that do, the later one writes the later ones."""
        async with self._writing:
            desired = self._services.desired
            await asyncio.to_thread(self._kept.write, {"version": desired.version, "properties": desired.document})

    async def _keep_later(self) -> None:
        """Keeps the properties that are in force as soon as that can be."""
        self._keeps_on = True
        try:
            while self._kept.is_behind:
                await asyncio.sleep(AGAIN)
                await self._keep()
        finally:
            self._keeps_on = False
