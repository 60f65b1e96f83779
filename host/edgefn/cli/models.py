"""The commands for model files, and their options; their work is in ``model.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgefn.cli.arguments import Json

model = typer.Typer(help="Look at, convert and time model files.", no_args_is_help=True, rich_markup_mode=None)

ModelFile = Annotated[Path, typer.Argument(metavar="MODEL", help="The file: .xml, .onnx, .pb, .tflite, .pdmodel.")]
SessionOption = Annotated[
    list[str] | None, typer.Option("--option", metavar="NAME=VALUE", help="An option of the session: color_order=rgb.")
]


@model.command("inspect")
def inspect_model(file: ModelFile, given: SessionOption = None, as_json: Json = False) -> None:
    """Show what a model holds, and what a session of it would be."""
    from edgefn.cli import model as work

    raise typer.Exit(work.inspect(file, tuple(given or ()), as_json=as_json))


@model.command("convert")
def convert_model(
    file: ModelFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write; its weights lie beside it.")],
    half: Annotated[bool, typer.Option("--fp16/--fp32", help="How weights are written.")] = True,
    int8: Annotated[bool, typer.Option("--int8", help="Calculate in integers; by edgefn[int8] and pictures.")] = False,
    pictures: Annotated[
        Path | None,
        typer.Option("--calibration", metavar="FOLDER", help="Pictures like those to come, in folders by name."),
    ] = None,
    given: SessionOption = None,
    as_json: Json = False,
) -> None:
    """Write a model as OpenVINO IR, and compare both."""
    from edgefn.cli import model as work

    asked = work.Convert(file, out, half, int8, pictures, tuple(given or ()))
    raise typer.Exit(work.convert(asked, as_json=as_json))


@model.command("bench")
def bench_model(
    file: ModelFile,
    device: Annotated[str, typer.Option("--device", help="CPU, GPU, NPU, AUTO, ...")] = "CPU",
    picture: Annotated[
        Path | None, typer.Option("--picture", help="What the session is given; else a drawn frame, 1280x720.")
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=60, help="For each of four ways.")] = 5.0,
    given: SessionOption = None,
    as_json: Json = False,
) -> None:
    """Time a model by a session, beside OpenVINO alone."""
    from edgefn.cli import model as work

    raise typer.Exit(work.bench(file, device, picture, tuple(given or ()), seconds, as_json=as_json))
