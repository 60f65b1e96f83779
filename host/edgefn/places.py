"""Where in a file a function, its bindings and their options are declared, so that errors can name the line."""

from __future__ import annotations

import ast
import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import unwrap
from pathlib import Path
from typing import Any

from edgefn.errors import Place


@dataclass(frozen=True, slots=True)
class Declaration:
    """The places of one function: itself, its bindings by parameter, and their options by binding and JSON name."""

    place: Place
    bindings: Mapping[str, Place] = field(default_factory=dict)
    options: Mapping[tuple[str, str], Place] = field(default_factory=dict)

    def binding(self, name: str) -> Place:
        return self.bindings.get(name, self.place)

    def option(self, binding: str, name: str) -> Place:
        return self.options.get((binding, name), self.binding(binding))


def in_python(call: Callable[..., Any], root: Path) -> Declaration:
    """Where a decorated function is declared, read from its source; only the file when there is none to read."""
    code = getattr(unwrap(call), "__code__", None)
    if code is None:
        return Declaration(Place(shown(Path(getattr(call, "__module__", "") or "?"), root)))
    file = shown(Path(code.co_filename), root)
    node = _functions(code.co_filename).get(code.co_firstlineno)
    if node is None:
        return Declaration(Place(file, code.co_firstlineno))
    bindings: dict[str, Place] = {}
    options: dict[tuple[str, str], Place] = {}
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and (name := _parameter(decorator)):
            bindings[name] = Place(file, decorator.lineno)
            for keyword in decorator.keywords:
                if keyword.arg:
                    options[name, camel(keyword.arg)] = Place(file, keyword.value.lineno)
    return Declaration(Place(file, node.lineno), bindings, options)


def in_json(path: Path, root: Path, names: list[str]) -> Declaration:
    """Where a function.json declares the bindings of those names: the lines on which they are named."""
    file = shown(path, root)
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    found = {
        name: Place(file, number) for name in names for number, line in enumerate(lines, 1) if json.dumps(name) in line
    }
    return Declaration(Place(file), found)


def shown(path: Path, root: Path) -> str:
    """A path as errors show it: from the app root where it lies there."""
    try:
        return str(path.resolve().relative_to(root.resolve()))
    except ValueError:
        return str(path)


def camel(name: str) -> str:
    """``max_fps`` as azure.functions writes it: ``maxFps``."""
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def snake(name: str) -> str:
    """``maxFps`` as a decorator takes it: ``max_fps``."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _parameter(decorator: ast.Call) -> str | None:
    """The ``arg_name`` of a decorator, by keyword or as its first argument."""
    named = [keyword.value for keyword in decorator.keywords if keyword.arg == "arg_name"]
    value = next(iter([*named, *decorator.args]), None)
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


@functools.lru_cache(maxsize=256)
def _parsed(file: str, _changed: int) -> dict[int, ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {min([node.lineno, *(d.lineno for d in node.decorator_list)]): node for node in nodes}


def _functions(file: str) -> Mapping[int, ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions of a file by the line of their first decorator, as code objects number them."""
    try:
        return _parsed(file, Path(file).stat().st_mtime_ns)
    except (OSError, SyntaxError, ValueError):
        return {}
