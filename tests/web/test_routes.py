"""The table of routes: which function has a path and a method."""

from __future__ import annotations

import pytest

from edgefn.web.routes import Routes, decoded, route_of


def table(*declared: tuple[str, str, tuple[str, ...]]) -> Routes[str]:
    routes: Routes[str] = Routes()
    for function, path, methods in declared:
        routes.add(route_of(function, "api", path, methods, "anonymous"))
    return routes


def found(routes: Routes[str], path: str, method: str = "GET") -> tuple[str, dict[str, str]] | None:
    match = routes.match(path, method)
    return None if match is None else (match[0].function, dict(match[1]))


def test_the_most_specific_route_has_a_path() -> None:
    routes = table(("rest", "items/{*rest}", ()), ("one", "items/{id:int}", ()), ("new", "items/new", ()))
    assert found(routes, "/api/items/new/") == ("new", {})
    assert found(routes, "/API/Items/7") == ("one", {"id": "7"})
    assert found(routes, "/api/items/a/b") == ("rest", {"rest": "a/b"})


def test_one_path_may_be_of_several_functions_by_their_methods() -> None:
    routes = table(("read", "items", ("GET",)), ("write", "items", ("POST", "PUT")), ("other", "{any}", ()))
    assert found(routes, "/api/items") == ("read", {})
    assert found(routes, "/api/items", "PUT") == ("write", {})
    assert found(routes, "/api/items", "DELETE") == ("other", {"any": "items"})


@pytest.mark.parametrize("path", ["", "/", "//", "/api", "/api//items", "items", "/api/items//", "*"])
def test_odd_paths_are_of_nobody(path: str) -> None:
    assert found(table(("items", "items", ()), ("one", "{id}/x", ())), path) is None


def test_an_empty_prefix_leaves_the_root_to_a_function() -> None:
    routes: Routes[str] = Routes()
    routes.add(route_of("root", "", "/", (), "anonymous"))
    assert found(routes, "/") == ("root", {})


def test_a_route_that_is_declared_anew_replaces_the_old_one_and_keeps_its_target() -> None:
    routes = table(("f", "old/{x}", ()))
    routes.get("f").target = "listener"  # type: ignore[union-attr]
    routes.add(route_of("f", "api", "new", (), "anonymous"))
    assert found(routes, "/api/old/1") is None
    match = routes.match("/api/new", "GET")
    assert match is not None
    assert match[0].target == "listener"


@pytest.mark.parametrize(
    ("raw", "path"),
    [(b"/a%20b", "/a b"), (b"/%C3%A9", "/é"), (b"/a%2Fb%2fc", "/a%2Fb%2Fc"), (b"/a%", "/a%"), (b"/x", "/x")],
)
def test_a_path_is_decoded_but_for_its_slashes(raw: bytes, path: str) -> None:
    assert decoded(raw) == path


def test_a_path_that_is_no_utf_8_is_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        decoded(b"/%ff")
