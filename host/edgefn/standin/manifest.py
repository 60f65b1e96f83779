"""Deployment manifests: the routes, the time to live, the modules and their desired properties.

Both forms are read: the full one, and the layered one with keys as ``properties.desired.routes.toCloud``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgefn.errors import HubError, listing
from edgefn.places import JsonPath, json_lines
from edgefn.routes import Route, RouteError, Routes, parse_routes
from edgefn.settings import read_json
from edgefn.standin.router import DEFAULT_TIME_TO_LIVE

SCHEMA_VERSIONS = ("1.0", "1.1", "1.2", "1.3")
AGENT, HUB = "$edgeAgent", "$edgeHub"
_DESIRED = "properties.desired"

Properties = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a hub needs of it; ``time_to_live`` in seconds, None for ever."""

    routes: Routes
    time_to_live: float | None
    modules: Mapping[str, Properties | None]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """The desired properties of one module in the manifest, and where each of their members is declared."""

    desired: Properties
    paths: Mapping[tuple[str, ...], JsonPath] = field(default_factory=dict)
    layered: bool = False


def read_manifest(path: Path) -> Manifest:
    """Raises an EdgefnError with the file, and a line for each thing that is wrong."""
    reader = ManifestFile(path)
    sections = dict(reader.sections())
    hub = sections.get(HUB)
    if hub is None:
        raise reader.error((), f'there is no "{HUB}"; modules: {listing(sections)}')
    reader.check_schema(hub)
    routes = reader.routes(hub)
    modules = modules_in(reader, sections)
    warnings = tuple(reader.warnings(hub, routes, modules))
    return Manifest(routes, reader.time_to_live(hub), modules, warnings)


class ManifestFile:
    """One file, and the lines of what is in it. Its methods raise HubError with the place of what is wrong."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._document = read_json(path)
        self._lines = json_lines(path)
        self._above: JsonPath = ()

    def error(self, path: JsonPath, text: str) -> HubError:
        return HubError(f"{self.at(path)}: {text}")

    def at(self, path: JsonPath) -> str:
        """The file with the line of a value, or of the nearest one around it."""
        while path and path not in self._lines:
            path = path[:-1]
        return f"{self.path}:{self._lines[path]}" if path else str(self.path)

    def sections(self) -> Iterator[tuple[str, Section]]:
        content = self._content()
        for name, section in content.items():
            path = (*self._above, name)
            if not isinstance(section, dict):
                raise self.error(path, f'should be an object with "{_DESIRED}", found {section!r}')
            yield name, self._section(section, path)

    def _content(self) -> Properties:
        """``modulesContent``, at the top or under ``content``."""
        for above in ((), ("content",)):
            holder: Any = self._document
            for key in above:
                holder = holder.get(key)
            content = holder.get("modulesContent") if isinstance(holder, dict) else None
            if isinstance(content, dict):
                self._above = (*above, "modulesContent")
                return content
        raise self.error((), 'there is no object "modulesContent", so it is no deployment manifest')

    def _section(self, section: Properties, path: JsonPath) -> Section:
        """Whole desired properties, or parts of them by dotted keys; the parts go over the whole."""
        desired: Properties = {}
        paths: dict[tuple[str, ...], JsonPath] = {}
        for key, value in sorted(section.items()):
            head, _, rest = key[len(_DESIRED) :].partition(".")
            if not key.startswith(_DESIRED) or head:
                raise self.error((*path, key), f'there is no "{key}" here; "{_DESIRED}" or "{_DESIRED}.NAME" would be')
            steps = tuple(rest.split(".")) if rest else ()
            if not steps and not isinstance(value, dict):
                raise self.error((*path, key), f'"{_DESIRED}" should be an object, found {value!r}')
            _put(desired, steps, value)
            paths[steps] = (*path, key)
        return Section(desired, paths, layered=bool(paths) and () not in paths)

    def place(self, section: Section, *steps: str) -> JsonPath:
        """Where a member of a section is declared."""
        for length in range(len(steps), -1, -1):
            if (found := section.paths.get(steps[:length])) is not None:
                return (*found, *steps[length:])
        return self._above

    def check_schema(self, hub: Section) -> None:
        version = hub.desired.get("schemaVersion")
        if version is None and hub.layered:
            return
        if str(version) not in SCHEMA_VERSIONS:
            text = f'schemaVersion {version!r} of "{HUB}"; edgeHub takes {listing(SCHEMA_VERSIONS)}'
            raise self.error(self.place(hub, "schemaVersion"), text)

    def routes(self, hub: Section) -> Routes:
        routes, errors = self.parsed_routes(hub)
        if errors:
            raise HubError("\n".join(errors))
        return routes

    def parsed_routes(self, hub: Section) -> tuple[Routes, list[str]]:
        """The routes that edgeHub would take, and what it would say of the others, each with its place."""
        declared = hub.desired.get("routes", {} if hub.layered else None)
        if not isinstance(declared, dict):
            raise self.error(self.place(hub, "routes"), f"routes should be an object of names and routes: {declared!r}")
        routes: list[Route] = []
        errors: list[str] = []
        for name, route in declared.items():
            try:
                if isinstance(route, dict) and hub.desired.get("schemaVersion") == "1.0":
                    raise RouteError(
                        f'route "{name}": schemaVersion 1.0 knows routes as text only; "1.1" would be right'
                    )
                routes += parse_routes({name: route})
            except RouteError as error:
                errors.append(f"{self.at(self.place(hub, 'routes', name))}: {error}")
        return Routes(routes), errors

    def time_to_live(self, hub: Section) -> float | None:
        configuration = hub.desired.get("storeAndForwardConfiguration", {})
        seconds = configuration.get("timeToLiveSecs", 0) if isinstance(configuration, dict) else None
        if not isinstance(seconds, int) or isinstance(seconds, bool):
            place = self.place(hub, "storeAndForwardConfiguration", "timeToLiveSecs")
            raise self.error(place, f"timeToLiveSecs should be a whole number of seconds, found {seconds!r}")
        return None if seconds < 0 else float(seconds) or DEFAULT_TIME_TO_LIVE

    def warnings(self, hub: Section, routes: Routes, modules: Mapping[str, object]) -> Iterator[str]:
        """What edgeHub accepts and nobody means."""
        for warning in routes.warnings((), (), tuple(modules)):
            place = self.place(hub, "routes", *((warning.route,) if warning.route else ()))
            yield f'{self.at(place)}: route "{warning.route}" {warning.text}'
        if not routes:
            yield f"{self.at(self.place(hub, 'routes'))}: there are no routes, so edgeHub drops every message"


def modules_in(reader: ManifestFile, sections: Mapping[str, Section]) -> dict[str, Properties | None]:
    """The modules of the agent, and those with desired properties of their own."""
    agent = sections.get(AGENT, Section({}))
    declared = agent.desired.get("modules", {})
    if not isinstance(declared, dict):
        raise reader.error(reader.place(agent, "modules"), "modules should be an object of names and modules")
    modules: dict[str, Properties | None] = dict.fromkeys(declared)
    return modules | {name: section.desired for name, section in sections.items() if name not in (AGENT, HUB)}


def _put(desired: Properties, steps: tuple[str, ...], value: Any) -> None:
    if not steps:
        desired.update(value)
        return
    *above, last = steps
    for step in above:
        inner = desired.get(step)
        desired[step] = inner if isinstance(inner, dict) else {}
        desired = desired[step]
    desired[last] = value
