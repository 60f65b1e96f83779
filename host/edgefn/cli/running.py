"""The commands around a host that runs, and what waits in its spool; their work is in modules of their own."""

from __future__ import annotations

from typing import Annotated

import typer

from edgefn.cli.arguments import Json, Root, State


def send(
    name: Annotated[str, typer.Argument(metavar="INPUT", help="The input of the module.")],
    body: Annotated[str, typer.Argument(help="The body of the message.")],
    properties: Annotated[
        list[str] | None, typer.Option("--property", metavar="NAME=VALUE", help="A property of the message.")
    ] = None,
    root: Root = None,
    state: State = None,
) -> None:
    """Send a message to an input of a running host."""
    from edgefn.cli import around

    raise typer.Exit(around.send(root, state, name, body, tuple(properties or ())))


def tail(
    output: Annotated[str, typer.Argument(help="Only this output.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    count: Annotated[int, typer.Option("--lines", "-n", min=0, help="The last so many.")] = 10,
    root: Root = None,
    state: State = None,
) -> None:
    """Show what went to IoT Hub by the local hub."""
    from edgefn.cli import around

    raise typer.Exit(around.tail(root, state, output, follow=follow, count=count))


def status(root: Root = None, state: State = None, as_json: Json = False) -> None:
    """Show how a running host and its functions are."""
    from edgefn.cli import around

    raise typer.Exit(around.status(root, state, as_json=as_json))


def health(root: Root = None, state: State = None) -> None:
    """Ask a running host whether it is ready; 1 when it is not."""
    from edgefn.cli import around

    raise typer.Exit(around.health(root, state))


def logs(
    invocation: Annotated[str, typer.Option("--invocation", help="Only of this invocation.")] = "",
    function: Annotated[str, typer.Option("--function", help="Only of this function.")] = "",
    level: Annotated[str, typer.Option("--level", help="From this level on: debug, info, warning, ...")] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="At most so many, the newest.")] = 100,
    root: Root = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Show the last log lines of a running host."""
    from edgefn.cli import around

    wanted = {"invocation": invocation, "function": function, "level": level, "lines": lines}
    raise typer.Exit(around.logs(root, state, wanted, as_json=as_json))


def invoke(
    method: Annotated[str, typer.Argument(help="The direct method.")],
    payload: Annotated[str | None, typer.Argument(help="A JSON value, or a text.")] = None,
    root: Root = None,
    state: State = None,
) -> None:
    """Call a direct method of a running host."""
    from edgefn.cli import around

    raise typer.Exit(around.invoke(root, state, method, payload))


host_twin = typer.Typer(help="The twin of a running host.", no_args_is_help=True, rich_markup_mode=None)


@host_twin.command("get")
def get_host_twin(root: Root = None, state: State = None) -> None:
    """Show the desired and the reported properties."""
    from edgefn.cli import around

    raise typer.Exit(around.twin_get(root, state))


@host_twin.command("set")
def set_host_twin(
    patch: Annotated[str, typer.Argument(help='A JSON object: {"settings": {"NAME": 1}}.')],
    root: Root = None,
    state: State = None,
) -> None:
    """Change desired properties of the local hub, and see whether they are applied."""
    from edgefn.cli import around

    raise typer.Exit(around.twin_set(root, state, patch))


cable = typer.Typer(help="The cable of the local hub.", no_args_is_help=True, rich_markup_mode=None)


@cable.command("pull")
def pull_cable(root: Root = None, state: State = None) -> None:
    """Cut a running host off from its local hub: what leaves waits."""
    from edgefn.cli import around

    raise typer.Exit(around.turn_cable(root, state, plugged=False))


@cable.command("plug")
def plug_cable(root: Root = None, state: State = None) -> None:
    """Plug the cable in again: what waits leaves."""
    from edgefn.cli import around

    raise typer.Exit(around.turn_cable(root, state, plugged=True))


Numbers = Annotated[list[int] | None, typer.Argument(help="The numbers of dead letters.")]
Everything = Annotated[bool, typer.Option("--all", help="All of them.")]


def spool(root: Root = None, state: State = None, as_json: Json = False) -> None:
    """Show how many messages wait, and since when."""
    from edgefn.cli.spool import show_spool

    raise typer.Exit(show_spool(root, state, as_json=as_json))


dead_letter = typer.Typer(help="Messages that failed for good.", no_args_is_help=True, rich_markup_mode=None)


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
def show_dead_letter(
    number: Annotated[int, typer.Argument(help="The number of the dead letter.")],
    root: Root = None,
    state: State = None,
) -> None:
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
