"""``edgefn build``: the image of an app, by the container engine that is there."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import typer

from edgefn.cli.init import image_files
from edgefn.cli.opening import open_app, settings_given
from edgefn.cli.plan import Plan, tell
from edgefn.deploy.image import Image, build, check, command, engine, usual_tag
from edgefn.errors import EdgefnError


@dataclass(frozen=True, slots=True)
class Build:
    """What the command was asked for."""

    folder: Path
    tag: str = ""
    accelerators: str = "cpu"
    functions: tuple[str, ...] = ()
    arch: str = ""
    given: tuple[str, ...] = ()


def run_build(asked: Build, *, shown_only: bool) -> int:
    """Builds the image, with a Dockerfile written where the app has none; the exit code of the engine."""
    try:
        image = _image(asked)
        check(image)
        if shown_only:
            typer.echo(shlex.join(command(_engine_or_docker(), image)))
            return 0
        chosen = engine()
        _warn(image)
        _write_recipe(image.folder)
    except EdgefnError as error:
        typer.echo(str(error), err=True)
        return 1
    typer.echo(shlex.join(command(chosen, image)))
    return build(chosen, image)


def _image(asked: Build) -> Image:
    if len(asked.functions) > 1:
        raise EdgefnError(
            f"--functions {' '.join(asked.functions)}: takes one folder or file; the folder of the app goes before it"
        )
    return Image(
        folder=asked.folder,
        tag=asked.tag or usual_tag(asked.folder),
        accelerators=asked.accelerators.lower(),
        functions="".join(asked.functions),
        arch=asked.arch,
        arguments=settings_given(asked.given, "--build-arg"),
    )


def _engine_or_docker() -> str:
    try:
        return engine()
    except EdgefnError:
        return "docker"


def _warn(image: Image) -> None:
    """Of what the app asks for and its image will not have; what else is wrong with it is ``edgefn check``'s."""
    from edgefn.deploy.extras import lacking_extras

    try:
        warnings = list(lacking_extras(open_app(image.folder, (), ())))
    except EdgefnError:
        return
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)


def _write_recipe(folder: Path) -> None:
    """What ``edgefn init`` makes for the image, for an app that was not made by it."""
    if not (folder / "Dockerfile").exists():
        tell(Plan(folder, shared=image_files()).write())
