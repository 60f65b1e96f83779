"""A function made of a template: its file, its test, and what host.json, settings and requirements need for it."""

from __future__ import annotations

import ast
import builtins
import json
import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgefn.cli.opening import CHECKOUT, PACKAGED
from edgefn.cli.plan import Plan
from edgefn.cli.templates import Template, files_in, filled, filled_code
from edgefn.errors import EdgefnError, listing
from edgefn.imports import FOLDER, SCRIPT
from edgefn.settings import read_json, read_local

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
REQUIREMENT = re.compile(r"^edgefn(?:\[([^]]*)\])?(?=[^\w.-]|$)", re.MULTILINE)
UPSTREAM = {"upstream": "FROM /messages/* INTO $upstream"}
"""The route that counts where host.json names none; it has to be named once there is another one."""


@dataclass(slots=True)
class Generated:
    """A plan for a function, and what is left to be done by hand."""

    plan: Plan
    by_hand: list[str] = field(default_factory=list)


def generated(root: Path, template: Template, name: str, given: Mapping[str, str], *, force: bool) -> Generated:
    """Plans the function in the app; raises EdgefnError for a name or an answer that can not be used."""
    check_layout(root)
    check_name(root, template, name, force=force)
    answers = _answers(root, template, name, given)
    result = Generated(Plan(root, force))
    code = filled_code(template.text("function.py"), answers)
    result.plan.make(f"{FOLDER}/{name}.py", code)
    result.plan.make(f"tests/test_{name}.py", filled_code(template.text("test_function.py"), answers))
    result.plan.shared |= dict(_copied(template))
    _add_settings(result, template, code, answers)
    _add_routes(result, template, answers)
    _add_extras(result, template)
    if note := template.document.get("note"):
        result.by_hand.append(filled(note, answers))
    return result


def _answers(root: Path, template: Template, name: str, given: Mapping[str, str]) -> dict[str, str]:
    """By placeholder: what was given, else the defaults."""
    edge_hub = _section(_document(root / "host.json"), "extensions", "edgeHub")
    answers = {"name": name, "module": str(edge_hub.get("moduleId", "edgefn"))}
    for question in template.questions.values():
        answer = given.get(question.key, filled(question.default, answers))
        answers[question.key] = question.checked(answer)
    return answers


# --- names -------------------------------------------------------------------------------------------------------


def check_layout(root: Path) -> None:
    """Raises EdgefnError where a function can not be added, since there is no app, or one of another layout."""
    if not (root / "host.json").exists():
        raise EdgefnError(f"{root}: is no app, it has no host.json; make one with: edgefn init")
    other = SCRIPT if (root / SCRIPT).exists() else listing(sorted(p.parent.name for p in root.glob("*/function.json")))
    if other != listing(()):
        raise EdgefnError(
            f"{root}: its functions are in {other}, and would hide those in {FOLDER}/; "
            f"make an app of its own for the new one, with: edgefn init FOLDER"
        )


def check_name(root: Path, template: Template, name: str, *, force: bool) -> str:
    """The name; raises EdgefnError for one that is none in Python, has a meaning in the template, or is taken."""
    if not NAME.fullmatch(name) or keyword.iskeyword(name) or name.lower() == "host":
        raise EdgefnError(f"--name: '{name}' can not be a function's name; a letter, then letters, digits and _")
    if hasattr(builtins, name) or name in _globals(template):
        raise EdgefnError(f"--name: '{name}' has a meaning in the file already; choose another name")
    own = f"{FOLDER}/{name}.py"
    taken = [(path, known) for path, known in _functions(root) if known.lower() == name.lower()]
    for path, known in taken:
        if path != own or not force:
            raise EdgefnError(f"--name: '{known}' is in {path} already; choose another name")
    return name


def _globals(template: Template) -> set[str]:
    """The names that the template's files use for other things."""
    names: set[str] = set()
    for file in ("function.py", "test_function.py"):
        for node in ast.walk(ast.parse(template.text(file))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Name):
                names.add(node.id)
    return names


def _functions(root: Path) -> Iterator[tuple[str, str]]:
    """Files of functions and the names that they take, also those of files that can not be read as Python."""
    folder = root / FOLDER
    for path in sorted([*folder.glob("*.py"), *folder.glob("*/*.py")]):
        shown = path.relative_to(root).as_posix()
        yield shown, path.parent.name if path.name == "__init__.py" else path.stem
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != path.stem:
                yield shown, node.name


