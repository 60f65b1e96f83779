"""Commands around a host that runs: send, tail, status, logs, twin, cable, invoke. They find it by its state folder."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import typer

from edgefn.cli.display import counted
from edgefn.cli.opening import settings_given, state_asked
from edgefn.errors import EdgefnError, listing

ADDRESS = "web.json"
"""The file of a state folder in which a host says where it is asked."""
LOOK = 0.2
PATIENCE = 60.0


def told(run: Callable[[], None]) -> int:
    """0; 1 with the error as one line; as a shell has it, 130 where Ctrl+C ended it."""
    try:
        run()
    except EdgefnError as error:
        typer.echo(str(error), err=True)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


class Running:
    """The host of a state folder, asked over HTTP with its master key."""

    def __init__(self, root: Path | None, state: Path | None) -> None:
        self.state = state_asked(root, state)
        try:
            self._where = json.loads((self.state / ADDRESS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise self._none() from None
        try:
            self._key = json.loads((self.state / "secrets/host.json").read_text(encoding="utf-8"))["masterKey"]["value"]
        except (OSError, ValueError, KeyError):
            self._key = ""

    @property
    def page(self) -> str:
        """The address of its page; empty where it has none."""
        return str(self._where.get("page", ""))

    def _none(self) -> EdgefnError:
        return EdgefnError(
            f"{self.state}: no host runs on this state folder; start it with edgefn start, or name --state"
        )

    def ask(self, method: str, path: str, body: bytes = b"") -> Any:
        """The JSON answer; raises EdgefnError with what the host says is wrong."""
        connection = http.client.HTTPConnection(self._where["address"], self._where["port"], timeout=PATIENCE)
        try:
            connection.request(method, path, body, {"x-functions-key": self._key, "content-type": "application/json"})
            reply = connection.getresponse()
            text = reply.read()
        except OSError:
            raise self._none() from None
        finally:
            connection.close()
        try:
            answer = orjson.loads(text) if text else None
        except orjson.JSONDecodeError:
            answer = None
        if reply.status >= 400:
            known = answer if isinstance(answer, dict) else {}
            reason = known.get("error") or known.get("reason") or known.get("status")
            raise EdgefnError(reason or f"the host answered {reply.status} to {method} {path}")
        return answer


def send(root: Path | None, state: Path | None, name: str, body: str, properties: tuple[str, ...]) -> int:
    """Sends a message to an input; prints its id."""

    def run() -> None:
        given = {"body": body, "properties": settings_given(properties, "--property")}
        answer = Running(root, state).ask("POST", f"/admin/edgefn/inputs/{quote(name, safe='')}", orjson.dumps(given))
        typer.echo(answer["id"])

    return told(run)


def tail(root: Path | None, state: Path | None, output: str, *, follow: bool, count: int) -> int:
    """Prints what went to IoT Hub by the local hub, the last ones, and with ``follow`` what comes."""

    def run() -> None:
        path = state_asked(root, state) / "upstream.jsonl"
        if not path.exists():
            raise EdgefnError(
                f"{path}: nothing has gone upstream; is this the state folder of a host with the local hub?"
            )
        known = path.read_text(encoding="utf-8", errors="replace").splitlines()  # a power cut may have torn a letter
        wanted = [line for line in known if _is_of(line, output)]
        if not wanted and not follow:
            found = listing(sorted({name for line in known if (name := _output_of(line))}))
            of_it = f" by output '{output}'" if output else ""
            raise EdgefnError(f"nothing has gone upstream{of_it}; outputs: {found}")
        for line in wanted[-count:] if count else []:
            typer.echo(line)
        if follow:
            for line in _lines(path):
                if _is_of(line, output):
                    typer.echo(line)

    return told(run)


def _is_of(line: str, output: str) -> bool:
    return not output or _output_of(line) == output


def _output_of(line: str) -> str:
    """The output that a message left by; empty for a line that was never written to its end."""
    try:
        return str(orjson.loads(line)["output"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""


def _lines(path: Path) -> Iterator[str]:
    """The lines that are written from now on, also after the file was begun anew."""
    file = path.open(encoding="utf-8", errors="replace")
    file.seek(0, 2)
    rest = ""
    while True:
        rest += file.read()
        *lines, rest = rest.split("\n")
        yield from lines
        if path.exists() and path.stat().st_ino != os.fstat(file.fileno()).st_ino:
            file.close()
            file, rest = path.open(encoding="utf-8"), ""
        else:
            time.sleep(LOOK)


def health(root: Path | None, state: Path | None) -> int:
    """Prints whether a running host is ready; 1 is left where it is not."""

    def run() -> None:
        answer = Running(root, state).ask("GET", "/health/ready")
        typer.echo(f"{answer['status']}, hub {answer['hub']}")

    return told(run)


def status(root: Path | None, state: Path | None, *, as_json: bool) -> int:
    """Prints how a running host and its functions are."""

    def run() -> None:
        running = Running(root, state)
        answer = running.ask("GET", "/admin/edgefn/status")
        if as_json:
            typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
            return
        hub, spool = answer["hub"], answer["spool"]
        page = f"; page {running.page}" if running.page else ""
        typer.echo(f"host {answer['state']}, {answer['uptime']:.0f} s; hub {hub['name']} {hub['state']}{page}")
        waits = f"{spool['inbox']['messages']} in, {spool['outbox']['messages']} out"
        typer.echo(f"spool {spool['state']}: {waits}, {counted(spool['dead_letters']['messages'], 'dead letter')}")
        for line in untaken(spool):
            typer.echo(f"    {line}")
        for name, figures in answer["functions"].items():
            _show_function(name, figures)
        for error in answer["errors"]:
            typer.echo(f"error: {error}")

    return told(run)


def untaken(spool: Mapping[str, Any]) -> Iterator[str]:
    """A text for all messages that nothing takes, of what a status says of the spool."""
    for broker, waiting in spool["outbox"].get("unserved", {}).items():
        yield f"{counted(waiting, 'message')} for {broker}, to which no function sends"
    for name, dropped in spool["inbox"].get("unheard", {}).items():
        yield f"{counted(dropped, 'message')} for input '{name}' dropped: no function listens to it"


def _show_function(name: str, figures: Mapping[str, Any]) -> None:
    runs = counted(figures["invocations"], "invocation")
    counts = f"{runs}, {figures['failed']} failed, p50 {figures['p50_ms']:.1f} ms"
    typer.echo(f"{name}: {figures['state']}, {figures['rate']:.1f}/s, {counts}")
    source = figures["trigger"]
    if "source" in source and source.get("state") in ("lost", "silent"):
        typer.echo(f"    {source['source']} is {source['state']}")
    for error in figures["errors"]:
        typer.echo(f"    {error}")
    if figures["last_error"] and not figures["errors"]:
        typer.echo(f"    last error: {figures['last_error']}")


def logs(root: Path | None, state: Path | None, wanted: dict[str, Any], *, as_json: bool) -> int:
    """Prints the last log lines of a running host."""

    def run() -> None:
        chosen = {name: value for name, value in wanted.items() if value}
        answer = _called(Running(root, state), "getLogs", chosen)
        if not answer["lines"] and not as_json:
            named = ", ".join(f"{name} {value}" for name, value in chosen.items() if name != "lines")
            typer.echo(f"no log line{f' of {named}' if named else ''} is kept any more", err=True)
        for line in answer["lines"]:
            typer.echo(orjson.dumps(line).decode() if as_json else _shown(line))

    return told(run)


def _shown(line: dict[str, Any]) -> str:
    level = "" if line["level"] == "info" else f"{line['level'].upper()} "
    origin = f"{line['function']}({line['invocation_id']}) " if line.get("invocation_id") else ""
    text = f"[{line['time']}] {level}{origin}{line['message']}"
    return f"{text}\n{line['exception']}" if "exception" in line else text


def invoke(root: Path | None, state: Path | None, method: str, payload: str | None) -> int:
    """Calls a direct method; prints its payload, and 1 is left where its status is no success."""
    failed = []

    def run() -> None:
        body = _json_or_text(payload)
        answer = Running(root, state).ask("POST", f"/admin/edgefn/methods/{quote(method, safe='')}", body)
        typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
        if answer["status"] >= 400:
            failed.append(answer["status"])

    return told(run) or (1 if failed else 0)


def _json_or_text(payload: str | None) -> bytes:
    if payload is None:
        return b""
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError:
        return orjson.dumps(payload)
    return payload.encode()


def _called(running: Running, method: str, payload: Any) -> Any:
    answer = running.ask("POST", f"/admin/edgefn/methods/{method}", orjson.dumps(payload))
    if answer["status"] >= 400:
        payload = answer["payload"]
        raise EdgefnError(str(payload.get("Response", payload) if isinstance(payload, dict) else payload))
    return answer["payload"]


def twin_get(root: Path | None, state: Path | None) -> int:
    """Prints the desired and the reported properties."""

    def run() -> None:
        answer = Running(root, state).ask("GET", "/admin/edgefn/twin")
        typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())

    return told(run)


def twin_set(root: Path | None, state: Path | None, patch: str) -> int:
    """Changes desired properties of the local hub, and tells what the host made of them."""
    refused = []

    def run() -> None:
        try:
            document = orjson.loads(patch)
        except orjson.JSONDecodeError as error:
            example = '{"settings": {"NAME": 1}}'
            raise EdgefnError(f"the patch should be a JSON object such as '{example}': {error}") from None
        running = Running(root, state)
        version = running.ask("PATCH", "/admin/edgefn/twin", orjson.dumps(document))["version"]
        verdict = _verdict(running, version)
        typer.echo(orjson.dumps(verdict, option=orjson.OPT_INDENT_2).decode())
        if verdict.get("status") == "refused":
            refused.append(verdict)

    return told(run) or (1 if refused else 0)


def turn_cable(root: Path | None, state: Path | None, *, plugged: bool) -> int:
    """Pulls the cable of the local hub, or plugs it in, and tells how the hub is then."""

    def run() -> None:
        running = Running(root, state)
        running.ask("POST", "/admin/edgefn/cable", orjson.dumps({"plugged": plugged}))
        hub = running.ask("GET", "/admin/edgefn/status")["hub"]
        typer.echo(f"hub {hub['name']} {hub['state']}")

    return told(run)


def _verdict(running: Running, version: int) -> dict[str, Any]:
    """What the host reports of a version of the desired properties, as soon as it does."""
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        reported = running.ask("GET", "/admin/edgefn/twin")["reported"]
        verdict: dict[str, Any] = (reported.get("edgefn") or {}).get("desired") or reported.get("desired") or {}
        if verdict.get("version", -1) >= version:
            return verdict
        time.sleep(LOOK)
    raise EdgefnError(f"the host has not answered version {version} within {PATIENCE:.0f} s; see edgefn logs")
