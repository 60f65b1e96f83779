"""From an app folder to checked functions: declared by decorators or function.json, validated by the plugins.

A module or function that is wrong is in error, with place and reason; all others are loaded.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import azure.functions as func
from pydantic import ValidationError

from edgefn.contracts import Hub, Kind, Services
from edgefn.errors import BindingError, EdgefnError, Place, SettingError, listing, nearest
from edgefn.function import Binding, Direction, Function, Options
from edgefn.imports import AppModule, import_app, mixed_models
from edgefn.metrics import Metrics
from edgefn.places import Declaration, in_json, in_python, shown, snake
from edgefn.plugins import KindTable, PluginManager, kind_table, plugin_manager, session_kinds
from edgefn.settings import HostConfig, Settings, load_host_config, load_settings, references, timeout
from edgefn.spool import Inbox

FUNCTION_NAME = re.compile(r"^[a-z][a-z0-9_\-]{0,127}$", re.IGNORECASE)
BINDING_NAME = re.compile(r"^(?!.*__)([a-zA-Z_][a-zA-Z0-9_]{0,127}|\$return)$")
NOT_OPTIONS = ("name", "type", "direction", "dataType")


@dataclass(slots=True)
class App:
    """A loaded app: its functions, checked, and what the host needs to run them."""

    root: Path
    config: HostConfig
    services: Services
    manager: PluginManager
    kinds: KindTable
    functions: list[Function] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """What is wrong with modules and plugins; what is wrong with a function is kept there."""
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Declared:
    """A function as its module declares it, before any check."""

    name: str
    call: Callable[..., Any] | None
    bindings: list[dict[str, Any]]
    declaration: Declaration
    timeout: Any = None
    errors: list[str] = field(default_factory=list)


def load_app(
    root: Path,
    *,
    environment: Mapping[str, str] = os.environ,
    given: Mapping[str, str] | None = None,
    only: tuple[str, ...] = (),
    state: Path | None = None,
) -> App:
    """Loads the app in ``root``; opens and starts nothing.

    ``given`` are settings over those of the environment, ``only`` the functions to load (all when empty), ``state``
    the folder for the host's files. Raises SettingError when host.json or local.settings.json can not be used.
    """
    root = root.resolve()
    config = load_host_config(root, environment)
    settings = load_settings(root, environment, given or {})
    manager, errors = plugin_manager()
    modules = import_app(root, settings.get("PYTHON_SCRIPT_FILE_NAME") or "function_app.py")
    for module in modules:
        if module.module is not None:
            manager.register(module.module, module.name)
    services = _services(root, state or root / ".edgefn", config, settings, manager)
    app = App(root, config, services, manager, kind_table(manager, services))
    app.warnings += [*config.warnings, *settings.notes]
    if mixed_models(root):
        app.warnings.append("Detected mixed function app. Some functions may not be indexed - function_app.py counts")
    app.errors += errors + [module.error for module in modules if module.error]
    declared = [found for module in modules for found in _declared(module, root, app.errors)]
    _load_functions(app, declared, only or config.functions)
    return app


def _services(root: Path, state: Path, config: HostConfig, settings: Settings, manager: PluginManager) -> Services:
    metrics = Metrics()
    hub: Hub = manager.hook.edgefn_hub(root=root, state=state, config=config, settings=settings, metrics=metrics)
    kinds = session_kinds(manager, root, state)
    return Services(root, state, settings, config, metrics, hub, Inbox(metrics), kinds)


def _load_functions(app: App, declared: list[Declared], only: tuple[str, ...]) -> None:
    seen: dict[str, Place] = {}
    for item in sorted(declared, key=lambda item: item.name.lower()):
        first = seen.setdefault(item.name.lower(), item.declaration.place)
        if first is not item.declaration.place:
            item.errors.append(f"Function {item.name} does not have a unique function name; {first} has it already")
        if not only or item.name.lower() in (name.lower() for name in only):
            app.functions.append(_checked(item, app))
    for name in only:
        if name.lower() not in seen:
            app.errors.append(
                f"no function '{name}' to run{nearest(name, seen)}; "
                f"functions: {listing(item.name for item in declared)}"
            )


# --- what a module declares --------------------------------------------------------------------------------------


def _declared(module: AppModule, root: Path, errors: list[str]) -> Iterator[Declared]:
    if module.function_json is not None:
        yield _from_json(module, root)
        return
    if module.module is None:
        return
    apps = _apps(module)
    if module.path.parent == root and len([a for a in apps if isinstance(a, func.FunctionRegister)]) != 1:
        found = "More than one FunctionApp or other" if apps else "Could not find"
        ending = "are defined" if apps else "in " + module.path.name
        errors.append(f"{shown(module.path, root)}: {found} top level function app instances {ending}.")
        return
    seen: set[int] = set()
    for app in apps:
        for builder in app._function_builders:
            if id(builder) not in seen:
                seen.add(id(builder))
                yield _from_builder(app, builder, root)


def _apps(module: AppModule) -> list[Any]:
    """The apps of a module, each once; its blueprints too, where the module lies in ``functions/``."""
    wanted = (func.FunctionRegister, func.Blueprint) if module.name.startswith("functions.") else func.FunctionRegister
    unique = {id(value): value for value in vars(module.module).values() if isinstance(value, wanted)}
    return list(unique.values())


def _from_builder(app: Any, builder: Any, root: Path) -> Declared:
    function = builder._function
    call = function.get_user_function()
    declared = Declared(function.get_function_name(), call, [], in_python(call, root))
    try:
        builder.build(getattr(app, "auth_level", None))
        declared.bindings = [json.loads(text) for text in function.get_raw_bindings()]
    except (ValueError, TypeError) as error:
        declared.errors.append(str(error))
    if settings := function.get_settings_dict("function_timeout"):
        declared.timeout = settings["timeout"]
    return declared


def _from_json(module: AppModule, root: Path) -> Declared:
    document = module.function_json or {}
    bindings = [dict(b) for b in document.get("bindings") or [] if isinstance(b, dict)]
    place = in_json(module.path, root, [str(b.get("name")) for b in bindings])
    declared = Declared(module.name, None, bindings, place, document.get("functionTimeout"))
    if module.error:
        declared.errors.append(module.error)
        return declared
    entry = document.get("entryPoint") or "main"
    declared.call = getattr(module.module, entry, None)
    if declared.call is None:
        declared.errors.append(f"cannot load the {module.name} function: function {entry}() is not present in its file")
    if not bindings:
        declared.errors.append("At least one binding must be declared.")
    return declared


# --- checks ------------------------------------------------------------------------------------------------------


def _checked(item: Declared, app: App) -> Function:
    place = item.declaration.place
    function = Function(item.name, item.call, place)
    function.errors += [text if text.startswith(place.file) else f"{place}: {text}" for text in item.errors]
    if function.errors or item.call is None:
        return function
    function.is_async = inspect.iscoroutinefunction(item.call)
    try:
        function.timeout = app.config.function_timeout
        if item.timeout is not None:
            function.timeout = timeout(item.timeout, f"{place}: the time-out of function '{item.name}'")
        annotations = _signature(item, function)
        for binding in item.bindings:
            _add_binding(function, binding, annotations, item, app)
        _check_whole(function)
    except EdgefnError as error:
        function.errors.append(str(error))
    return function


def _signature(item: Declared, function: Function) -> dict[str, Any]:
    """The annotations of the parameters, which must be those of the bindings, and perhaps ``context``."""
    where = f"{item.declaration.place}: cannot load the {item.name} function:"
    if not FUNCTION_NAME.match(item.name) or item.name.lower() == "host":
        raise BindingError(f"{where} '{item.name}' is no name of a function; letters, digits, _ and -, and not 'host'")
    assert item.call is not None
    parameters = inspect.signature(item.call).parameters
    try:
        annotations = typing.get_type_hints(item.call)
    except Exception as error:
        raise BindingError(f"{where} its annotations can not be resolved: {error}") from None
    bound = [str(binding.get("name")) for binding in item.bindings]
    if duplicates := {name for name in bound if bound.count(name) > 1}:
        name = sorted(duplicates)[0]
        raise BindingError(f"{where} Multiple bindings with name '{name}' discovered. Binding names must be unique.")
    for parameter in parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise BindingError(f"{where} *{parameter.name} can not be bound; name each parameter")
    function.wants_context = "context" in parameters and "context" not in bound
    required = {p.name for p in parameters.values() if p.default is p.empty}
    if extra := required - set(bound) - {"context"}:
        raise BindingError(
            f"{where} the following parameters are declared in Python but not in the function definition "
            f"(function.json or function decorators):  {extra!r}; bindings declared: {listing(bound)}"
        )
    if extra := set(bound) - set(parameters) - {"$return"}:
        raise BindingError(
            f"{where} Extra parameters in binding definition - the following parameters are declared as bindings "
            f"but are not present in Python: {extra!r}; parameters: {listing(parameters)}"
        )
    return annotations


def _add_binding(
    function: Function, declared: dict[str, Any], annotations: Mapping[str, Any], item: Declared, app: App
) -> None:
    declared = {key: value for key, value in declared.items() if value is not None}
    name, type_name = str(declared.get("name")), str(declared.get("type", ""))
    place = item.declaration.binding(name)
    try:
        if not BINDING_NAME.match(name):
            raise BindingError(f"{place}: '{name}' is no name of a binding; letters, digits and single _, or $return")
        direction = _direction(declared, place)
        kind = _kind(app.kinds, type_name, direction, place)
        options = _options(kind, declared, item.declaration, app.services.settings)
        annotation = _annotation(name, direction, annotations, place)
        binding = Binding(
            function.name, name, kind.type, direction, declared, options, annotation, function.is_async, place
        )
        kind.check(binding)
    except EdgefnError as error:
        function.errors.append(str(error))
        return
    function.bindings.append(binding)
    if type_name.lower() in app.kinds.triggers and direction is Direction.IN:
        if function.trigger is not None:
            function.errors.append(f"{place}: function '{function.name}' has two triggers; a function has one")
        function.trigger = binding


def _check_whole(function: Function) -> None:
    if function.trigger is None and not function.errors:
        raise BindingError(
            f"{function.place}: Function {function.name} does not have a trigger. "
            "A valid function must have one and only one trigger registered."
        )


def _direction(declared: Mapping[str, Any], place: Place) -> Direction:
    found = str(declared.get("direction", "in")).lower()
    if found == "inout":
        raise BindingError(f'{place}: "inout" bindings are not supported')
    try:
        return Direction(found)
    except ValueError:
        raise BindingError(f"{place}: direction should be 'in' or 'out', found {found!r}") from None


def _kind(kinds: KindTable, name: str, direction: Direction, place: Place) -> Kind:
    tables: list[Mapping[str, Kind]] = [kinds.outputs] if direction is Direction.OUT else [kinds.triggers, kinds.inputs]
    for table in tables:
        if name.lower() in table:
            return table[name.lower()]
    known = sorted(kind.type for table in tables for kind in table.values())
    raise BindingError(
        f"{place}: The binding type(s) '{name}' are not registered. Please ensure the type is correct and the binding "
        f"extension is installed{nearest(name, known)}; types for direction '{direction}': {listing(known)}"
    )


def _options(kind: Kind, declared: Mapping[str, Any], declaration: Declaration, settings: Settings) -> Options:
    """The validated options of one binding; of all that is wrong with them, each with its line."""
    name = str(declared.get("name"))
    resolved: dict[str, Any] = {}
    faults: list[str] = []
    for option, value in declared.items():
        if option in NOT_OPTIONS:
            continue
        try:
            resolved[option] = resolved_value(value, settings)
        except SettingError as error:
            place = declaration.option(name, option)
            faults.append(f"{place}: option '{written(option, place)}' of {kind.type}: {error}")
    if faults:
        raise BindingError("\n".join(faults))
    try:
        return kind.options.model_validate(resolved)
    except ValidationError as error:
        raise BindingError("\n".join(_faults(error, kind, declared, declaration))) from None


def _faults(error: ValidationError, kind: Kind, declared: Mapping[str, Any], declaration: Declaration) -> Iterator[str]:
    name = str(declared.get("name"))
    for fault in error.errors():
        option = str(fault["loc"][0]) if fault["loc"] else ""
        place = declaration.option(name, option)
        shown_as = written(option, place)
        known = [written(other, place) for other in kind.options.names()]
        if fault["type"] == "extra_forbidden":
            yield (
                f"{place}: unknown option '{shown_as}' of {kind.type}{nearest(shown_as, known)}; "
                f"known options: {listing(known)}"
            )
        elif fault["type"] == "missing":
            yield f"{place}: option '{shown_as}' of {kind.type} is missing; known options: {listing(known)}"
        else:
            names = "".join(f" (from %{setting}%)" for setting in references(declared.get(option)))
            text = fault["msg"].removeprefix("Value error, ")
            yield f"{place}: option '{shown_as}' of {kind.type}: {text}, found {fault['input']!r}{names}"


def written(option: str, place: Place) -> str:
    """An option as the user writes it in that file: snake_case in Python, camelCase in JSON."""
    return snake(option) if place.file.endswith(".py") else option


def resolved_value(value: Any, settings: Settings) -> Any:
    """The value with every ``%NAME%`` in its texts replaced; raises SettingError."""
    if isinstance(value, str):
        return settings.resolve(value)
    if isinstance(value, list):
        return [resolved_value(item, settings) for item in value]
    if isinstance(value, dict):
        return {key: resolved_value(item, settings) for key, item in value.items()}
    return value


def _annotation(name: str, direction: Direction, annotations: Mapping[str, Any], place: Place) -> Any:
    """The parameter's annotation; for an output parameter the T of its ``Out[T]``."""
    if name == "$return":
        return annotations.get("return")
    annotation = annotations.get(name)
    is_out = annotation is func.Out or typing.get_origin(annotation) is func.Out
    if direction is Direction.IN:
        if is_out:
            raise BindingError(f"{place}: parameter '{name}' is an input, but annotated as Out; remove the Out[...]")
        return annotation
    if annotation is None:
        return None
    if annotation is func.Out:
        raise BindingError(f"{place}: parameter '{name}' has invalid Out annotation; write Out[dict], Out[str], ...")
    if not is_out:
        raise BindingError(f"{place}: parameter '{name}' is an output; annotate it as Out[...], or not at all")
    return typing.get_args(annotation)[0]
