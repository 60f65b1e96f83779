"""``edgefn list`` and ``edgefn check``: what an app declares, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import typer

from edgefn.cli.absent import absent_files, unknown_devices
from edgefn.cli.display import counted
from edgefn.cli.opening import open_app
from edgefn.cli.served import lacking, mistaken, served_lines, served_models
from edgefn.errors import EdgefnError
from edgefn.function import Function
from edgefn.loader import App
from edgefn.operation import twin_options
from edgefn.redaction import redact, redacted
from edgefn.web.options import Asked, server_options
from edgefn.web.page.options import has_page
from edgefn.web.serving.options import serving_options

NO_ADDRESSES: Mapping[str, str] = {}


def run_list(root: Path | None, only: tuple[str, ...], given: tuple[str, ...], *, as_json: bool) -> int:
    app = _opened(root, only, given, as_json)
    if app is None:
        return 1
    if as_json:
        _print(described(app))
        return 0
    for line in lines(app):
        typer.echo(line)
    for line in served_lines(app):
        typer.echo(line)
    for error in error_lines(app):
        typer.echo(f"\n{error}")
    return 0


def run_check(root: Path | None, only: tuple[str, ...], given: tuple[str, ...], *, as_json: bool) -> int:
    app = _opened(root, only, given, as_json)
    if app is None:
        return 1
    errors = list(error_lines(app))
    if as_json:
        _print(described(app))
        return 1 if errors else 0
    for error in errors:
        typer.echo(error, err=True)
    warnings = list(_warnings(app))
    for warning in warnings:
        typer.echo(f"warning: {redact(warning)}", err=True)
    typer.echo(
        ", ".join(
            counted(len(found), word)
            for found, word in ((app.functions, "function"), (errors, "error"), (warnings, "warning"))
        )
    )
    return 1 if errors else 0


def _warnings(app: App) -> Iterator[str]:
    """What hardly is as it is meant; what is imported for it, a start does without."""
    from edgefn.cli.classes import unknown_classes
    from edgefn.cli.routed import odd_routes
    from edgefn.deploy.extras import REQUIREMENTS, lacking_extras

    yield from app.warnings
    for looked in (mistaken, absent_files, unknown_devices, unknown_classes, odd_routes):
        yield from looked(app)
    if (app.root / REQUIREMENTS).exists():
        yield from lacking_extras(app)


def _opened(root: Path | None, only: tuple[str, ...], given: tuple[str, ...], as_json: bool) -> App | None:
    """The app, or None after its error was shown."""
    try:
        app = open_app(root, only, given)
        serving_options(app.root, app.config)  # what a start would find wrong, beside the functions
        has_page(app.root, app.config, server_options(app.root, app.services.settings, Asked()))
        twin_options(app.root, app.config)
        return app
    except EdgefnError as error:
        if as_json:
            _print({"functions": [], "models": {}, "errors": [str(error)]})
        else:
            typer.echo(str(error), err=True)
        return None


def described(app: App) -> dict[str, Any]:
    """The app as ``--json`` prints it."""
    document: dict[str, Any] = {
        "functions": [
            {
                "name": function.name,
                "trigger": function.trigger_type or None,
                "bindings": [binding.json() for binding in function.bindings],
                "file": function.place.file,
                "line": function.place.line,
                "errors": function.errors,
            }
            for function in app.functions
        ],
        "models": served_models(app),
        "errors": [*app.errors, *lacking(app)],
    }
    shown: dict[str, Any] = redacted(document)
    return shown


def lines(app: App, addresses: Mapping[str, str] = NO_ADDRESSES) -> Iterator[str]:
    """The functions as ``func start`` prints them, each with its bindings below; where they are served, by address."""
    yield "Functions:"
    for function in app.functions:
        yield ""
        yield from function_lines(function, addresses.get(function.name, ""))
    if not app.functions:
        yield "\tnone"


def function_lines(function: Function, address: str) -> Iterator[str]:
    trigger = address or function.trigger_type or "no trigger"
    state = ", in error" if function.errors else ", disabled" if function.disabled else ""
    yield f"\t{function.name}: {trigger}{state}   ({function.place})"
    for binding in reversed(function.bindings):  # decorators record the trigger, which stands on top, last
        options = ", ".join(
            f"{name}={redacted(value)}"
            for name, value in binding.declared.items()
            if name not in ("name", "type", "direction")
        )
        arrow = "->" if binding.direction == "out" else "<-"
        yield f"\t\t{arrow} {binding.name}: {binding.type} {options}".rstrip()


def error_lines(app: App) -> Iterator[str]:
    """All that is wrong with the app, one error a line."""
    yield from map(redact, (*app.errors, *lacking(app)))
    for function in app.functions:
        for error in function.errors:
            yield from redact(error).splitlines()


def _print(document: dict[str, Any]) -> None:
    typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2, default=str).decode())
