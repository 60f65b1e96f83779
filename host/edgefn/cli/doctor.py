"""``edgefn doctor``: what keeps an app from running here, and what to do."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import orjson
import typer

from edgefn.cli.display import counted
from edgefn.cli.opening import app_root, settings_given, state_of
from edgefn.doctor import Line, State, Subject, examine, look_at, without_app
from edgefn.errors import EdgefnError, SettingError


def run_doctor(root: Path | None, state: Path | None, given: tuple[str, ...], *, as_json: bool) -> int:
    """Prints a line a check; 1 when something is wrong."""
    try:
        subject = _subject(root, state, given)
    except EdgefnError as error:
        typer.echo(str(error), err=True)
        return 1
    found = []
    for line in examine(subject):
        found.append(line)
        if not as_json:
            _print(line)
    states = Counter(line.state for line in found)
    if as_json:
        typer.echo(orjson.dumps([asdict(line) for line in found], option=orjson.OPT_INDENT_2).decode())
    else:
        typer.echo(f"\n{states[State.OK]} ok, {counted(states[State.NOTE], 'note')}, {states[State.WRONG]} wrong")
    return 1 if states[State.WRONG] else 0


def _subject(root: Path | None, state: Path | None, given: tuple[str, ...]) -> Subject:
    settings = settings_given(given)
    try:
        folder = app_root(root)
    except SettingError as error:
        folder = root or Path.cwd()
        return without_app(folder, state or state_of(folder), settings, str(error))
    return look_at(folder, state or state_of(folder), settings)


def _print(line: Line) -> None:
    typer.echo(f"{line.state:<7}{line.check:<14}{line.found}")
    if line.remedy:
        typer.echo(f"{'':<21}-> {line.remedy}")
