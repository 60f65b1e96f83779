"""What is wrong with a deployment manifest, whoever wrote it.

text (syntax.py) -> sections -> routes (routes.py), modules (modules.py, containers.py), apps (apps.py) -> findings
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from edgefn.deploy.check.apps import app_findings, unknown_ends
from edgefn.deploy.check.containers import Container, read_container
from edgefn.deploy.check.findings import Finding, Level, Look, errors_of
from edgefn.deploy.check.modules import module_findings, values, whole_findings
from edgefn.deploy.check.routes import good_routes, route_findings
from edgefn.deploy.check.syntax import syntax_findings
from edgefn.deploy.module import Module
from edgefn.errors import EdgefnError, listing, nearest
from edgefn.standin.manifest import ManifestFile

__all__ = ["Finding", "Level", "check"]

Open = Callable[[Mapping[str, str]], Module]
"""Loads the app of a module under the settings that the manifest gives it; raises EdgefnError."""

NOTHING: Mapping[str, Open] = MappingProxyType({})


def check(path: Path, apps: Mapping[str, Open] = NOTHING) -> list[Finding]:
    """All that is wrong; ``apps`` are the modules whose code is here."""
    findings = list(syntax_findings(path))
    try:
        file = ManifestFile(path)
        look = Look(file, dict(file.sections()))
    except EdgefnError as error:
        return findings or errors_of(error)
    return list(dict.fromkeys([*findings, *_findings(look, apps)]))


def _findings(look: Look, apps: Mapping[str, Open]) -> Iterator[Finding]:
    read = {name: _container(look, name) for name in look.modules}
    containers = {name: container for name, (container, _) in read.items()}
    modules: dict[str, Module] = {}
    for name, opened in apps.items():
        yield from _opened(look, name, opened, modules)
    ports = [each for module in modules.values() for each in module.ports]
    outputs = [(each.module, output) for each in ports for output in each.outputs if output]
    inputs = [(each.module, name) for each in ports for name in each.inputs]
    yield from whole_findings(look)
    yield from route_findings(look, outputs, inputs)
    yield from unknown_ends(look, good_routes(look), modules)
    for _, faults in read.values():
        yield from faults
    yield from module_findings(look, {name: container for name, (container, faults) in read.items() if not faults})
    for name, module in modules.items():
        yield from app_findings(look, module, containers[name])


def _container(look: Look, name: str) -> tuple[Container, list[Finding]]:
    module = look.modules[name]
    settings = module.get("settings") if isinstance(module, Mapping) else None
    return read_container(look, name, settings if isinstance(settings, Mapping) else {})


def _opened(look: Look, name: str, opened: Open, modules: dict[str, Module]) -> Iterator[Finding]:
    """Puts a module with its code among the others, or says why it can not be."""
    declared = look.modules.get(name)
    if not isinstance(declared, Mapping):
        text = f"there is no module '{name}'; modules: {listing(look.modules)}{nearest(name, look.modules)}"
        yield look.error(str(look.file.path), text)
        return
    given = {variable: str(holder["value"]) for variable, holder in values(declared)}
    try:
        modules[name] = opened({key: value for key, value in given.items() if not value.startswith("$")})
    except EdgefnError as error:
        yield from (look.error(look.at(name), f"module '{name}': {found.text}") for found in errors_of(error))
