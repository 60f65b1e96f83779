"""Routes from what functions declare: outputs go to IoT Hub and to inputs of the same name, unless host.json says how.

An app that declares routes is routed as it says, with its own module's name in the place of the one in host.json. Those
between modules are made in any case, since no app knows of the others.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgefn.errors import SettingError
from edgefn.hubs.options import edge_hub_options
from edgefn.loader import App
from edgefn.routes import ModuleInput, RouteError, parse_routes

ANY = "*"
FLAGS = re.IGNORECASE
SEPARATED = re.compile(r"[^A-Za-z0-9]+")

End = tuple[str, str]
"""An output of a module."""
Declared = str | Mapping[str, Any]
"""A route as a manifest has it: its text, or an object with a ``route``."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The inputs and outputs of one function of a module."""

    module: str
    function: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OwnRoutes:
    """The routes of one app's host.json, and the name that its module has in them."""

    module_id: str
    routes: Mapping[str, Declared] | None = None
    """None where it declares none, which is not the same as an empty object."""


@dataclass(slots=True)
class Routing:
    """The routes of a manifest by their names, and what is worth a word about them."""

    routes: dict[str, Declared] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, route: Declared) -> None:
        """Under this name, or under one with a number where that is taken."""
        if route not in self.routes.values():
            self.routes[_free(name, self.routes)] = route


def own_routes(app: App) -> OwnRoutes:
    """The routes that host.json declares; raises SettingError."""
    options = edge_hub_options(app.root, app.config)
    if app.config.extension(app.root, "edgeHub").get("routes") is None:
        return OwnRoutes(options.module_id)
    try:
        parse_routes(options.routes)
    except RouteError as error:
        where = app.config.at(app.root, "extensions", "edgeHub", "routes")
        raise SettingError(f"{where}: extensions.edgeHub.routes: {error}") from None
    return OwnRoutes(options.module_id, options.routes)


def routing(ports: Iterable[Ports], declared: Mapping[str, OwnRoutes]) -> Routing:
    """The routes of all modules; ``declared`` are those that each module's app declares."""
    everything = list(ports)
    result = Routing()
    saying = {module for module, own in declared.items() if own.routes is not None}
    for module, own in declared.items():
        for name, route in (own.routes or {}).items():
            found = _renamed(route, own.module_id, module, everything)
            result.add(name if name not in result.routes else f"{module}{_title(name)}", found)
    _feed(everything, saying, result)
    for module, output in _outputs(everything):
        if module not in saying:
            result.add(f"{_camel(module, output)}ToCloud", f"FROM {_source(module, output)} INTO $upstream")
    return result


def _renamed(route: Any, old: str, new: str, ports: Iterable[Ports]) -> Declared:
    """The route with the names that its modules have in the manifest; its condition stays.

    On the laptop all functions are one module: an output or input that is another module's now has its name.
    """
    if isinstance(route, Mapping):
        return {**route, "route": _renamed(route["route"], old, new, ports)}
    outputs = {(each.module, name.lower()) for each in ports for name in each.outputs}
    inputs = {(each.module, name.lower()) for each in ports for name in each.inputs}
    source = re.compile(rf"(\bFROM\s+/messages/modules/){re.escape(old)}(?=[/\s])((?:/outputs/([^\s/*]+))?)", FLAGS)
    sink = re.compile(rf"(\bBrokeredEndpoint\s*\(\s*[\"']\s*/?modules/){re.escape(old)}(/inputs/([^\s/\"']+))", FLAGS)
    text = source.sub(lambda match: f"{match[1]}{_owner(match[3], new, outputs)}{match[2]}", str(route))
    return sink.sub(lambda match: f"{match[1]}{_owner(match[3], new, inputs)}{match[2]}", text)


def _owner(name: str | None, module: str, ends: Collection[tuple[str, str]]) -> str:
    """The module that has an output or input: the app's own, or the only other one that has it."""
    if not name or {(module, name.lower()), (module, ANY)} & set(ends):
        return module
    others = [other for other, end in ends if end == name.lower()]
    return others[0] if len(others) == 1 else module


