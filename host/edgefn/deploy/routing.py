"""Routes from what functions declare: outputs go to IoT Hub and to inputs of the same name, unless host.json says how.

An app that declares routes is routed as it says, with its own module's name in the place of the one in host.json. Those
between modules are made in any case, since no app knows of the others.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgefn.errors import SettingError
from edgefn.hubs.options import edge_hub_options
from edgefn.loader import App
from edgefn.routes import ModuleInput, RouteError, parse_routes

ANY = "*"
FLAGS = re.IGNORECASE
SEPARATED = re.compile(r"[^A-Za-z0-9]+")

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
    if app.config.extension("edgeHub").get("routes") is None:
        return OwnRoutes(options.module_id)
    try:
        parse_routes(options.routes)
    except RouteError as error:
        raise SettingError(f"{app.root / 'host.json'}: extensions.edgeHub.routes: {error}") from None
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
    fed = {_fed(route) for route in result.routes.values()}
    _feed(everything, saying, fed, result)
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


def _feed(everything: list[Ports], saying: Collection[str], fed: set[tuple[str, str]], result: Routing) -> None:
    """Leads outputs to inputs of the same name, but for those that would lead back to where they come from."""
    leads: dict[Ports, set[Ports]] = {each: set() for each in everything}
    for giver in everything:
        for taker in everything:
            if giver.module == taker.module and giver.module in saying:
                continue
            for output, name in _meeting(giver, taker):
                source, sink = _source(giver.module, output), ModuleInput(taker.module, name)
                if giver is taker or _reaches(taker, giver, leads):
                    what = f"output '{output}' of {giver.module}.{giver.function}"
                    result.notes.append(
                        f"{what} does not lead to input '{name}' of {taker.module}.{taker.function}: its messages "
                        "would go round; declare the route in host.json where that is meant"
                    )
                    continue
                leads[giver].add(taker)
                if (source.lower(), str(sink).lower()) not in fed:
                    whole = f"{_camel(giver.module, output)}To{_title(_camel(taker.module, name))}"
                    result.add(whole, f"FROM {source} INTO {sink}")


def _meeting(giver: Ports, taker: Ports) -> Iterator[tuple[str, str]]:
    for output in giver.outputs:
        for name in taker.inputs:
            if name != ANY and output and output.lower() == name.lower():
                yield output, name


def _reaches(start: Ports, end: Ports, leads: Mapping[Ports, set[Ports]]) -> bool:
    seen: set[Ports] = set()
    waiting = [start]
    while waiting:
        found = waiting.pop()
        if found == end:
            return True
        if found not in seen:
            seen.add(found)
            waiting += leads[found]
    return False


def _outputs(everything: Iterable[Ports]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((each.module, output) for each in everything for output in each.outputs))


def _source(module: str, output: str) -> str:
    """Messages without output have the module itself as their source, which takes all others too."""
    return f"/messages/modules/{module}/outputs/{output}" if output else f"/messages/modules/{module}/*"


def _fed(route: Declared) -> tuple[str, str]:
    """Source and sink of a route, to be compared."""
    (parsed,) = parse_routes({"route": route})
    return parsed.source.rstrip("/*").lower(), str(parsed.sink).lower()


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
