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
    user_log_level: Annotated[
        str, typer.Option("--user-log-level", help="Lowest level of the functions' own lines: debug, info, ...")
    ] = "info",
    debug_port: Annotated[
        int | None,
        typer.Option("--debug-port", min=1, max=65535, help="Wait for a debugger; --debug[=PORT] is the same, 5678."),
    ] = None,
) -> None:
    """Run an app, or the sample where there is none."""
    from edgefn.cli.start import Start, run_start
    from edgefn.web.options import Asked

    asked = Start(
        root=root,
        only=tuple(only or ()),
        given=tuple(given or ()),
        state=state,
        until_end=until_end,
        max_seconds=max_seconds,
        upstream=upstream,
        as_json=as_json,
        verbose=verbose,
        user_log_level=user_log_level,
        debug_port=debug_port,
        web=Asked(port, address, cors, cors_credentials, enable_auth),
    )
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


@commands.command()
def run(
    function: Annotated[str, typer.Argument(help="The name of the function.")],
    text: Annotated[str | None, typer.Option("--input", help="What the event is made of: a body, a picture.")] = None,
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


Json = Annotated[bool, typer.Option("--json", help="One JSON value.")]
Numbers = Annotated[list[int] | None, typer.Argument(help="The numbers of dead letters.")]
Everything = Annotated[bool, typer.Option("--all", help="All of them.")]


@commands.command()
def spool(root: Root = None, state: State = None, as_json: Json = False) -> None:
    """Show how many messages wait, and since when."""
    from edgefn.cli.spool import show_spool

    raise typer.Exit(show_spool(root, state, as_json=as_json))


dead_letter = typer.Typer(help="Messages that failed for good.", no_args_is_help=True, rich_markup_mode=None)
commands.add_typer(dead_letter, name="dead-letter")


@dead_letter.command("list")
def list_dead_letters(
    root: Root = None,
    state: State = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest.")] = 50,
    as_json: Json = False,
) -> None:
    """Show dead letters, a line each."""
    from edgefn.cli.spool import list_letters

    raise typer.Exit(list_letters(root, state, limit, as_json=as_json))


@dead_letter.command("show")
def show_dead_letter(number: int, root: Root = None, state: State = None) -> None:
    """Show one with its body, reason and traceback."""
    from edgefn.cli.spool import show_letter

    raise typer.Exit(show_letter(root, state, number))


@dead_letter.command("replay")
def replay_dead_letters(
    numbers: Numbers = None, everything: Everything = False, root: Root = None, state: State = None
) -> None:
    """Put them back: their function, or the hub, gets them again."""
    from edgefn.cli.spool import replay_letters

    raise typer.Exit(replay_letters(root, state, numbers or [], everything=everything))


@dead_letter.command("discard")
def discard_dead_letters(
    numbers: Numbers = None, everything: Everything = False, root: Root = None, state: State = None
) -> None:
    """Remove them for good."""
    from edgefn.cli.spool import discard_letters

    raise typer.Exit(discard_letters(root, state, numbers or [], everything=everything))


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
def set_setting(name: str, value: str, root: Root = None) -> None:
    """Add a setting, or give it another value."""
    from edgefn.cli import app_settings

    raise typer.Exit(app_settings.set_setting(root, name, value))


@settings.command("delete")
def delete_setting(name: str, root: Root = None) -> None:
    """Remove a setting."""
    from edgefn.cli import app_settings

    raise typer.Exit(app_settings.delete_setting(root, name))
