"""The commands of the stand-in edgeHub, and their options; their work is in ``hub.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

hub = typer.Typer(help="A stand-in edgeHub, for developers and tests.", no_args_is_help=True, rich_markup_mode=None)
twin = typer.Typer(help="Show and change twins.", no_args_is_help=True, rich_markup_mode=None)
hub.add_typer(twin, name="twin")


@hub.callback()
def needs_unix_sockets() -> None:
    """A stand-in edgeHub, for developers and tests."""
    import socket

    if not hasattr(socket, "AF_UNIX"):
        text = "edgefn hub: Python has no unix sockets here, by which it is asked; Linux, macOS or WSL would be right"
        typer.echo(text, err=True)
        raise typer.Exit(1)


HubFolder = Annotated[Path | None, typer.Option("--dir", help="The hub's folder; else .edgefn/hub.")]


@hub.command("start")
def start_hub(
    folder: HubFolder = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Microsoft's SDK knows 8883 only.")] = 8883,
    gateway: Annotated[str, typer.Option("--gateway", help="The host name for clients; else the address.")] = "",
    device: Annotated[str, typer.Option("--device-id", help="The id of the IoT Edge device.")] = "edge",
    deployment: Annotated[
        Path | None, typer.Option("--deployment", "-d", help="A deployment manifest: routes, modules, twins.")
    ] = None,
    ack_timeout: Annotated[
        float, typer.Option("--ack-timeout", min=0.1, help="Seconds until an input is sent again.")
    ] = 30.0,
    max_upstream: Annotated[
        int, typer.Option("--max-upstream", min=10_000, help="Bytes of upstream messages that are kept.")
    ] = 100_000_000,
    faults: Annotated[
        list[str] | None, typer.Option("--fault", metavar="'NAME KEY=VALUE'", help="A fault from the first moment.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Log lines as JSON objects.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="More log lines.")] = False,
) -> None:
    """Serve until Ctrl+C."""
    from edgefn.cli import hub as work

    asked = work.HubStart(
        folder=folder,
        host=host,
        port=port,
        gateway=gateway,
        device=device,
        deployment=deployment,
        ack_timeout=ack_timeout,
        max_upstream=max_upstream,
        faults=tuple(faults or ()),
        as_json=as_json,
        verbose=verbose,
    )
    raise typer.Exit(work.start_hub(asked))


@hub.command("env")
def hub_environment(
    name: Annotated[str, typer.Argument(help="A module, made if it is not there.")],
    folder: HubFolder = None,
    connection_string: Annotated[
        bool, typer.Option("--connection-string", help="As EdgeHubConnectionString, without workload API.")
    ] = False,
    device: Annotated[bool, typer.Option("--device", help="A leaf device, as CONNECTIONSTRING.")] = False,
    beside: Annotated[bool, typer.Option("--beside", help="Also a module that the hub's manifest has not.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Print the environment of a module: eval "$(edgefn hub env cam)"."""
    from edgefn.cli import hub as work

    form = "device" if device else "debug" if connection_string else "module"
    raise typer.Exit(work.show_environment(folder, name, form, beside=beside, as_json=as_json))


@hub.command("send")
def send_to_input(
    module: Annotated[str, typer.Argument(help="The module.")],
    name: Annotated[str, typer.Argument(metavar="INPUT", help="Its input.")],
    body: Annotated[str, typer.Argument(help="The body of the message.")],
    folder: HubFolder = None,
    properties: Annotated[
        list[str] | None, typer.Option("--property", metavar="NAME=VALUE", help="A property of the message.")
    ] = None,
    id: Annotated[str, typer.Option("--id", help="The message id.")] = "",
    content_type: Annotated[str, typer.Option("--content-type", help="What the body is.")] = "",
    sender: Annotated[str, typer.Option("--from", help="The module it seems to come from.")] = "hub",
    times: Annotated[int, typer.Option("--times", min=1, help="How often.")] = 1,
) -> None:
    """Send a message to an input of a module."""
    from edgefn.cli import hub as work

    given = work.Given(body, tuple(properties or ()), id, content_type, sender)
    raise typer.Exit(work.send(folder, module, name, given, times))


@hub.command("tail")
def tail_upstream(
    folder: HubFolder = None,
    after: Annotated[
        int | None, typer.Option("--after", min=0, help="All messages after that number.", show_default=False)
    ] = None,
    count: Annotated[int, typer.Option("--lines", "-n", min=0, help="The last so many, without --after.")] = 10,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more, until Ctrl+C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show what went upstream."""
    from edgefn.cli import hub as work

    raise typer.Exit(work.tail(folder, after=after, count=count, follow=follow, as_json=as_json))


@twin.command("get")
def get_twin(name: Annotated[str, typer.Argument(help="A module or device.")], folder: HubFolder = None) -> None:
    """Show the twin of a module or device."""
    from edgefn.cli import hub as work

    raise typer.Exit(work.get_twin(folder, name))


@twin.command("set")
def set_twin(
    name: Annotated[str, typer.Argument(help="A module or device.")],
    desired: Annotated[str, typer.Argument(help="A JSON object; null removes a property.")],
    folder: HubFolder = None,
    replace: Annotated[bool, typer.Option("--replace", help="Make them exactly these.")] = False,
) -> None:
    """Change desired properties."""
    from edgefn.cli import hub as work

    raise typer.Exit(work.set_twin(folder, name, desired, replace=replace))


@hub.command("invoke")
def invoke_method(
    name: Annotated[str, typer.Argument(help="A module or device.")],
    method: Annotated[str, typer.Argument(help="The direct method.")],
    payload: Annotated[str, typer.Argument(help="JSON.")] = "null",
    folder: HubFolder = None,
    connect: Annotated[float, typer.Option("--connect-timeout", min=0, help="Seconds to wait for the module.")] = 10,
    response: Annotated[float, typer.Option("--response-timeout", min=0, help="Seconds to wait for its answer.")] = 30,
) -> None:
    """Call a direct method."""
    from edgefn.cli import hub as work

    raise typer.Exit(work.invoke(folder, name, method, payload, connect, response))


@hub.command("fault")
def add_fault(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME [KEY=VALUE ...] | clear]", help="A fault with its options; clear ends all."),
    ] = None,
    folder: HubFolder = None,
    listed: Annotated[bool, typer.Option("--list", help="All there are, with their options.")] = False,
) -> None:
    """Let something go wrong, show what does, or clear it."""
    from edgefn.cli import hub as work

    raise typer.Exit(work.fault(folder, tuple(words or ()), listed=listed))


@hub.command("status")
def hub_status(folder: HubFolder = None) -> None:
    """Show modules, queues, counters and faults."""
    from edgefn.cli import hub as work

    raise typer.Exit(work.status(folder))
