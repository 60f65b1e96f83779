"""``edgefn hub``: a stand-in edgeHub for developers and tests."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
import shlex
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgefn.errors import EdgefnError, HubError, listing, nearest
from edgefn.standin.control import Control, Outgoing, UpstreamMessage

if TYPE_CHECKING:
    from edgefn.standin.options import Options

log = logging.getLogger("edgefn.standin")

PORT = 8883
"""Where modules of IoT Edge look for edgeHub."""
FOLDER = Path(".edgefn/hub")


@dataclass(frozen=True, slots=True)
class HubStart:
    """What ``edgefn hub start`` was asked for."""

    folder: Path | None
    host: str
    port: int
    gateway: str
    device: str
    deployment: Path | None
    ack_timeout: float
    max_upstream: int
    faults: tuple[str, ...]
    as_json: bool
    verbose: bool


def start_hub(asked: HubStart) -> int:
    """Serves until a signal; 1 when it could not."""
    from edgefn.cli.display import Stdout
    from edgefn.logs import logging_to

    os.umask(0o077)
    level = logging.DEBUG if asked.verbose else logging.INFO
    with logging_to(Stdout(), as_json=asked.as_json, level=level):  # type: ignore[arg-type]
        logging.getLogger("asyncio").setLevel(logging.ERROR)
        try:
            asyncio.run(_serve(asked))
        except EdgefnError as error:
            for line in str(error).splitlines():
                log.error("%s", line)
            return 1
    return 0


async def _serve(asked: HubStart) -> None:
    from edgefn.standin.control_api import ControlApi
    from edgefn.standin.hub import opened
    from edgefn.standin.server import serving
    from edgefn.standin.workload import WORKLOAD_MODE, Workload

    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with opened(_options(asked)) as hub:
        workload = Workload(hub.certificates, hub.clients, hub.faults)
        async with (
            serving(hub.folder.workload_socket, workload.routes(), WORKLOAD_MODE),
            serving(hub.folder.control_socket, ControlApi(hub).routes()),
        ):
            hub.listen()
            _say_ready(hub.status(), asked.as_json)
            if asked.port not in (0, PORT):
                text = (
                    "Modules look for edgeHub at port %d and no other; give a second hub its own --host, as 127.0.0.2"
                )
                log.warning(text, PORT)
            await stopping.wait()
            hub.release()


def _options(asked: HubStart) -> Options:
    """Raises an EdgefnError for a wrong manifest or fault."""
    from edgefn.standin.faults import parse_fault
    from edgefn.standin.options import Options

    options = Options(
        folder=asked.folder or FOLDER,
        host=asked.host,
        port=asked.port,
        gateway=asked.gateway,
        device=asked.device,
        ack_timeout=asked.ack_timeout,
        max_upstream=asked.max_upstream,
        faults=[parse_fault(text) for text in asked.faults],
    )
    if asked.deployment is None:
        return options
    from edgefn.standin.manifest import read_manifest

    manifest = read_manifest(asked.deployment)
    return dataclasses.replace(
        options,
        routes=manifest.routes,
        time_to_live=manifest.time_to_live,
        modules=manifest.modules,
        warnings=manifest.warnings,
    )


def _say_ready(status: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"ready": True, **status}))
    else:
        host, port, workload, folder = (status[name] for name in ("host", "port", "workload", "folder"))
        log.info("Hub ready: %s:%d, workload API %s, folder %s", host, port, workload, folder)


def show_environment(folder: Path | None, name: str, form: str, *, beside: bool, as_json: bool) -> int:
    """Prints the variables as lines for a shell; ``beside`` lets a module be made that the hub's manifest has not."""

    def show() -> None:
        hub = control(folder)
        made = _made(name, form, hub.status(), beside)
        variables = hub.environment(name, form)
        if made:
            typer.echo(made, err=True)
        if as_json:
            typer.echo(json.dumps(variables))
        else:
            for variable, value in variables.items():
                typer.echo(f"export {variable}={shlex.quote(value)}")

    return reporting(show)


def _made(name: str, form: str, status: Mapping[str, Any], beside: bool) -> str:
    """What to say of an identity that is made for the name, nothing where it is there already.

    Raises HubError for a module that a manifest has not: it is more likely misspelt than new.
    """
    is_device, manifest = form == "device", status["manifest"]
    known = [client["name"] for client in status["clients"] if client["kind"] == ("device" if is_device else "module")]
    if name in known:
        return ""
    near = nearest(name, known)
    if manifest and not is_device and not beside:
        raise HubError(
            f"{name}: is no module of the hub's manifest{near}; modules: {listing(sorted(known))}; "
            "--beside makes one beside them"
        )
    kind = "device" if is_device else "module"
    others = f"; there are {listing(sorted(known))} already" if known else ""
    return f"made the {kind} '{name}'{near}{others}"


