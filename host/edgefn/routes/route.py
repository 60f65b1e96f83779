"""Routes: ``[SELECT *] FROM <source> [WHERE <condition>] INTO <sink>`` (Route.g4 and Evaluator of Azure/iotedge)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from edgefn.errors import nearest
from edgefn.routes.body import MessageView, RoutedMessage
from edgefn.routes.condition import Condition, parse_condition
from edgefn.routes.tokens import RouteError, Token, Tokens

DEFAULT_PRIORITY = 2_000_000_000
_PRIORITIES = frozenset([*range(10), DEFAULT_PRIORITY])
_OPTIONS = ("route", "priority", "timeToLiveSecs")
_SOURCES = "/messages/*, /messages/modules/<module>/outputs/<output>, /twinChangeNotifications or /*"
_SENT = ("/messages/", "/twinchangenotifications/")
_SINKS = '$upstream or BrokeredEndpoint("/modules/<module>/inputs/<input>")'
_PLANS = 1024  # sources whose plan is remembered; outputs are named by the senders, so there may be more


@dataclass(frozen=True, slots=True)
class Upstream:
    """To IoT Hub."""

    def __str__(self) -> str:
        return "$upstream"


@dataclass(frozen=True, slots=True)
class ModuleInput:
    """To an input of a module of this device."""

    module: str
    input: str

    def __str__(self) -> str:
        return f'BrokeredEndpoint("/modules/{self.module}/inputs/{self.input}")'


Sink = Upstream | ModuleInput


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one sink, by the route that won; ``time_to_live`` in seconds, None for the hub's own."""

    sink: Sink
    route: str
    priority: int
    time_to_live: float | None


@dataclass(frozen=True, slots=True)
class RouteWarning:
    """What is allowed and hardly meant; ``route`` is None where no single route is at fault."""

    route: str | None
    text: str
    loses: bool = False
    """Whether messages are lost by it, or never looked at."""
    names_unknown: bool = False
    """Whether that is since it names a module that is not there; another deployment may bring it."""


@dataclass(frozen=True)
class Route:
    """A route that edgeHub would accept. Lower numbers of ``priority`` go first."""

    name: str
    text: str
    source: str
    condition: Condition | None
    sink: Sink
    priority: int = DEFAULT_PRIORITY
    time_to_live: float | None = None

    @cached_property
    def prefix(self) -> str:
        """The source as it is compared: without trailing ``*`` and ``/``, in lower case, ended by one ``/``."""
        return _terminated(self.source.rstrip("*"))

    def takes(self, source: str) -> bool:
        """Whether messages of that source are looked at."""
        return _terminated(source).startswith(self.prefix)

    def matches(self, message: RoutedMessage) -> bool:
        """Whether the message goes this way."""
        if not self.takes(message.source):
            return False
        return self.condition is None or self.condition.holds(MessageView(message))

    @cached_property
    def delivery(self) -> Delivery:
        return Delivery(self.sink, self.name, self.priority, self.time_to_live)


def _terminated(path: str) -> str:
    return path.strip().rstrip("/").lower() + "/"


# --- parsing -----------------------------------------------------------------------------------------------------


def parse_route(name: str, text: str, *, priority: int = DEFAULT_PRIORITY, time_to_live: float | None = None) -> Route:
    """The route that ``text`` declares; ``time_to_live`` in seconds, 0 and None mean the hub's own.

    Raises RouteError with the column where edgeHub would refuse it, and for text after the sink, which it ignores.
    """
    tokens = Tokens(name, text)
    if tokens.take_if("select"):
        tokens.expect("*", "SELECT can not choose", "SELECT * would be right")
    tokens.expect("from", "a route begins with FROM", f"FROM <source> INTO {_SINKS} would be right")
    source = _parse_source(tokens)
    twin_changes = _terminated(source.rstrip("*")) == "/twinchangenotifications/"
    condition = parse_condition(tokens, text, twin_changes=twin_changes) if tokens.take_if("where") else None
    tokens.expect("into", "INTO is missing", f"{_expected(condition)} would be right")
    sink = _parse_sink(tokens)
    if tokens.next.kind != "end":
        raise tokens.error(tokens.next, "a route ends with its sink", "a second sink needs a second route")
    priority, time_to_live = _checked_priority(name, priority), _checked_ttl(name, time_to_live)
    return Route(name, text, source, condition, sink, priority, time_to_live)


