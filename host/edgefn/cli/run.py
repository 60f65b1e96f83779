"""``edgefn run FUNCTION``: one invocation, with an event made of a text; nothing that it gives is sent."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import typer

from edgefn.by_hand import event_by_hand, function_named
from edgefn.cli.opening import open_app, settings_given
from edgefn.contracts import EdgeMessage, Event, Input, Outcome, Output
from edgefn.errors import EdgefnError, why
from edgefn.function import Function
from edgefn.invocation import Invoker
from edgefn.loader import App
from edgefn.log_levels import LineLevels
from edgefn.logs import logging_to
from edgefn.redaction import redact
from edgefn.threads import Threads

log = logging.getLogger("edgefn.host")

LARGEST = 256
"""Numbers of an array that are printed: more of them are a picture, and nothing to be read."""
REASON = "This function was programmatically called by edgefn run."


@dataclass(frozen=True, slots=True)
class Run:
    """What the command was asked for."""

    function: str
    text: str | None = None
    file: Path | None = None
    stdin: bool = False
    metadata: tuple[str, ...] = ()
    root: Path | None = None
    given: tuple[str, ...] = ()


class Collected:
    """An output that keeps what would be sent; what can not be sent is an error, as it is in the host."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self.required = bool(getattr(output, "required", False))
        self.values: list[Any] = []

    def encode(self, value: Any) -> Any:
        self._output.encode(value)
        return value

    async def send(self, encoded: Any, event: Event) -> None:
        self.values.append(encoded)

    def status(self) -> Mapping[str, Any]:
        return {}

    async def close(self) -> None:
        await self._output.close()


@dataclass(slots=True)
class Opened:
    """The bindings of a function, open."""

    inputs: dict[str, Input] = field(default_factory=dict)
    outputs: dict[str, Collected] = field(default_factory=dict)

    async def close(self) -> None:
        for opened in self.inputs.values():
            await opened.close()
        for output in self.outputs.values():
            await output.close()


def run_function(asked: Run) -> int:
    """Runs the function and prints its outcome as one JSON object; 0 when it succeeded, else 1. Logs go to stderr."""
    with logging_to(sys.stderr) as handler, contextlib.closing(LineLevels()) as levels:
        handler.addFilter(levels)
        try:
            app = open_app(asked.root, (asked.function,), asked.given)
            levels.apply(app.config.levels, app.names)
            outcome, outputs = asyncio.run(_invoke(app, function_named(app, asked.function), asked))
        except EdgefnError as error:
            log.error("%s", error)
            return 1
    typer.echo(orjson.dumps(described(outcome, outputs), default=shown, option=orjson.OPT_INDENT_2).decode())
    return 0 if outcome.ok else 1


async def _invoke(app: App, function: Function, asked: Run) -> tuple[Outcome, Mapping[str, Any]]:
    assert function.trigger is not None
    kind = app.kinds.triggers[function.trigger.type.lower()]
    threads, opened = Threads(1), Opened()
    try:
        event = await asyncio.to_thread(_event, app, function, asked)
        for binding in function.inputs:
            opened.inputs[binding.name] = await app.kinds.inputs[binding.type.lower()].open(binding)
        for binding in function.outputs:
            opened.outputs[binding.name] = Collected(await app.kinds.outputs[binding.type.lower()].open(binding))
        invoker = Invoker(
            function,
            app.root,
            convert=kind.convert(function.trigger),
            inputs=opened.inputs,
            outputs=opened.outputs,
            threads=threads,
            metrics=app.services.metrics.function(function.name),
        )
        outcome = await invoker.emit(event)
        return outcome, {name: output.values[-1] for name, output in opened.outputs.items() if output.values}
    finally:
        await opened.close()
        for each in app.services.session_kinds.values():
            await asyncio.to_thread(each.close)
        threads.close()


def _event(app: App, function: Function, asked: Run) -> Event:
    """What the function's trigger makes of the text, with the metadata as the properties of a message."""
    event = event_by_hand(app.kinds, function, _text(asked), REASON)
    if asked.metadata:
        event.value = _with_properties(event.value, settings_given(asked.metadata, "--metadata"), function)
    return event


def _with_properties(value: Any, properties: Mapping[str, str], function: Function) -> Any:
    if isinstance(value, list):
        return [_with_properties(one, properties, function) for one in value]
    if not isinstance(value, EdgeMessage):
        raise EdgefnError(f"--metadata is for messages, and function '{function.name}' takes none; leave it out")
    return dataclasses.replace(value, properties=properties)


def _text(asked: Run) -> str:
    given = [asked.text is not None, asked.file is not None, asked.stdin]
    if sum(given) > 1:
        raise EdgefnError("--input, --file and --stdin exclude each other; give one of them")
    if asked.stdin:
        return sys.stdin.read()
    if asked.file is None:
        return asked.text or ""
    try:
        return asked.file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EdgefnError(f"--file {asked.file}: can not be read as text: {why(error)}; name a file in UTF-8") from None


def described(outcome: Outcome, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outcome as the command prints it."""
    error = {} if outcome.error is None else {"error": redact(f"{type(outcome.error).__name__}: {outcome.error}")}
    duration = round(outcome.duration * 1000, 2)
    return {
        "status": outcome.status.value,
        **error,
        "return": outcome.value,
        "outputs": dict(outputs),
        "duration_ms": duration,
    }


def shown(value: Any) -> Any:
    """What JSON does not know: a response with status and body, a small array as a list, anything else as text."""
    if hasattr(value, "get_body"):
        return {"status_code": value.status_code, "headers": dict(value.headers), "body": value.get_body()}
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode(errors="replace")
    if hasattr(value, "tolist"):
        shape = " x ".join(str(size) for size in value.shape)
        return value.tolist() if value.size <= LARGEST else f"{shape} {value.dtype}"
    return str(value)