def _feed(everything: list[Ports], saying: Collection[str], result: Routing) -> None:
    """Leads outputs to inputs of the same name, but for those whose messages would come back to their source."""
    outputs = _outputs(everything)
    declared = list(parse_routes(result.routes))
    fed = {(_bare(route.source), str(route.sink).lower()) for route in declared}
    leads: dict[End, set[End]] = {end: set() for end in outputs}
    for end in outputs:
        for route in declared:
            if isinstance(route.sink, ModuleInput) and route.takes(_source(*end)):
                leads[end] |= _caused(route.sink, everything)
    for module, output in outputs:
        for sink in _inputs(everything):
            if not output or output.lower() != sink.input.lower() or (module == sink.module and module in saying):
                continue
            source, caused = _source(module, output), _caused(sink, everything)
            if (_bare(source), str(sink).lower()) in fed:
                continue
            if _reaches(caused, (module, output), leads):
                text = f"output '{output}' of {module} does not lead to input '{sink.input}' of {sink.module}"
                result.notes.append(
                    f"{text}: its messages would go round; host.json may declare the route all the same"
                )
                continue
            leads[module, output] |= caused
            whole = f"{_camel(module, output)}To{_title(_camel(sink.module, sink.input))}"
            result.add(whole, f"FROM {source} INTO {sink}")


def _caused(sink: ModuleInput, everything: Iterable[Ports]) -> set[End]:
    """The outputs of the functions that take an input."""
    wanted = {sink.input.lower(), ANY}
    takers = [each for each in everything if each.module == sink.module and wanted & {n.lower() for n in each.inputs}]
    return {(each.module, output) for each in takers for output in each.outputs}


def _reaches(starts: Iterable[End], end: End, leads: Mapping[End, set[End]]) -> bool:
    seen: set[End] = set()
    waiting = list(starts)
    while waiting:
        found = waiting.pop()
        if _same(found, end):
            return True
        if found not in seen:
            seen.add(found)
            waiting += leads[found]
    return False


def _same(one: End, other: End) -> bool:
    return one[0] == other[0] and one[1].lower() == other[1].lower()


def _outputs(everything: Iterable[Ports]) -> list[End]:
    return list(dict.fromkeys((each.module, output) for each in everything for output in each.outputs))


def _inputs(everything: Iterable[Ports]) -> list[ModuleInput]:
    """Those that have a name."""
    named = (ModuleInput(each.module, name) for each in everything for name in each.inputs if name != ANY)
    return list(dict.fromkeys(named))


def _source(module: str, output: str) -> str:
    """Messages without output have the module itself as their source, which takes all others too."""
    return f"/messages/modules/{module}/outputs/{output}" if output else f"/messages/modules/{module}/*"


def _bare(source: str) -> str:
    """A source as it is compared."""
    return source.rstrip("/*").lower()


def start_order(ports: Iterable[Ports], routes: Mapping[str, Declared]) -> dict[str, int]:
    """For each module when it starts, from 1 on: what is fed before what feeds it, as far as routes go one way."""
    modules = list(dict.fromkeys(each.module for each in ports))
    takers: dict[str, set[str]] = {module: set() for module in modules}
    for route in parse_routes(routes):
        parts = route.source.strip("/").split("/")
        if isinstance(route.sink, ModuleInput) and len(parts) > 2 and parts[2] in takers:
            takers[parts[2]].add(route.sink.module)
    return {module: 1 + _depth(module, takers, frozenset()) for module in modules}


def _depth(module: str, takers: Mapping[str, set[str]], above: frozenset[str]) -> int:
    others = takers.get(module, set()) - above - {module}
    return max((1 + _depth(other, takers, above | {module}) for other in others if other in takers), default=0)


def _camel(*parts: str) -> str:
    words = [word for part in parts for word in SEPARATED.split(part) if word]
    return "".join([words[0], *(word[:1].upper() + word[1:] for word in words[1:])]) if words else "messages"


def _title(name: str) -> str:
    return name[:1].upper() + name[1:]


def _free(name: str, taken: Mapping[str, object]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name}{number}", number + 1
    return free
