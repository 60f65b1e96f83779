"""What the modules of an app declare: by decorators, or by function.json; nothing is checked against a plugin yet."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import azure.functions as func
from azure.functions.decorators.utils import StringifyEnumJsonEncoder

from edgefn.errors import BindingError, listing, nearest
from edgefn.imports import AppModule
from edgefn.places import Declaration, in_json, in_python, json_lines, shown, snake

KEYS = ("bindings", "scriptFile", "entryPoint", "disabled", "retry", "functionTimeout")
OTHER_KEYS = ("$schema", "generatedBy", "configurationSource", "language", "name", "excluded")


@dataclass(slots=True)
class Declared:
    """A function as its module declares it."""

    name: str
    call: Callable[..., Any] | None
    bindings: list[dict[str, Any]]
    declaration: Declaration
    timeout: Any = None
    retry: Mapping[str, Any] | None = None
    disabled: Any = False
    """True, false, or the name of the setting that says it."""
    in_json: bool = False
    """Whether a function.json declares it."""
    errors: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    """The names of bindings that are no JSON objects, which is said already."""

    def bound(self) -> list[str]:
        """The parameters that its bindings name."""
        return [*(str(binding.get("name")) for binding in self.bindings), *self.unreadable]

    def fail(self, text: str) -> None:
        self.errors.append(f"{self.declaration.place}: {text}")

    def cannot_load(self, text: str) -> str:
        """An error of its signature, in the words of Azure's worker."""
        return f"{self.declaration.place}: cannot load the {self.name} function: {text}"


@dataclass(slots=True)
class Found:
    """All that the modules declare, and what is wrong with them as a whole."""

    functions: list[Declared] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def declared_in(modules: Sequence[AppModule], root: Path) -> Found:
    """The functions of all modules, each once, however many modules its app or blueprint is imported into."""
    found = Found(errors=list(dict.fromkeys(m.error for m in modules if m.error and m.function_json is None)))
    failed = {module.name: module.error for module in modules if module.error}
    seen: set[int] = set()
    for app, module in _apps(modules, root, found):
        for builder in app._function_builders:
            if id(builder) not in seen:
                seen.add(id(builder))
                function = _from_builder(app, builder, module, root)
                if error := failed.get(getattr(function.call, "__module__", "")):
                    function.fail(f"its module can not be loaded: {error}")
                found.functions.append(function)
    for module in modules:
        if module.function_json is not None:
            found.functions.append(_from_json(module, module.function_json, root, found.warnings))
    return found


# --- decorators --------------------------------------------------------------------------------------------------


def _apps(modules: Sequence[AppModule], root: Path, found: Found) -> Iterator[tuple[Any, AppModule]]:
    """The apps of all modules, then the blueprints: an app that has registered one knows more about its functions."""
    loaded = [module for module in modules if module.module is not None and module.function_json is None]
    for module in loaded:
        apps = _instances(module, func.FunctionRegister)
        if module.path.parent == root and len(apps) != 1:
            found.errors.append(_not_one(module, apps, root))
        elif not apps and _makes_one(module):
            found.warnings.append(
                f"{shown(module.path, root)}: its FunctionApp is in no variable of the module, so its functions do not "
                "run; right would be: app = edgefn.FunctionApp()"
            )
        else:
            yield from ((app, module) for app in apps.values())
    for module in loaded:
        blueprints = _instances(module, func.Blueprint)
        if module.path.parent == root:
            registered = {
                id(b) for a in _instances(module, func.FunctionRegister).values() for b in a._function_builders
            }
            for name, blueprint in blueprints.items():
                if any(id(builder) not in registered for builder in blueprint._function_builders):
                    found.warnings.append(
                        f"{shown(module.path, root)}: functions of blueprint '{name}' are not loaded; "
                        f"register it: app.register_functions({name})"
                    )
        else:
            yield from ((blueprint, module) for blueprint in blueprints.values())


def _instances(module: AppModule, kind: type) -> dict[str, Any]:
    """The values of that kind in a module by their first name, each once. Asks the type: a proxy may raise when it
    is asked what it is."""
    unique: dict[int, tuple[str, Any]] = {}
    for name, value in vars(module.module).items():
        if issubclass(type(value), kind):
            unique.setdefault(id(value), (name, value))
    return dict(unique.values())


def _makes_one(module: AppModule) -> bool:
    """Whether the code of a module makes a FunctionApp, while no variable of it holds an app or a blueprint."""
    file = module.path / "__init__.py" if module.path.is_dir() else module.path
    try:
        calls = [node.func for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Call)]
    except (OSError, SyntaxError, ValueError):  # it is another code by now
        return False
    names = {getattr(call, "attr", getattr(call, "id", "")) for call in calls}
    return "FunctionApp" in names and not _instances(module, func.Blueprint)


