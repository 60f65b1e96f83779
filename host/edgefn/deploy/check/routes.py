"""Routes that edgeHub refuses, and those that it takes and nobody means."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from edgefn.deploy.check.findings import Finding, Level, Look, errors_of
from edgefn.errors import HubError
from edgefn.routes import ModuleInput, Routes, Upstream
from edgefn.standin.manifest import HUB

Names = Collection[tuple[str, str]]
"""Inputs or outputs, each with its module."""

SINK_LOST = re.compile(r"\bINTO\s*$", re.IGNORECASE)
LOST = 'INTO is followed by nothing: a shell or envsubst takes "$upstream" for a variable; quote it'


def route_findings(look: Look, outputs: Names, inputs: Names) -> Iterator[Finding]:
    """``outputs`` and ``inputs`` are those that the code of modules is known to have."""
    if HUB not in look.sections:
        if not look.is_layered:
            yield look.error(str(look.file.path), f'there is no "{HUB}"{_like(look)}, so there are no routes')
        return
    try:
        if not look.is_layered:
            look.file.check_schema(look.hub)
        look.file.time_to_live(look.hub)
        routes, errors = look.file.parsed_routes(look.hub)
    except HubError as error:
        yield from errors_of(error)
        return
    for text in errors:
        yield Finding(Level.ERROR, text)
    for name, declared in dict(look.hub.desired.get("routes", {})).items():
        route = declared.get("route") if isinstance(declared, dict) else declared
        if isinstance(route, str) and SINK_LOST.search(route):
            yield look.error(look.in_hub("routes", name), f'route "{name}": {LOST}')
    modules = list(dict.fromkeys([*look.modules, *look.twins]))
    for warning in routes.warnings(outputs, [each for each in inputs if each[1] != "*"], modules):
        where = look.in_hub("routes", *([warning.route] if warning.route else []))
        text = f'route "{warning.route}" {warning.text}' if warning.route else warning.text
        is_elsewhere = look.is_layered and warning.names_unknown
        level = Level.ERROR if warning.loses and not is_elsewhere else Level.WARNING
        yield Finding(level, f"{where}: {text}")
    yield from _unfed(look, routes, inputs)
    if look.is_layered or errors:
        return
    if not routes:
        yield look.warning(look.in_hub("routes"), "there are no routes, so edgeHub drops every message")
    elif not any(isinstance(route.sink, Upstream) for route in routes):
        yield look.warning(look.in_hub("routes"), "no route leads INTO $upstream, so nothing reaches IoT Hub")


def _unfed(look: Look, routes: Routes, inputs: Names) -> Iterator[Finding]:
    """Modules that take whatever comes, and get nothing."""
    fed = {route.sink.module for route in routes if isinstance(route.sink, ModuleInput)}
    for module in dict.fromkeys(module for module, name in inputs if name == "*"):
        if module not in fed:
            text = f'no route leads to an input of module "{module}"; its function of input "*" never gets a message'
            yield look.warning(look.in_hub("routes"), text)


def good_routes(look: Look) -> Routes:
    """Those that edgeHub would take."""
    try:
        return look.file.parsed_routes(look.hub)[0]
    except HubError:
        return Routes()


def _like(look: Look) -> str:
    """Where a section may be the hub's whose name has lost its $."""
    found = next((name for name in look.sections if name.strip("$").lower() in ("", "edgehub")), None)
    return "" if found is None else f', but "{found}" (a shell or envsubst takes $edgeHub for a variable; quote it)'