def _expected(condition: Condition | None) -> str:
    return "WHERE or INTO" if condition is None else "an operator with spaces around it, or INTO,"


def _parse_source(tokens: Tokens) -> str:
    source = ""
    while tokens.take_if("/"):
        token = tokens.take()
        if token.word != "*" and token.kind != "name":
            raise tokens.error(token, _no_item(token), f"{_SOURCES} would be right")
        source += f"/{token.text}"
    if not source:
        raise tokens.error(tokens.next, "FROM needs a source", f"{_SOURCES} would be right")
    return source


def _no_item(token: Token) -> str:
    """Names that are keywords or numbers are no names in a path: edgeHub refuses them too."""
    if token.kind in ("keyword", "literal", "number"):
        return f"{token} can not be a part of a source, as edgeHub reads a {token.kind} there"
    return "a part of the source is missing"


def _parse_sink(tokens: Tokens) -> Sink:
    token = tokens.take()
    if token.kind == "system name" and token.text.lower() == "$upstream":
        return Upstream()
    if token.kind != "name" or token.text.lower() != "brokeredendpoint":
        raise tokens.error(token, "there is no such sink", f"{_SINKS} would be right")
    tokens.expect("(", "BrokeredEndpoint needs an address", f"{_SINKS} would be right")
    address = tokens.take()
    if address.kind != "string":
        raise tokens.error(address, "BrokeredEndpoint needs an address in quotes", f"{_SINKS} would be right")
    tokens.expect(")", "BrokeredEndpoint is not closed", '")" would be right')
    return _parse_address(tokens, address)


def _parse_address(tokens: Tokens, token: Token) -> ModuleInput:
    """edgeHub counts the four parts and looks at the second and the fourth only."""
    parts = token.text[1:-1].strip().removeprefix("/").removesuffix("/").split("/")
    if len(parts) != 4 or not parts[1] or not parts[3]:
        raise tokens.error(token, "this is no address of an input", '"/modules/<module>/inputs/<input>" would be right')
    return ModuleInput(parts[1], parts[3])


def _checked_priority(name: str, priority: object) -> int:
    if isinstance(priority, int) and not isinstance(priority, bool) and priority in _PRIORITIES:
        return priority
    raise RouteError(f'route "{name}": wrong priority; 0 (first) to 9 would be right, found {priority!r}')


def _checked_ttl(name: str, seconds: object) -> float | None:
    if seconds is None:
        return None
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < math.inf:
        return seconds or None
    raise RouteError(f'route "{name}": wrong time to live; seconds from 0 on would be right, found {seconds!r}')


def parse_routes(mapping: Mapping[str, object]) -> Routes:
    """The routes of a deployment manifest or of host.json: ``{name: text}``, or ``{name: {"route": text, ...}}``.

    Raises one RouteError for all wrong routes, a line each.
    """
    routes, errors = [], []
    for name, declared in mapping.items():
        try:
            routes.append(_parse_declared(name, declared))
        except RouteError as error:
            errors.append(str(error))
    if errors:
        raise RouteError("\n".join(errors))
    return Routes(routes)


def _parse_declared(name: str, declared: object) -> Route:
    options = {"route": declared} if isinstance(declared, str) else declared
    if not isinstance(options, Mapping):
        raise RouteError(f'route "{name}": it is neither a text nor an object with a "route", found {declared!r}')
    unknown = [str(key) for key in options if key not in _OPTIONS]
    if unknown:
        raise RouteError(f'route "{name}": unknown {", ".join(unknown)}; there are {", ".join(_OPTIONS)}')
    text = options.get("route")
    if not name.strip() or not isinstance(text, str):
        raise RouteError(f'route "{name}": name or text is missing; "FROM ... INTO ..." would be right, found {text!r}')
    priority = _checked_priority(name, options.get("priority", DEFAULT_PRIORITY))
    return parse_route(name, text, priority=priority, time_to_live=_checked_ttl(name, options.get("timeToLiveSecs")))


# --- the set -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plan:
    """The routes that look at one source; ``fixed`` are their deliveries if no condition needs the message."""

    routes: tuple[Route, ...]
    fixed: tuple[Delivery, ...] | None


