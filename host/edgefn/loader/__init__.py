"""From an app folder to checked functions: declared by decorators or function.json, validated by the plugins.

    modules (imports.py) -> what they declare (declared.py) -> each function against its parameters (signature.py) and
    its bindings against the plugins that claim their types (bindings.py) -> App

A module or function that is wrong is in error, with place and reason; all others are loaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from edgefn import hookspecs
from edgefn.contracts import Hub, Services
from edgefn.desired import Desired
from edgefn.errors import EdgefnError, SettingError, listing, nearest
from edgefn.function import Direction, Function, RetryPolicy
from edgefn.import_reasons import reason
from edgefn.imports import AppModule, ignored, import_app
from edgefn.loader.bindings import bind
from edgefn.loader.converters import has_implicit_output, with_converters
from edgefn.loader.declared import Declared, declared_in
from edgefn.loader.policies import is_disabled, policy_of, retry_policy
from edgefn.loader.signature import signature_of
from edgefn.methods import Methods
from edgefn.metrics import Metrics
from edgefn.mqtt.brokers import Brokers
from edgefn.plugins import KindTable, PluginManager, kind_table, plugin_manager, session_kinds
from edgefn.redaction import hold, secrets_in
from edgefn.settings import HostConfig, Settings, load_host_config, load_settings, timeout
from edgefn.spool import Spool, spool_options
from edgefn.traces import Traces, lacking_for_traces

__all__ = ["App", "Defaults", "checked", "load_app"]


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for every function that says nothing else."""

    settings: Settings
    timeout: float | None
    """Seconds; None without limit."""
    retry: RetryPolicy | None


@dataclass(slots=True)
class App:
    """A loaded app: its functions, checked, and what the host needs to run them."""

    root: Path
    config: HostConfig
    services: Services
    manager: PluginManager
    kinds: KindTable
    defaults: Defaults
    functions: list[Function] = field(default_factory=list)
    declared: dict[str, Declared] = field(default_factory=dict)
    """What each of the functions was made of."""
    names: list[str] = field(default_factory=list)
    """All functions that are declared, also those that are not to run."""
    errors: list[str] = field(default_factory=list)
    """What is wrong with modules and plugins; what is wrong with a function is kept there."""
    warnings: list[str] = field(default_factory=list)
    modules: list[AppModule] = field(default_factory=list)
    environment: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    """What it was loaded with, to be loaded again."""


def load_app(
    root: Path,
    *,
    environment: Mapping[str, str] = os.environ,
    given: Mapping[str, str] | None = None,
    only: tuple[str, ...] = (),
    state: Path | None = None,
    plugins: Sequence[object] = (),
) -> App:
    """Loads the app in ``root``; opens and starts nothing.

    ``given`` are settings over those of the environment, ``only`` the functions to load (all when empty), ``state``
    the folder for the host's files; ``plugins`` are registered before the modules of the app. From now on no text that
    leaves shows what of the settings is secret. Raises SettingError when host.json or local.settings.json can not be
    used.
    """
    root = root.resolve()
    settings = load_settings(root, environment, given or {})
    hold(f"settings of {root}", secrets_in(settings.values))
    config = load_host_config(root, settings.values)
    script = settings.get("PYTHON_SCRIPT_FILE_NAME") or ""
    manager, errors = plugin_manager()
    for plugin in plugins:
        manager.register(plugin)
    modules = import_app(root, script)
    own = _registered(modules, root, manager, errors)
    services, kinds = _provided(root, state or root / ".edgefn", config, settings, manager, own, errors)
    if config.is_traced:
        errors += lacking_for_traces(settings, config.at(root, "telemetryMode"))
    defaults = Defaults(settings, config.function_timeout, policy_of(root, config))
    app = App(root, config, services, manager, with_converters(kinds), defaults)
    found = declared_in(modules, root)
    app.errors += errors + found.errors
    app.warnings += [*config.warnings, *settings.notes, *ignored(root, script), *found.warnings]
    app.modules, app.given, app.only = modules, given or {}, only
    app.environment = environment
    load_functions(app, found.functions, only or config.functions)
    app.warnings += stray_levels(app)
    return app


# --- the modules of the app as plugins ---------------------------------------------------------------------------


def _registered(
    modules: Sequence[AppModule], root: Path, manager: PluginManager, errors: list[str]
) -> list[tuple[AppModule, ModuleType]]:
    """The modules with hooks that fit their specifications, registered."""
    own = []
    for found in modules:
        module = found.module
        if module is None or manager.is_registered(module):
            continue
        try:
            _trial(module)
            manager.register(module, module.__name__)
        except Exception as error:
            errors.append(f"{reason_of(error, found, root)}; hooks: {listing(_hooks())}")
            continue
        own.append((found, module))
    return own


def _hooks() -> list[str]:
    return [name for name in vars(hookspecs) if name.startswith("edgefn_")]


def _trial(module: ModuleType) -> PluginManager:
    """A manager that knows nothing but one module; raises pluggy's error when a hook of it does not fit."""
    manager = PluginManager("edgefn")
    manager.add_hookspecs(hookspecs)
    manager.register(module, module.__name__)
    manager.check_pending()
    return manager


