"""The time that timers live in: a clock, and the zone of schedules."""

from __future__ import annotations

import asyncio
import warnings
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from edgefn.errors import SettingError, nearest
from edgefn.settings import Settings


class Clock(Protocol):
    """The time that a timer lives in."""

    def now(self) -> datetime:
        """The wall-clock time, aware, in UTC. It may step, and stand still while nobody looks."""

    async def sleep(self, seconds: float) -> None:
        """Waits for about so long; cancelling it loses nothing."""


class WallClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def time_zone(settings: Settings) -> tzinfo:
    """The zone of schedules: ``WEBSITE_TIME_ZONE``, else ``TZ``, else that of the machine, else UTC.

    The settings hold an IANA name, a Windows name, or (TZ) the path of a file as in /usr/share/zoneinfo. Raises
    SettingError for a zone that is not known.
    """
    for setting in ("WEBSITE_TIME_ZONE", "TZ"):
        if name := (settings.get(setting) or "").strip().removeprefix(":"):
            return _named_zone(setting, name)
    return _machine_zone()


def _named_zone(setting: str, name: str) -> tzinfo:
    from tzlocal.windows_tz import win_tz

    iana = next((zone for windows, zone in win_tz.items() if windows.lower() == name.lower()), name)
    try:
        if Path(iana).is_absolute():
            with Path(iana).open("rb") as file:
                return ZoneInfo.from_file(file, key=iana)
        return ZoneInfo(iana)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingError(
            f"{setting}: '{name}' is no known time zone; a name like Europe/Berlin or W. Europe Standard Time would be "
            f"right{nearest(name, {*available_timezones(), *win_tz})}"
        ) from None


def _machine_zone() -> tzinfo:
    from tzlocal import get_localzone

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a container that names no zone has UTC, which is nothing to warn of
        try:
            return get_localzone()
        except ZoneInfoNotFoundError as error:
            raise SettingError(
                f"the time zone of this machine is not known ({error}); set WEBSITE_TIME_ZONE, e.g. to Europe/Berlin"
            ) from None
