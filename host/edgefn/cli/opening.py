"""Which app a command means, and how it is opened."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edgefn.errors import SettingError, listing

if TYPE_CHECKING:
    from edgefn.loader import App

PACKAGED = Path(__file__).parents[1] / "sample_app"
SCRIPT_ROOT = "AzureWebJobsScriptRoot"
STATE = "EDGEFN_STATE"
CHECKOUT = Path(__file__).parents[3]


def open_app(
    root: Path | None,
    only: tuple[str, ...],
    given: tuple[str, ...],
    state: Path | None = None,
    plugins: Sequence[object] = (),
) -> App:
    """Loads the app that was asked for; raises SettingError."""
    from edgefn.loader import load_app

    folder = app_root(root)
    return load_app(folder, given=settings_given(given), only=only, state=state or state_of(folder), plugins=plugins)


def state_asked(root: Path | None, state: Path | None) -> Path:
    """The state folder that a command means; the app is looked for only where nothing names the folder."""
    named = os.environ.get(STATE)
    return state or (Path(named) if named else state_of(app_root(root)))


def state_of(folder: Path) -> Path:
    """The state folder of an app, that of ``EDGEFN_STATE``; the packaged sample's is here: it may be read-only."""
    if named := os.environ.get(STATE):
        return Path(named)
    return (Path.cwd() if folder == PACKAGED else folder) / ".edgefn"


def app_root(asked: Path | None) -> Path:
    """The folder asked for, that of ``AzureWebJobsScriptRoot``, this one; the built-in sample when this is no app."""
    from edgefn.imports import has_functions

    named = os.environ.get(SCRIPT_ROOT)
    chosen = asked or (Path(named) if named else None)
    folder = chosen or Path.cwd()
    by_variable = f"{SCRIPT_ROOT} " if asked is None and named else ""
    if not folder.is_dir():
        raise SettingError(f"{by_variable}{folder}: is no folder; name the one with host.json")
    if (folder / "host.json").exists() or has_functions(folder):
        return folder
    if chosen is None:
        sample = PACKAGED if PACKAGED.exists() else CHECKOUT
        typer.echo(f"There is no app in {folder}: no host.json. Taking the sample in {sample}", err=True)
        typer.echo("An app of your own: edgefn init", err=True)
        return sample
    found = listing(sorted(path.name for path in folder.iterdir())[:10])
    raise SettingError(f"{by_variable}{folder}: is no app: no host.json, functions/, function_app.py; it has {found}")


def settings_given(given: tuple[str, ...], option: str = "--set") -> dict[str, str]:
    """``NAME=VALUE`` texts as a mapping; raises SettingError for one without a name or a =."""
    for text in given:
        if not text.partition("=")[0].strip() or "=" not in text:
            raise SettingError(f"{option} {text}: should be NAME=VALUE")
    return {text.partition("=")[0].strip(): text.partition("=")[2] for text in given}