# --- what the function needs -------------------------------------------------------------------------------------


def sample_folder() -> Path:
    """The models and the clip that come with the package."""
    return (PACKAGED if PACKAGED.exists() else CHECKOUT) / "sample"


def _copied(template: Template) -> Iterator[tuple[str, bytes]]:
    """The sample's models, and the template's own files, by their paths in the app."""
    for model in template.document.get("sample", ()):
        for path in sorted(sample_folder().glob(f"{model}.*")):
            yield f"models/{path.name}", path.read_bytes()
    own = template.folder.parent / template.document.get("files", template.name) / "files"
    for path in files_in(own):
        yield path.relative_to(own).as_posix(), path.read_bytes()


def _add_settings(result: Generated, template: Template, code: str, answers: Mapping[str, str]) -> None:
    """Those that the function names and the app lacks."""
    path = result.plan.root / "local.settings.json"
    document = (read_local(path) if path.exists() else {}) or {"IsEncrypted": False}
    known = {name.lower() for name in document.get("Values") or {}}
    declared = template.document.get("settings", {}).items()
    values = {name: filled(value, answers) for name, value in declared if name in code and name.lower() not in known}
    if values:
        document["Values"] = {**(document.get("Values") or {}), **values}
        _change(result, path, document, {"Values": values})


def _add_routes(result: Generated, template: Template, answers: Mapping[str, str]) -> None:
    """Those that quote no empty answer; with the first one the route that holds without any is named too."""
    path = result.plan.root / "host.json"
    document = _document(path)
    edge_hub = _section(document, "extensions", "edgeHub")
    empty = {f"__{key.upper()}__" for key, answer in answers.items() if not answer}
    declared = template.document.get("routes", {}).items()
    wanted = {filled(k, answers): filled(v, answers) for k, v in declared if not any(part in v for part in empty)}
    routes = {name: route for name, route in wanted.items() if name not in edge_hub.get("routes", {})}
    if routes:
        new = routes if edge_hub.get("routes") else {**UPSTREAM, **routes}
        edge_hub["routes"] = {**(edge_hub.get("routes") or {}), **new}
        _change(result, path, document, {"extensions": {"edgeHub": {"routes": new}}})


def _add_extras(result: Generated, template: Template) -> None:
    """The extras of edgefn that the function needs, in requirements.txt."""
    extras = set(template.document.get("extras", ()))
    path = result.plan.root / "requirements.txt"
    text = path.read_text(encoding="utf-8") if path.exists() else "edgefn\n"
    found = REQUIREMENT.search(text)
    known = set(filter(None, re.split(r"[\s,]+", (found[1] or "") if found else "")))
    if not extras - known:
        return
    wanted = f"edgefn[{','.join(sorted(extras | known))}]"
    if found:
        changed = REQUIREMENT.sub(wanted, text, count=1)
        result.plan.changed["requirements.txt"] = (changed.encode(), wanted)
    result.by_hand.append(f"pip install '{wanted}'" if found else f"add {wanted} to requirements.txt")


def _document(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def _section(document: dict[str, Any], *keys: str) -> dict[str, Any]:
    """An object inside the document, made where it lacks; raises EdgefnError where something else is in its place."""
    for key in keys:
        inner = document.setdefault(key, {})
        if not isinstance(inner, dict):
            raise EdgefnError(f"host.json: {key} should be an object, found {inner!r}")
        document = inner
    return document


def _change(result: Generated, path: Path, document: Mapping[str, Any], news: Mapping[str, Any]) -> None:
    """Plans the file anew; where that would lose comments, the user is told what to add."""
    names = listing(_leaves(news))
    try:
        if path.exists():
            json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError:
        result.by_hand.append(f"add to {path.name}, which has comments that would be lost: {json.dumps(news)}")
        return
    result.plan.changed[path.name] = ((json.dumps(document, indent=2) + "\n").encode(), names)


def _leaves(news: Mapping[str, Any]) -> Iterator[str]:
    for key, value in news.items():
        if isinstance(value, Mapping):
            yield from _leaves(value)
        else:
            yield key