@dataclass(frozen=True, slots=True)
class Given:
    """A message as the command line tells it."""

    body: str
    properties: tuple[str, ...]
    id: str
    content_type: str
    sender: str

    def message(self) -> Outgoing:
        """Raises HubError."""
        return Outgoing(self.body, dict(map(_pair, self.properties)), self.id, self.content_type, self.sender)


def send(folder: Path | None, module: str, name: str, given: Given, times: int) -> int:
    """Puts the message into the queue of an input."""
    return reporting(lambda: control(folder).send(module, name, *[given.message()] * times))


def tail(folder: Path | None, *, after: int | None, count: int, follow: bool, as_json: bool) -> int:
    """Prints what went upstream after that message, or else the last messages; with ``follow`` what comes, too."""

    def show() -> None:
        hub = control(folder)
        last = hub.before_last(count) if after is None else after
        while True:
            for message in hub.upstream(last, wait=5.0 if follow else 0.0):
                typer.echo(json.dumps(_as_object(message)) if as_json else _as_line(message))
                last = message.number
            if not follow:
                return

    return reporting(show)


def get_twin(folder: Path | None, name: str) -> int:
    return reporting(lambda: typer.echo(json.dumps(control(folder).twin(name), indent=2)))


def set_twin(folder: Path | None, name: str, desired: str, *, replace: bool) -> int:
    def change() -> None:
        given = _read_json(desired, "desired properties")
        if not isinstance(given, dict):
            raise HubError(
                f"desired properties: {desired[:60]!r} is no JSON object; '{{\"interval\": 5}}' would be right"
            )
        typer.echo(json.dumps(control(folder).set_twin(name, given, replace=replace), indent=2))

    return reporting(change)


def invoke(folder: Path | None, name: str, method: str, payload: str, connect: float, response: float) -> int:
    """Prints the answer of a direct method; 1 for a status from 400 on."""
    failed = False

    def call() -> None:
        nonlocal failed
        given = _read_json(payload, "payload")
        answer = control(folder).invoke(name, method, given, connect_timeout=connect, response_timeout=response)
        typer.echo(json.dumps({"status": answer.status, "payload": answer.payload}))
        failed = answer.status >= 400

    return reporting(call) or int(failed)


def fault(folder: Path | None, words: Sequence[str], *, listed: bool) -> int:
    """Lists faults, shows those that hold, clears them, or adds one."""

    def act() -> None:
        if listed:
            _list_faults()
        elif not words:
            _print_all(control(folder).status()["faults"])
        elif words[0] == "clear":
            typer.echo(f"cleared: {control(folder).clear()}")
        else:
            typer.echo(json.dumps(control(folder).fault_words(words)))

    return reporting(act)


def status(folder: Path | None) -> int:
    return reporting(lambda: typer.echo(json.dumps(control(folder).status(), indent=2)))


def control(folder: Path | None) -> Control:
    return Control(folder or FOLDER)


def reporting(command: Callable[[], None]) -> int:
    """Runs a command; an error of ours is one line, and exit code 1."""
    try:
        command()
    except EdgefnError as error:
        typer.echo(str(error), err=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _list_faults() -> None:
    from edgefn.standin.faults import KINDS

    for kind in KINDS.values():
        own = [
            f"{option}={default:g}" if isinstance(default, float) else f"{option}={default}"
            for option, default in kind.own.items()
        ]
        typer.echo(f"{kind.name:<18}{kind.text}")
        typer.echo(f"{'':<18}{' '.join([*own, *(f'{option}=' for option in kind.shared)])}".rstrip())


def _print_all(faults: Iterable[dict[str, Any]]) -> None:
    for held in faults:
        typer.echo(json.dumps(held))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise HubError(f"--property {text}: should be NAME=VALUE")
    return name, value


def _read_json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise HubError(f"{what}: {text[:60]!r} is no JSON: {error.msg}; '{{\"a\": 1}}' would be right") from None


def _as_object(message: UpstreamMessage) -> dict[str, Any]:
    return {
        "number": message.number,
        "time": message.time,
        "module": message.module or message.device,
        "output": message.output,
        "id": message.id,
        "properties": message.properties,
        "system": message.system,
        "body": message.body.decode(errors="replace"),
    }


def _as_line(message: UpstreamMessage) -> str:
    sender = f"{message.module or message.device}{f'/{message.output}' if message.output else ''}"
    properties = " ".join(f"{name}={value}" for name, value in message.properties.items())
    return f"{message.number} {sender} {properties + ' ' if properties else ''}{message.body.decode(errors='replace')}"
