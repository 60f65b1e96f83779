"""The clock: tokens, certificates, and the ages of messages go by it. Compared with what the machine itself knows."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from edgefn.doctor.lines import Line, note, ok, wrong
from edgefn.doctor.subject import Subject
from edgefn.doctor.waiting import opened
from edgefn.spool import FILE

EARLIEST, LATEST = 2026, 2100
"""Years; this edgefn was made in the first."""
SLACK = 120.0
"""Seconds: files may come from a machine whose clock is not the same."""
SET = "set it: timedatectl set-ntp true, or a battery for the clock; TLS and tokens fail until then"


def check_clock(subject: Subject, now: float | None = None) -> Iterator[Line]:
    """``now`` are seconds since the epoch; None for the clock's own."""
    now = time.time() if now is None else now
    shown = _shown(now)
    newest, of = max([_newest(subject.root), _last(subject.state)], default=(0.0, ""))
    if not EARLIEST <= datetime.fromtimestamp(now, UTC).year < LATEST:
        yield wrong("clock", f"{shown} can not be", SET)
    elif now < newest - SLACK:
        yield wrong("clock", f"{shown} is before {_shown(newest)}, the time of {of}", SET)
    else:
        yield ok("clock", f"{shown}, after all that lies here")
    yield from _synchronised()


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _newest(root: Path) -> tuple[float, str]:
    """The youngest file of the app, and its time."""
    files = [root / "host.json", *root.glob("*.py"), *root.glob("functions/**/*.py")]
    times = [(path.stat().st_mtime, str(path)) for path in files if path.is_file()]
    return max(times, default=(0.0, ""))


def _last(state: Path) -> tuple[float, str]:
    """When a host last kept the time in its spool, by the clock of then."""
    path = state / FILE
    if path.is_file():
        with contextlib.suppress(sqlite3.Error, TypeError), contextlib.closing(opened(path)) as connection:
            kept = dict(connection.execute("SELECT name, value FROM meta WHERE name IN ('last', 'jumped')").fetchall())
            return float(kept.get("last", 0.0)) + float(kept.get("jumped", 0.0)), f"the last run on {path}"
    return 0.0, ""


def _synchronised() -> Iterator[Line]:
    """What systemd says of NTP; nothing where it is not there, as in a container."""
    command = shutil.which("timedatectl")
    if command is None:
        return
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        asked = [command, "show", "--property=NTPSynchronized", "--value"]
        said = subprocess.run(asked, capture_output=True, encoding="utf-8", timeout=3, check=True).stdout.strip()
        if said == "yes":
            yield ok("clock", "synchronised by NTP")
        elif said == "no":
            yield note("clock", "not synchronised by NTP", "timedatectl set-ntp true; let UDP port 123 out")
