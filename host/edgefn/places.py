"""Where in a file a function, its bindings and their options are declared, so that errors can name the line."""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from inspect import unwrap
from pathlib import Path
from typing import Any

from edgefn.errors import Place

JsonPath = tuple[str | int, ...]
COMMENTS = re.compile(r'("(?:\\.|[^"\\\n])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
TOKENS = re.compile(r'"(?:\\.|[^"\\\n])*"|[{}\[\],:\n]')


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


def in_python(call: Callable[..., Any], root: Path, module: Path) -> Declaration:
    """Where a decorated function is declared, read from its source; ``module`` as a whole when it is not the user's."""
    code = getattr(unwrap(call), "__code__", None)
    if code is None or Path(code.co_filename).parts[-4:-2] == ("azure", "functions"):  # that of an AsgiFunctionApp
        return Declaration(Place(shown(module, root)))
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
                    options[name, camel(keyword.arg)] = Place(file, keyword.lineno)
    return Declaration(Place(file, node.lineno), bindings, options)


def in_json(path: Path, root: Path, document: Mapping[str, Any]) -> Declaration:
    """Where a function.json declares its bindings and their options."""
    file = shown(path, root)
    lines = json_lines(path)
    bindings: dict[str, Place] = {}
    options: dict[tuple[str, str], Place] = {}
    declared = document.get("bindings")
    for index, binding in enumerate(declared if isinstance(declared, list) else ()):
        if isinstance(binding, dict):
            name = str(binding.get("name"))
            bindings[name] = Place(file, lines.get(("bindings", index, "name"), lines.get(("bindings", index), 0)))
            for option in binding:
                options[name, option] = Place(file, lines.get(("bindings", index, option), 0))
    return Declaration(Place(file), bindings, options)


def without_comments(text: str) -> str:
    """A JSON text with blanks in the place of its comments, so that all else keeps its line and column."""
    return COMMENTS.sub(lambda match: match[1] or re.sub(r"[^\n]", " ", match[0]), text)


def json_lines(path: Path) -> dict[JsonPath, int]:
    """The line of each value in a file that holds JSON, by its path: ``("bindings", 0, "name")``."""
    try:
        return dict(_key_lines(without_comments(path.read_text(encoding="utf-8-sig"))))
    except (OSError, ValueError):
        return {}


def _key_lines(text: str) -> Iterator[tuple[JsonPath, int]]:
    path: list[str | int] = []
    line, last = 1, '""'
    for match in TOKENS.finditer(text):
        token = match[0]
        if token in "{[" and path and isinstance(path[-1], int):
            yield tuple(path), line
        if token == "\n":
            line += 1
        elif token in "{[":
            path.append("" if token == "{" else 0)
        elif token in "}]":
            del path[-1:]
        elif token == "," and path and isinstance(path[-1], int):
            path[-1] += 1
        elif token == ":" and path:
            path[-1] = json.loads(last)
            yield tuple(path), line
        elif token[0] == '"':
            last = token


def shown(path: Path, root: Path) -> str:
    """A path as errors show it: from the app root where it lies there."""
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except (ValueError, OSError):
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
    tree = ast.parse(Path(file).read_bytes())
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {min([node.lineno, *(d.lineno for d in node.decorator_list)]): node for node in nodes}


def _functions(file: str) -> Mapping[int, ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions of a file by the line of their first decorator, as code objects number them."""
    try:
        return _parsed(file, Path(file).stat().st_mtime_ns)
    except (OSError, SyntaxError, ValueError):
        return {}
