"""Which function a request is for: the routes of all HTTP functions, in ASP.NET's order of precedence."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from edgefn.web.templates import Template, parse_template

T = TypeVar("T")
SLASHES = re.compile(rb"%2f", re.IGNORECASE)
NO_VALUES: Mapping[str, str] = {}


@dataclass(slots=True, eq=False)
class Route(Generic[T]):
    """One function's route; ``target`` is what answers."""

    function: str
    template: Template
    """With the prefix of host.json."""
    path: str
    """As declared, without the prefix."""
    methods: tuple[str, ...]
    """In upper case; empty for all."""
    level: str
    target: T | None = None
    _methods: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self._methods = frozenset(self.methods)

    def takes(self, method: str) -> bool:
        return not self._methods or method in self._methods

    def collides_with(self, other: Route[T]) -> bool:
        """Whether both declare the same path for one method, as Azure's host compares them."""
        same = self.path.strip("/").lower() == other.path.strip("/").lower()
        return same and (not self._methods or not other._methods or bool(self._methods & other._methods))


class Routes(Generic[T]):
    """The routes by function, and by what they match."""

    def __init__(self) -> None:
        self._by_function: dict[str, Route[T]] = {}
        self._targets: dict[str, T | None] = {}
        self._literal: dict[str, list[Route[T]]] = {}
        self._patterns: list[Route[T]] = []

    def __iter__(self) -> Iterator[Route[T]]:
        return iter(self._by_function.values())

    def get(self, function: str) -> Route[T] | None:
        return self._by_function.get(function)

    def add(self, route: Route[T]) -> None:
        """Puts a route in the place of the one that its function has or had, whose target answers until then."""
        self.remove(route.function)
        route.target = self._targets.pop(route.function, None)
        self._by_function[route.function] = route
        literal = route.template.literal
        if literal is not None:
            self._literal.setdefault(f"/{literal}", []).append(route)
        else:
            bisect.insort(self._patterns, route, key=lambda each: each.template.precedence)

    def remove(self, function: str) -> None:
        route = self._by_function.pop(function, None)
        if route is None:
            return
        self._targets[function] = route.target
        literal = route.template.literal
        (self._patterns if literal is None else self._literal[f"/{literal}"]).remove(route)

    def match(self, path: str, method: str) -> tuple[Route[T], Mapping[str, str]] | None:
        """The route of a decoded path and method, with the values of its parameters."""
        key = path.lower()
        for route in self._literal.get(key[:-1] if key.endswith("/") and key != "/" else key, ()):
            if route.takes(method):
                return route, NO_VALUES
        if not self._patterns:
            return None
        segments = path[1:].removesuffix("/").split("/") if path not in ("", "/") else []
        for route in self._patterns:
            if route.takes(method) and (values := route.template.match(segments)) is not None:
                return route, values
        return None

    def declares(self, path: str) -> bool:
        """Whether a template names just this path, whatever the method."""
        return bool(self._literal.get(path.lower()))


def route_of(function: str, prefix: str, path: str, methods: tuple[str, ...], level: str) -> Route[T]:
    """The route of one function; raises TemplateError."""
    parse_template(path)
    return Route(function, parse_template(f"{prefix}/{path.strip('/')}"), path, methods, level)


def decoded(raw: bytes) -> str:
    """A path without its percent signs, in UTF-8, but for ``%2F``, which separates nothing; raises ValueError."""
    if b"%" not in raw:
        return raw.decode("ascii")
    return unquote_to_bytes(SLASHES.sub(b"%252F", raw)).decode()
