"""Tells plugins of what happens. One that fails on it is named in the log, and keeps nothing from going on."""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any

from pluggy import PluginManager

from edgefn.contracts import Event, Outcome, Services
from edgefn.function import Function

log = logging.getLogger("edgefn.host")


class Telling:
    """What the plugins of one host are told."""

    def __init__(self, manager: PluginManager) -> None:
        self._hooks = manager.hook
        self._failed: Counter[str] = Counter()

    def started(self, services: Services) -> None:
        self._tell("edgefn_host_started", services=services)

    def stopped(self, services: Services) -> None:
        self._tell("edgefn_host_stopped", services=services)

    def of_ends(self, function: Function) -> Callable[[Event, Outcome], None] | None:
        """Tells how invocations of a function ended; None where nobody wants to hear of it."""
        if not self._hooks.edgefn_invocation_ended.get_hookimpls():
            return None
        return lambda event, outcome: self._tell(
            "edgefn_invocation_ended", function=function, event=event, outcome=outcome
        )

    def _tell(self, name: str, **given: Any) -> None:
        try:
            getattr(self._hooks, name)(**given)
        except Exception as error:  # a plugin's own fault
            self._failed[name] += 1
            if (times := self._failed[name]).bit_count() == 1:
                place = traceback.extract_tb(error.__traceback__)[-1]
                where, what = f"{place.filename}:{place.lineno}", f"{type(error).__name__}: {error}"
                log.error("%s: a plugin failed in its hook %s (%d times by now): %s", where, name, times, what)
