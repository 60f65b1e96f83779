"""``edgefn replay FILE``: a recording through today's code, and what differs."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import orjson
import typer

from edgefn.cli.opening import app_root, settings_given
from edgefn.errors import EdgefnError
from edgefn.logs import logging_to

log = logging.getLogger("edgefn.host")


@dataclass(frozen=True, slots=True)
class ReplayAsked:
    """What the command was asked for."""

    file: Path
    root: Path | None = None
    given: tuple[str, ...] = ()
    tolerance: float = 1e-4
    ignore: tuple[str, ...] = ()
    as_json: bool = False
    update: bool = False


def run_replay(asked: ReplayAsked) -> int:
    """Prints what differs; 0 when nothing does or it was updated, 1 when something does, 2 when it can not be run."""
    from edgefn.testing.kit import load
    from edgefn.testing.recording import read
    from edgefn.testing.replay import clock_of, replay

    with logging_to(sys.stderr, level=logging.WARNING) as handler:
        handler.setLevel(logging.WARNING)
        try:
            recording = read(asked.file)
            folder, given = app_root(asked.root), settings_given(asked.given)
            with load(folder, settings=given, clock=clock_of(recording), environment=os.environ) as kit:
                done = replay(asked.file, recording, kit, tolerance=asked.tolerance, ignore=asked.ignore)
            if asked.update and not done.is_same:
                recording.invocations = done.today
                recording.write(asked.file)
        except EdgefnError as error:
            log.error("%s", error)
            return 2
    if asked.as_json:
        report = {**done.json(), "updated": asked.update and not done.is_same}
        typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
    else:
        typer.echo(done.text())
        if asked.update and not done.is_same:
            typer.echo(f"{asked.file}: now expects what today's code gives")
    return 0 if done.is_same or asked.update else 1
