"""The commands and their options; each one's work is in a module of its own, imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

commands = typer.Typer(
    name="edgefn",
    help="Azure Functions in Python on live video, next to the camera.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Root = Annotated[
    Path | None,
    typer.Option("--script-root", help="The folder with host.json; else AzureWebJobsScriptRoot, else this folder."),
]
Only = Annotated[list[str] | None, typer.Option("--functions", metavar="NAME ...", help="Only these functions.")]
Given = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting, over environment and files.")
]
State = Annotated[Path | None, typer.Option("--state", help="The folder for the host's files; else .edgefn.")]


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


@commands.command()
def start(
    root: Root = None,
    only: Only = None,
    given: Given = None,
    state: State = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="Leave when every source has ended.")] = False,
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", min=0.0, help="Leave after so many seconds.")
    ] = None,
    upstream: Annotated[bool, typer.Option("--upstream", help="Print each message that goes to IoT Hub.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Log lines as JSON objects.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="More log lines: one for each invocation.")] = False,
    port: Annotated[
        int | None, typer.Option("--port", "-p", min=0, max=65535, help="The port; else 7071, 8080 in a module.")
    ] = None,
    address: Annotated[str | None, typer.Option("--address", help="The address; else 127.0.0.1.")] = None,
    cors: Annotated[str | None, typer.Option("--cors", help="Origins that browsers may call from, or *.")] = None,
    cors_credentials: Annotated[bool, typer.Option("--cors-credentials", help="Let them send credentials.")] = False,
    enable_auth: Annotated[bool, typer.Option("--enable-auth", "--enableAuth", help="Ask for keys.")] = False,
) -> None:
    """Run an app, or the sample where there is none."""
    from edgefn.cli.start import Start, run_start
    from edgefn.web.options import Asked

    named, settings = tuple(only or ()), tuple(given or ())
    web = Asked(port, address, cors, cors_credentials, enable_auth)
    asked = Start(root, named, settings, state, until_end, max_seconds, upstream, as_json, verbose, web)
    raise typer.Exit(run_start(asked))


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
