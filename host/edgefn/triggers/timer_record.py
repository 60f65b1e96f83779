"""What is known of a timer: Azure Functions' ScheduleStatus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

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
    def of(cls, document: Mapping[str, Any]) -> Record:
        """Reads what ``json`` wrote; raises ValueError or KeyError."""
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
