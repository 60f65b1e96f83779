"""What is known of a timer - Azure Functions' ScheduleStatus - and the file that keeps it over a restart."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import orjson

log = logging.getLogger("Host.Triggers.Timer")

NEVER = "0001-01-01T00:00:00+00:00"
"""How .NET writes a time that is not set."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a timer, all in UTC: Azure Functions' ScheduleStatus."""

    last: datetime | None
    """The invocation before, None when there was none."""
    next: datetime | None
    """The next occurrence; None when the schedule never fires."""
    updated: datetime | None
    """The time from which ``next`` was reckoned."""

    def json(self, zone: tzinfo) -> dict[str, str | None]:
        """``{Last, Next, LastUpdated}`` with ISO 8601 times in the zone of the schedule."""

        def text(moment: datetime | None) -> str | None:
            return moment.astimezone(zone).isoformat() if moment else None

        return {"Last": text(self.last) or NEVER, "Next": text(self.next), "LastUpdated": text(self.updated) or NEVER}

    @classmethod
    def of(cls, document: Any) -> Record:
        """Reads what ``json`` wrote; raises ValueError or KeyError."""
        if not isinstance(document, dict):
            raise ValueError("it is no JSON object")
        return cls(*(_moment(document[name]) for name in ("Last", "Next", "LastUpdated")))


def _moment(text: Any) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(str(text))
    if moment.year == 1:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"'{text}' has no offset")
    return moment.astimezone(UTC)


class Monitor:
    """Keeps the record of one timer in a file, so that a restart sees what was missed.

    A file that can not be used is set aside and counts as missing; a disk that takes nothing does not stop the timer.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failing = False

    def read(self, now: datetime) -> Record | None:
        """The record that was kept last; None when there is none. ``now`` names the file that is set aside."""
        try:
            return Record.of(orjson.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, OverflowError) as error:
            aside = self._path.with_name(f"{self._path.name}.unusable-{now:%Y%m%dT%H%M%S}")
            fault = f"it lacks {error}" if isinstance(error, KeyError) else error
            log.warning(
                "%s: can not be used: %s; it is kept as %s, and the timer starts anew", self._path, fault, aside
            )
            with contextlib.suppress(OSError):
                self._path.replace(aside)
            return None

    def write(self, status: Mapping[str, Any]) -> None:
        """Keeps a record whole or not at all; says once that it can not, until it can again."""
        temporary = self._path.with_name(f"{self._path.name}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(orjson.dumps(status))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
            self._failing = False
        except OSError as error:
            if not self._failing:
                log.warning("%s: can not be written: %s; a restart will not see what was missed", self._path, error)
            self._failing = True
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
