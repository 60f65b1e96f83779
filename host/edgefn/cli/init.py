"""``edgefn init``: an app in a folder, with a first function that runs at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer

from edgefn import __version__
from edgefn.cli.generate import check_name, generated
from edgefn.cli.new import tell_next, told
from edgefn.cli.plan import Plan, tell
from edgefn.cli.templates import Template, files_in, filled, find, home
from edgefn.deploy.image import recipe
from edgefn.errors import EdgefnError
from edgefn.imports import has_functions

DISGUISES = {"dot-": ".", "own-": ""}
"""How the names of files begin that git, ruff and others would obey where the templates are kept."""


@dataclass(frozen=True, slots=True)
class Init:
    """What the command was asked for."""

    folder: Path
    template: str
    name: str | None = None
    empty: bool = False
    force: bool = False


def run_init(asked: Init) -> int:
    """Makes the app and says what there is to do next; 1 when it could not be made."""
    try:
        if asked.empty:
            _make_app(asked)
            tell_next(asked.folder, {"edgefn templates list": "what there is", "edgefn new": "add a function"})
        else:
            template = find(asked.template)
            check_name(asked.folder, template, asked.name or template.function, force=asked.force)
            _make_app(asked)
            _make_function(asked, template)
    except EdgefnError as error:
        typer.echo(str(error), err=True)
        return 1
    return 0


def _make_app(asked: Init) -> None:
    folder = asked.folder
    if folder.exists() and not folder.is_dir():
        raise EdgefnError(f"{folder}: is a file; name a folder, which may be new")
    if ((folder / "host.json").exists() or has_functions(folder)) and not asked.force:
        raise EdgefnError(f"{folder}: is an app already; edgefn new adds a function, --force writes over it")
    lines = make_app(folder, force=asked.force)
    typer.echo(f"App in {folder.resolve()}:")
    tell(lines)


def make_app(folder: Path, *, force: bool = False) -> list[str]:
    """Writes an app without functions, and gives a line for each file; raises EdgefnError."""
    lines = Plan(folder, force, shared=dict(_files())).write()
    (folder / "functions").mkdir(exist_ok=True)
    return lines


def _files() -> Iterator[tuple[str, bytes]]:
    yield "Dockerfile", recipe().encode()
    source = home() / "_app"
    for path in files_in(source):
        target = path.relative_to(source).as_posix()
        for disguise, real in DISGUISES.items():
            target = target.replace(disguise, real)
        yield target, filled(path.read_text(encoding="utf-8"), {"version": __version__}).encode()


def image_files() -> dict[str, bytes]:
    """What says how the image of an app is built."""
    return {name: text for name, text in _files() if name in ("Dockerfile", ".dockerignore")}


def _make_function(asked: Init, template: Template) -> None:
    name = asked.name or template.function
    result = generated(asked.folder, template, name, {}, force=asked.force)
    told(result, result.plan.write(), name, template)