class Routes:
    """The routes of one hub: decides for each message, and warns about what is hardly meant."""

    def __init__(self, routes: Iterable[Route] = ()) -> None:
        self._routes = tuple(routes)
        self._by_priority = sorted(self._routes, key=lambda route: route.priority)
        self._plans: dict[str, _Plan] = {}

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def __len__(self) -> int:
        return len(self._routes)

    def __eq__(self, other: object) -> bool:
        return self._routes == other._routes if isinstance(other, Routes) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._routes)

    def __repr__(self) -> str:
        return f"Routes({list(self._routes)!r})"

    def sinks_for(self, message: RoutedMessage) -> tuple[Delivery, ...]:
        """One delivery a sink, the most urgent first; of routes to the same sink the most urgent counts."""
        plan = self._plans.get(message.source) or self._make_plan(message.source)
        if plan.fixed is not None:
            return plan.fixed
        view = MessageView(message)
        return _deliveries(route for route in plan.routes if route.condition is None or route.condition.holds(view))

    def _make_plan(self, source: str) -> _Plan:
        routes = tuple(route for route in self._by_priority if route.takes(source))
        conditional = any(route.condition for route in routes)
        plan = _Plan(routes, None if conditional else _deliveries(routes))
        if len(self._plans) >= _PLANS:
            self._plans.clear()
        self._plans[source] = plan
        return plan

    def warnings(
        self,
        known_outputs: Collection[tuple[str, str]],
        known_inputs: Collection[tuple[str, str]],
        modules: Collection[str],
    ) -> tuple[RouteWarning, ...]:
        """What is allowed and hardly meant; outputs and inputs are pairs of a module and a name."""
        return (
            *(warning for route in self._routes for warning in _warnings_of(route, modules)),
            *(_unrouted(module, output) for module, output in known_outputs if not self._routes_output(module, output)),
            *(_unfed(module, name) for module, name in known_inputs if not self._feeds(ModuleInput(module, name))),
        )

    def _routes_output(self, module: str, output: str) -> bool:
        return any(route.takes(f"/messages/modules/{module}/outputs/{output}") for route in self._routes)

    def _feeds(self, sink: ModuleInput) -> bool:
        return any(route.sink == sink for route in self._routes)


def _deliveries(routes: Iterable[Route]) -> tuple[Delivery, ...]:
    found: dict[Sink, Delivery] = {}
    for route in routes:
        found.setdefault(route.sink, route.delivery)
    return tuple(found.values())


def _unknown(route: Route, text: str) -> RouteWarning:
    return RouteWarning(route.name, text, loses=True, names_unknown=True)


def _warnings_of(route: Route, modules: Collection[str]) -> Iterator[RouteWarning]:
    if "*" in route.prefix:
        text = f'only a "*" at the end stands for anything, so {route.source} matches nothing; name the module'
        yield RouteWarning(route.name, text, loses=True)
    elif not any(source.startswith(route.prefix) or route.prefix.startswith(source) for source in _SENT):
        yield RouteWarning(
            route.name, f"takes from {route.source}, where nothing comes from; {_SOURCES} would be right", loses=True
        )
    elif (module := _source_module(route)) and module not in {known.lower() for known in modules}:
        yield _unknown(route, f"takes from the unknown module {_known(module, modules)}")
    if isinstance(route.sink, ModuleInput) and route.sink.module not in modules:
        yield _unknown(route, f"leads to the unknown module {_known(route.sink.module, modules)}")
    for doubt in route.condition.doubts if route.condition else ():
        yield RouteWarning(route.name, doubt)


def _source_module(route: Route) -> str:
    _, *parts = route.prefix.split("/")
    return parts[2] if parts[:2] == ["messages", "modules"] and len(parts) > 2 else ""


def _known(module: str, modules: Collection[str]) -> str:
    return f'"{module}"; there are {_listed(modules)}{nearest(module, modules)}'


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _unrouted(module: str, output: str) -> RouteWarning:
    text = f'no route takes output "{output}" of module "{module}"; edgeHub drops its messages'
    return RouteWarning(None, text, loses=True)


def _unfed(module: str, name: str) -> RouteWarning:
    return RouteWarning(None, f'no route leads to input "{name}" of module "{module}"; it never gets a message')
