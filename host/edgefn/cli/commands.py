"""The commands and their options; each one's work is in a module of its own, imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgefn.cli import running
from edgefn.cli.arguments import Given, Json, Only, Root, State
from edgefn.cli.models import model
from edgefn.cli.shipping import deploy, manifest
from edgefn.cli.stand_in import hub
from edgefn.cli.starting import start

commands = typer.Typer(
    name="edgefn",
    help="Azure Functions in Python on live video, next to the camera.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FIRST = "video-detection"
"""The template of an app's first function."""


def _version(wanted: bool) -> None:
    if wanted:
        from edgefn import __version__

        typer.echo(__version__)
        raise typer.Exit


@commands.callback()
def edgefn(
    version: Annotated[
        bool, typer.Option("--version", "-v", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Azure Functions in Python on live video, next to the camera."""


commands.command()(start)


@commands.command()
def demo(
    name: Annotated[str | None, typer.Argument(help="A demo; none to list them.")] = None,
    folder: Annotated[Path | None, typer.Option("--folder", help="Keeps the app; else it is gone at the end.")] = None,
    port: Annotated[int | None, typer.Option("--port", "-p", min=0, max=65535, help="The port; else 7071.")] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page, on a display.")] = True,
    max_seconds: Annotated[float | None, typer.Option("--max-seconds", min=0.1, help="Ends after so long.")] = None,
) -> None:
    """Run an app over the sample data, and open its page."""
    from edgefn.cli.demo import DemoAsked, run_demo

    raise typer.Exit(run_demo(DemoAsked(name, folder, port, browser, max_seconds)))


@commands.command("list")
def list_functions(
    root: Root = None,
    only: Only = None,
    given: Given = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show functions, bindings and errors."""
    from edgefn.cli.show import run_list

    raise typer.Exit(run_list(root, tuple(only or ()), tuple(given or ()), as_json=as_json))


@commands.command()
def check(
    root: Root = None,
    only: Only = None,
    given: Given = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check an app without running it; 1 when something is wrong."""
    from edgefn.cli.show import run_check

    raise typer.Exit(run_check(root, tuple(only or ()), tuple(given or ()), as_json=as_json))


@commands.command()
def doctor(
    root: Root = None,
    state: State = None,
    given: Given = None,
    as_json: Annotated[bool, typer.Option("--json", help="A list of JSON objects.")] = False,
) -> None:
    """Find what keeps an app from running here, and what to do; 1 when something is wrong."""
    from edgefn.cli.doctor import run_doctor

    raise typer.Exit(run_doctor(root, state, tuple(given or ()), as_json=as_json))


@commands.command()
def run(
    function: Annotated[str, typer.Argument(help="The name of the function.")],
    text: Annotated[
        str | None, typer.Option("--input", help="What the event is made of: a body, a picture, a source.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A file with that text.")] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read that text from the standard input.")] = False,
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", metavar="NAME=VALUE", help="A property of the message.")
    ] = None,
    root: Root = None,
    given: Given = None,
) -> None:
    """Run a function once; print what it returns and sets."""
    from edgefn.cli.run import Run, run_function

    asked = Run(function, text, file, stdin, tuple(metadata or ()), root, tuple(given or ()))
    raise typer.Exit(run_function(asked))


@commands.command("record")
def record_function(
    function: Annotated[str, typer.Argument(help="The name of the function.")],
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="How long the app runs.")] = 10.0,
    out: Annotated[Path | None, typer.Option("--out", help="The file; else FUNCTION.edgefn.")] = None,
    root: Root = None,
    given: Given = None,
) -> None:
    """Run the app for some seconds; keep a function's events and results."""
    from edgefn.cli.record import RecordAsked, run_record

    raise typer.Exit(run_record(root, tuple(given or ()), RecordAsked(function, seconds, out)))


@commands.command()
def replay(
    file: Annotated[Path, typer.Argument(help="A recording.")],
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0.0, help="By how much fractions may differ, as a share or by itself.")
    ] = 1e-4,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="PATH", help="A place that may differ: '*.timestamp'.")
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="Write today's results into the file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    root: Root = None,
    given: Given = None,
) -> None:
    """Run a recording through today's code; 1 when the results differ."""
    from edgefn.cli.replay import ReplayAsked, run_replay

    asked = ReplayAsked(file, root, tuple(given or ()), tolerance, tuple(ignore or ()), as_json, update)
    raise typer.Exit(run_replay(asked))


@commands.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The folder of the app, made where it is not there.")] = Path("."),
    template: Annotated[str, typer.Option("--template", "-t", help="Of what its first function is made.")] = FIRST,
    name: Annotated[str | None, typer.Option("--name", "-n", help="The name of that function.")] = None,
    empty: Annotated[bool, typer.Option("--empty", help="An app without a function.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
) -> None:
    """Make an app, with a first function that runs at once."""
    from edgefn.cli.init import Init, run_init

    raise typer.Exit(run_init(Init(folder, template, name, empty, force)))


@commands.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def new(
    context: typer.Context,
    template: Annotated[str | None, typer.Option("--template", "-t", help="A template; or how it begins.")] = None,
    name: Annotated[str | None, typer.Option("--name", "-n", help="The name of the function.")] = None,
    root: Root = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    export: Annotated[
        Path | None,
        typer.Option("--from-custom-vision", metavar="ZIP-OR-FOLDER", help="A model that Custom Vision has exported."),
    ] = None,
) -> None:
    """Add a function made of a template. Told nothing, it asks. More options: edgefn templates list --json."""
    from edgefn.cli.new import New, run_new

    raise typer.Exit(run_new(New(template, name, tuple(context.args), root, force, export)))


@commands.command()
def build(
    folder: Annotated[Path, typer.Argument(help="The folder of the app.")] = Path("."),
    tag: Annotated[str, typer.Option("--tag", "-t", help="What the image is called; else as the folder.")] = "",
    accelerators: Annotated[str, typer.Option("--accelerators", help="cpu, gpu, npu, or gpu,npu.")] = "cpu",
    functions: Annotated[
        list[str] | None, typer.Option("--functions", help="A folder or file of the app, for its functions/.")
    ] = None,
    arch: Annotated[str, typer.Option("--arch", help="amd64 or arm64; else that of this machine.")] = "",
    given: Annotated[
        list[str] | None, typer.Option("--build-arg", metavar="NAME=VALUE", help="A further build argument.")
    ] = None,
    shown_only: Annotated[bool, typer.Option("--print", help="Print the command, and do nothing.")] = False,
) -> None:
    """Build the image of an app, with docker, podman or buildah."""
    from edgefn.cli.build import Build, run_build

    asked = Build(folder, tag, accelerators, tuple(functions or ()), arch, tuple(given or ()))
    raise typer.Exit(run_build(asked, shown_only=shown_only))


templates = typer.Typer(help="What edgefn new makes functions of.", no_args_is_help=True, rich_markup_mode=None)
commands.add_typer(templates, name="templates")


@templates.command("list")
def list_templates(as_json: Json = False) -> None:
    """Show the templates, a line each."""
    from edgefn.cli import templates as work

    raise typer.Exit(work.list_templates(as_json=as_json))


settings = typer.Typer(help="Show and change local.settings.json.", no_args_is_help=True, rich_markup_mode=None)
commands.add_typer(settings, name="settings")


@settings.command("list")
def list_settings(
    root: Root = None,
    show_value: Annotated[bool, typer.Option("--show-value", "--showValue", "-a", help="Show the values too.")] = False,
) -> None:
    """Show the names of the settings."""
    from edgefn.cli import app_settings

    raise typer.Exit(app_settings.list_settings(root, show_value=show_value))


@settings.command("add")
def set_setting(
    name: Annotated[str, typer.Argument(help="The setting.")],
    value: Annotated[str, typer.Argument(help="Its value.")],
    root: Root = None,
) -> None:
    """Add a setting, or give it another value."""
    from edgefn.cli import app_settings

    raise typer.Exit(app_settings.set_setting(root, name, value))


@settings.command("delete")
def delete_setting(name: Annotated[str, typer.Argument(help="The setting.")], root: Root = None) -> None:
    """Remove a setting."""
    from edgefn.cli import app_settings

    raise typer.Exit(app_settings.delete_setting(root, name))


for command in (
    running.send,
    running.tail,
    running.status,
    running.health,
    running.logs,
    running.invoke,
    running.spool,
):
    commands.command()(command)
commands.add_typer(running.host_twin, name="twin")
commands.add_typer(running.cable, name="cable")
commands.add_typer(running.dead_letter, name="dead-letter")
commands.add_typer(model, name="model")
commands.add_typer(manifest, name="manifest")
commands.command("deploy")(deploy)
commands.add_typer(hub, name="hub")
