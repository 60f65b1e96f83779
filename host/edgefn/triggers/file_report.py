"""What is told of the files of one function: in the log, once until it is over; in the status; in the metrics."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Container, Mapping
from itertools import islice
from typing import Any

from edgefn.contracts import Services

log = logging.getLogger("edgefn.files")

TOLD = 10
"""Files that are named in the log and the status, where there are many."""


class Counters:
    """What is counted of all functions."""

    def __init__(self, services: Services) -> None:
        self._metrics = services.metrics
        counter, labels = services.metrics.counter, ("function", "cause")
        self._arrived = counter("edgefn_files_arrived", "Files that became messages", ("function",))
        self._skipped = counter("edgefn_files_skipped", "Files that a function did not get, by cause", labels)

    def arrived(self, function: str) -> None:
        self._arrived.labels(function).inc()

    def skipped(self, function: str, cause: str) -> None:
        self._skipped.labels(function, cause).inc()

    def failed(self, function: str, fault: str) -> None:
        self._metrics.function(function).last_error = fault


class FileReport:
    """See the module's text."""

    def __init__(self, function: str, counters: Counters) -> None:
        self._function = function
        self._counters = counters
        self._arrived = 0
        self._skipped: Counter[str] = Counter()
        self._unreadable: dict[str, str] = {}
        self._faults: dict[str, str] = {}

    def arrived(self) -> None:
        self._arrived += 1
        self._counters.arrived(self._function)

    def skipped(self, cause: str) -> None:
        self._skipped[cause] += 1
        self._counters.skipped(self._function, cause)

    def unfit(self, name: str, error: Exception) -> None:
        """A file is not what the function wants, and became a dead letter."""
        self.skipped("unfit")
        self._counters.failed(self._function, str(error))
        log.error("Function '%s' does not get %s, which is a dead letter: %s", self._function, name, error)

    def unreadable(self, path: str, fault: str) -> None:
        """A file can not be read; it is tried again with each look."""
        if path in self._unreadable:
            return
        self.skipped("unreadable")
        if len(self._unreadable) < TOLD:
            told = _as_text(path), fault, self._function
            log.warning("%s can not be read: %s; function '%s' gets it when it can", *told)
        self._unreadable[path] = fault

    def readable(self, path: str) -> None:
        self._unreadable.pop(path, None)

    def only(self, paths: Container[str]) -> None:
        """Forgets what was told of other files, since they are not there any more."""
        self._unreadable = {path: fault for path, fault in self._unreadable.items() if path in paths}

    def fault(self, about: str, fault: str) -> None:
        """Something keeps all files from the function, or does so no longer."""
        known = self._faults.pop(about, "")
        if fault:
            self._faults[about] = fault
        if fault and not known:
            log.warning("%s; function '%s' waits, and it is tried again", fault, self._function)
        elif known and not fault:
            log.info("Function '%s' waits no longer: this is over: %s", self._function, known)

    def status(self) -> Mapping[str, Any]:
        some = {_as_text(path): fault for path, fault in islice(self._unreadable.items(), TOLD)}
        return {
            "state": "waiting" if self._faults else "watching",
            **({"fault": "; ".join(self._faults.values())} if self._faults else {}),
            "arrived": self._arrived,
            "skipped": dict(self._skipped),
            **({"unreadable": some} if some else {}),
        }


def _as_text(path: str) -> str:
    """A path as it may be shown, whatever bytes its name is made of."""
    return path.encode(errors="replace").decode()
