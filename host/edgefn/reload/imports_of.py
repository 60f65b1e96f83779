"""Which modules of an app import which, read in their source: one that changed makes those stale that import it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path


def stale(changed: Collection[str], modules: Mapping[str, Path]) -> set[str]:
    """The modules that changed, and all that import one of them, directly or by way of others."""
    importers: dict[str, set[str]] = {}
    for name, path in modules.items():
        for imported in imported_by(name, path):
            importers.setdefault(imported, set()).add(name)
    found, left = set(changed), list(changed)
    while left:
        for importer in importers.get(left.pop(), ()):
            if importer not in found:
                found.add(importer)
                left.append(importer)
    return found


def imported_by(name: str, path: Path) -> set[str]:
    """The names of modules that a file imports, or may mean by ``from x import y``; empty where it can not be read."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return set()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return {found for node in ast.walk(tree) for found in _named(node, package)}


def _named(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _with_parents(alias.name)
    elif isinstance(node, ast.ImportFrom):
        base = _absolute(node, package)
        yield from _with_parents(base)
        for alias in node.names:
            yield f"{base}.{alias.name}" if base else alias.name


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _with_parents(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]