def _not_one(module: AppModule, apps: Mapping[str, Any], root: Path) -> str:
    file = module.path.name
    if not apps:
        return (
            f"{shown(module.path, root)}: Could not find top level function app instances in {file}.; "
            "right would be: app = edgefn.FunctionApp()"
        )
    return (
        f"{shown(module.path, root)}: More than one FunctionApp or other top level function app instances are "
        f"defined.; found {listing(apps)}, make blueprints of all but one, and register them"
    )


def _from_builder(app: Any, builder: Any, module: AppModule, root: Path) -> Declared:
    function = builder._function
    call = function.get_user_function()
    item = Declared(str(function.get_function_name()), call, [], in_python(call, root, module.path))
    try:
        builder.build(getattr(app, "auth_level", None))
    except (ValueError, TypeError) as error:
        item.fail(f"{error}; stack a trigger's decorator on it")
    for binding in function.get_bindings():
        try:
            item.bindings.append(_json_of(binding, item.declaration))
        except BindingError as error:
            item.errors.append(str(error))
            item.unreadable.append(str(binding.name))
    if settings := function.get_settings_dict("function_timeout"):
        item.timeout = settings["timeout"]
    if settings := function.get_settings_dict("retry_policy"):
        words = {"strategy": "strategy", "max_retry_count": "maxRetryCount", "delay_interval": "delayInterval"}
        words |= {"minimum_interval": "minimumInterval", "maximum_interval": "maximumInterval"}
        item.retry = {written: settings[name] for name, written in words.items() if settings.get(name) is not None}
    return item


def _json_of(binding: Any, declaration: Declaration) -> dict[str, Any]:
    """A binding as the JSON object that Azure's library makes of it; raises BindingError where it can not be one."""
    place = declaration.binding(str(binding.name))
    try:
        values: dict[str, Any] = binding.get_dict_repr()
    except (ValueError, RecursionError) as error:
        raise BindingError(f"{place}: an option of {binding.type} can not be written: {error}") from None
    for option, value in values.items():
        try:
            json.dumps(value, cls=StringifyEnumJsonEncoder, allow_nan=False)
        except (ValueError, TypeError, RecursionError):
            raise BindingError(
                f"{declaration.option(str(binding.name), option)}: option '{snake(option)}' of {binding.type} is no "
                f"JSON value, found a {type(value).__name__}; a text, a number, true or false, or a list or dict of "
                "these would do"
            ) from None
    document: dict[str, Any] = json.loads(json.dumps(values, cls=StringifyEnumJsonEncoder))
    return document


# --- function.json -----------------------------------------------------------------------------------------------


def _from_json(module: AppModule, document: Mapping[str, Any], root: Path, warnings: list[str]) -> Declared:
    declaration = in_json(module.path, root, document)
    item = Declared(module.name, None, [], declaration, document.get("functionTimeout"), in_json=True)
    if module.error and not document:  # it can not be read, so nothing is known of what it declares
        item.errors.append(module.error)
        return item
    item.disabled = document.get("disabled")
    item.bindings = list(_bindings(item, document, json_lines(module.path)))
    warnings += [
        f"{declaration.place}: unknown key '{key}' is ignored{nearest(key, KEYS)}"
        for key in document
        if key not in (*KEYS, *OTHER_KEYS)
    ]
    if isinstance(retry := document.get("retry"), dict):
        item.retry = retry
    elif retry is not None:
        item.fail(f"retry should be an object with a strategy, found {retry!r}")
    if module.error:
        item.errors.append(module.error)
    elif module.module is not None:
        entry = str(document.get("entryPoint") or "main")
        item.call = getattr(module.module, entry, None)
        if not callable(item.call):
            file = shown(Path(module.module.__file__ or ""), root)
            there = [name for name, value in vars(module.module).items() if callable(value) and name[0] != "_"]
            text = f"function {entry}() is not present in {file}{nearest(entry, there)}; it has {listing(there)}"
            item.errors.append(item.cannot_load(text))
            item.call = None
    return item


def _bindings(item: Declared, document: Mapping[str, Any], lines: Mapping[Any, int]) -> Iterator[dict[str, Any]]:
    declared = document.get("bindings")
    if not isinstance(declared or [], list):
        item.fail(f"bindings should be a list of objects, found {declared!r}")
    elif not declared:
        item.fail("At least one binding must be declared.")
    else:
        for index, binding in enumerate(declared):
            if isinstance(binding, dict) and isinstance(binding.get("name"), str):
                yield binding
            else:
                line = lines.get(("bindings", index), 0)
                where = f"{item.declaration.place}:{line}" if line else str(item.declaration.place)
                item.errors.append(
                    f"{where}: a binding should be an object with name, type and direction; found {binding!r}"
                )