def _provided(
    root: Path,
    state: Path,
    config: HostConfig,
    settings: Settings,
    manager: PluginManager,
    own: list[tuple[AppModule, ModuleType]],
    errors: list[str],
) -> tuple[Services, KindTable]:
    """What all plugins provide. A module of the app whose hooks raise is taken out, and is in error."""
    try:
        services = _services(root, state, config, settings, manager)
        return services, kind_table(manager, services)
    except EdgefnError:
        raise
    except Exception as error:
        culprits = []
        for found, module in own:
            try:
                alone = _trial(module)
                kind_table(alone, _services(root, state, config, settings, alone))
            except Exception as fault:
                culprits.append((found, module))
                errors.append(reason_of(fault, found, root))
        if not culprits:
            raise SettingError(f"a plugin failed: {type(error).__name__}: {error}; take it out or mend it") from error
        for _, module in culprits:
            manager.unregister(module)
        rest = [pair for pair in own if pair not in culprits]
        return _provided(root, state, config, settings, manager, rest, errors)


def reason_of(error: Exception, found: AppModule, root: Path) -> str:
    """Why the hooks of a module can not be used, in one line."""
    return " ".join(reason(error, found.path, root).split())


def _services(root: Path, state: Path, config: HostConfig, settings: Settings, manager: PluginManager) -> Services:
    metrics = Metrics()
    hub: Hub = manager.hook.edgefn_hub(root=root, state=state, config=config, settings=settings, metrics=metrics)
    kinds = session_kinds(manager, root, state, metrics)
    traces = Traces()
    spool = Spool(state, spool_options(config, root), hub, metrics, traces)
    brokers = Brokers(root, state, config, settings, spool, metrics)
    shared = (metrics, hub, spool, kinds, Methods(metrics), Desired(), brokers, traces)
    return Services(root, state, settings, config, *shared)


# --- functions ---------------------------------------------------------------------------------------------------


def load_functions(app: App, declared: Sequence[Declared], only: tuple[str, ...]) -> None:
    """Checks what was declared, and puts it into the app."""
    wanted = {name.lower() for name in only}
    seen: dict[str, Declared] = {}
    for item in sorted(declared, key=lambda item: item.name.lower()):
        first = seen.setdefault(item.name.lower(), item)
        if only and item.name.lower() not in wanted:
            continue
        if first is not item:
            item.fail(
                f"Function {item.name} does not have a unique function name. Please change @app.function_name() or the "
                f"function method name to be unique; {first.declaration.place} has it already"
            )
        if first is not item and first.name == item.name:
            app.errors += item.errors  # names are keys everywhere: the first function of a name has it
        else:
            app.functions.append(checked(item, app.kinds, app.defaults))
            app.declared[item.name] = item
    app.names = [item.name for item in seen.values()]
    where = "" if app.only else f"{app.config.at(app.root, 'functions')}: "
    for name in only:
        if name.lower() not in seen:
            there = f"{nearest(name, app.names)}; functions: {listing(app.names)}"
            app.errors.append(f"{where}no function '{name}' to run{there}")


def stray_levels(app: App) -> list[str]:
    """Levels of host.json for functions that are not there; none where a file that can not be loaded may have them."""
    named = [f"Function.{name}" for name in app.names]
    return [
        f"{_level_at(app, rule)}: logging.logLevel.{rule}: no function is called so{nearest(rule, named)}; "
        f"functions: {listing(app.names)}"
        for rule in ([] if app.errors else app.config.levels.strangers(app.names))
    ]


def _level_at(app: App, rule: str) -> str:
    """Where a level is said; a variable has a pair of underlines where the rule has a dot."""
    head, by_variable = ("logging", "logLevel"), tuple(rule.split("."))
    keys = by_variable if (*head, *by_variable) in app.config.origins.variables else (rule,)
    return app.config.at(app.root, *head, *keys)


def checked(item: Declared, kinds: KindTable, defaults: Defaults) -> Function:
    """The function with all that is wrong with it; its good bindings are there in any case, to be shown."""
    place = item.declaration.place
    function = Function(item.name, item.call, place, errors=list(item.errors))
    function.timeout, function.retry = defaults.timeout, defaults.retry
    settings = defaults.settings
    function.disabled = is_disabled(item.name, item.disabled, settings)
    try:
        if item.timeout is not None:
            function.timeout = timeout(item.timeout, f"{place}: the time-out of function '{item.name}'")
        if item.retry is not None:
            function.retry = retry_policy(item.retry, f"{place}: function '{item.name}'")
    except SettingError as error:
        function.errors.append(str(error))
    if item.call is None:
        return function
    types = [str(declared.get("type", "")) for declared in item.bindings]
    function.trigger_type = next((name for name in types if name.lower() in kinds.triggers), "")
    signature = signature_of(item)
    function.call, function.is_async = signature.call, signature.is_async
    function.wants_context = signature.wants_context
    function.errors += signature.faults
    for declared in item.bindings:
        try:
            binding = bind(declared, item, signature, kinds, settings)
        except EdgefnError as error:
            function.errors.append(str(error))
            continue
        function.bindings.append(binding)
        if binding.direction is Direction.IN and binding.type.lower() in kinds.triggers:
            if function.trigger is not None:
                function.errors.append(f"{binding.place}: function '{item.name}' has two triggers; a function has one")
            function.trigger = function.trigger or binding
    _check_whole(function)
    return function


def _check_whole(function: Function) -> None:
    if function.trigger is None and not function.errors:
        function.errors.append(
            f"{function.place}: Function {function.name} does not have a trigger. "
            "A valid function must have one and only one trigger registered."
        )
    types = {binding.name: binding.type for binding in function.bindings}
    function.may_return = "$return" in types or any(has_implicit_output(name) for name in types.values())
