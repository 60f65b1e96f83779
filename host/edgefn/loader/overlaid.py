"""Desired properties laid over an app: its functions declared anew, or every reason why they can not be.

    {"settings": {"THRESHOLD": 0.9},                         over the settings of the environment
     "functionTimeout": "00:00:30", "retry": {...},          over those of host.json
     "logging": {"logLevel": {"default": "Debug"}},
     "functions": {"detect": {"disabled": true,              over function.json, or what decorators say
                              "maxFps": 5,                   an option of the trigger
                              "detections": {"interval": 10}}}}   options of a binding, by its name

All other properties are the app's own. Nothing here opens anything, or changes a function that runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic.alias_generators import to_camel

from edgefn.errors import BindingError, EdgefnError, Place, SettingError, listing, nearest
from edgefn.function import Function
from edgefn.loader import App, Defaults, checked
from edgefn.loader.bindings import NOT_OPTIONS, resolved_value
from edgefn.loader.declared import Declared
from edgefn.loader.policies import retry_policy
from edgefn.log_levels import Levels, read_levels
from edgefn.plugins import KindTable
from edgefn.settings import KNOWN_KEYS, Settings, references, timeout
from edgefn.values import json_bytes, shown

OWN = ("settings", "functions", "functionTimeout", "retry", "logging", "extensions")
"""The desired properties that mean something to edgefn."""
LIKE = 0.8
"""How much like one of ours another property is that may be a slip."""
RETURN = "return"
"""``$return`` in a twin, whose names can not hold a $."""


@dataclass(frozen=True, slots=True)
class Overlaid:
    """The functions of an app as desired properties want them."""

    functions: list[Function]
    warnings: list[str]
    """What may be a slip, and is left to the app."""
    levels: Levels
    """Those of log lines, over host.json's."""


@dataclass(slots=True)
class Faults:
    """Everything that is wrong with a document; there may be much, and all of it is said."""

    texts: list[str] = field(default_factory=list)

    def add(self, where: str, text: str) -> None:
        self.texts.append(f"desired {where}: {text}")

    def take(self, error: EdgefnError) -> None:
        self.texts.append(str(error))

    def object(self, where: str, value: Any) -> dict[str, Any]:
        """The value where it is an object; an empty one, and a fault, where it is not."""
        if isinstance(value, Mapping):
            return dict(value)
        self.add(where, f"should be an object, found {shown(value)}")
        return {}


def overlaid(app: App, document: Mapping[str, Any]) -> Overlaid:
    """The functions under a document of desired properties; raises SettingError with all that is wrong with it."""
    faults = Faults()
    defaults = _defaults(app, document, faults)
    given = _given(app, faults.object("functions", document.get("functions", {})), faults)
    levels = _levels(app, document, faults)
    functions = []
    for name, item in app.declared.items():
        try:
            laid = _laid(item, given.get(name, {}), app.kinds)
            _refuse_fixed(item, app, defaults.settings)
        except EdgefnError as error:
            faults.take(error)
            continue
        function = checked(laid, app.kinds, defaults)
        if isinstance(disabled := given.get(name, {}).get("disabled"), bool):
            function.disabled = disabled
        functions.append(function)
        known = checked(item, app.kinds, app.defaults).errors
        faults.texts += [error for error in function.errors if error not in known]
    if faults.texts:
        raise SettingError("\n".join(dict.fromkeys(faults.texts)))
    return Overlaid(functions, list(_warnings(app, document)), levels)


# --- what holds for all functions ----------------------------------------------------------------------------------


def _defaults(app: App, document: Mapping[str, Any], faults: Faults) -> Defaults:
    if document.get("extensions"):
        faults.add("extensions", "acts when the host starts; change it in host.json, and restart the host")
    defaults = dataclasses.replace(app.defaults, settings=_settings(app, document, faults))
    try:
        if (declared := document.get("functionTimeout")) is not None:
            defaults = dataclasses.replace(defaults, timeout=timeout(declared, "desired functionTimeout"))
        if "retry" in document:
            policy = retry_policy(faults.object("retry", document["retry"]), "desired retry")
            defaults = dataclasses.replace(defaults, retry=policy)
    except SettingError as error:
        faults.take(error)
    return defaults


def _levels(app: App, document: Mapping[str, Any], faults: Faults) -> Levels:
    """What ``logging.logLevel`` says; other parts of ``logging``, and functions that are not there, are faults."""
    logged = faults.object("logging", document.get("logging", {}))
    for name in logged.keys() - {"logLevel"}:
        faults.add(f"logging.{name}", f"there is nothing to be set but logLevel{nearest(name, ['logLevel'])}")
    try:
        levels = read_levels(logged.get("logLevel", {}), lambda path: ".".join(("desired logging.logLevel", *path)))
    except SettingError as error:
        faults.take(error)
        return Levels()
    for category in levels.strangers(app.names):
        text = f"no function is called so{nearest(category, [f'Function.{name}' for name in app.names])}"
        faults.add(f"logging.logLevel.{category}", f"{text}; functions: {listing(app.names)}")
    return levels


def _settings(app: App, document: Mapping[str, Any], faults: Faults) -> Settings:
    faults.object("settings", document.get("settings", {}))
    return dataclasses.replace(app.defaults.settings, overlay=settings_of(document))


def settings_of(document: Mapping[str, Any]) -> dict[str, str]:
    """The settings of a document as texts; none where they are no object."""
    given = document.get("settings")
    known = given if isinstance(given, Mapping) else {}
    return {name: value if isinstance(value, str) else json_bytes(value).decode() for name, value in known.items()}


# --- one function --------------------------------------------------------------------------------------------------


def _given(app: App, functions: Mapping[str, Any], faults: Faults) -> dict[str, dict[str, Any]]:
    """What is desired of each function, by its name as declared."""
    names = {name.lower(): name for name in app.declared}
    given: dict[str, dict[str, Any]] = {}
    for written, value in functions.items():
        where, name = f"functions.{written}", names.get(written.lower())
        if name is None:
            text = f"there is no function '{written}'{nearest(written, app.declared)}"
            faults.add(where, f"{text}; functions: {listing(app.declared)}")
            continue
        given[name] = faults.object(where, value)
        if not isinstance(given[name].get("disabled", False), bool):
            faults.add(f"{where}.disabled", f"should be true or false, found {shown(given[name]['disabled'])}")
    return given


def _laid(item: Declared, given: Mapping[str, Any], kinds: KindTable) -> Declared:
    """The declaration with what is desired of the function; raises EdgefnError with all that can not be so."""
    laid = dataclasses.replace(item, bindings=[dict(binding) for binding in item.bindings], errors=list(item.errors))
    options = dict(item.declaration.options)
    faults = Faults()
    bindings = {str(binding.get("name")): binding for binding in laid.bindings}
    trigger = next((b for b in laid.bindings if str(b.get("type", "")).lower() in kinds.triggers), None)
    for key, value in given.items():
        where = f"functions.{item.name}.{key}"
        name = "$return" if key == RETURN and "$return" in bindings else key
        try:
            if key == "disabled":
                continue
            if key == "functionTimeout":
                timeout(value, f"desired {where}")
                laid.timeout = value
            elif key == "retry":
                laid.retry = faults.object(where, value)
                retry_policy(laid.retry, f"desired {where}")
            elif name in bindings and isinstance(value, Mapping):
                for option, inner in value.items():
                    _set(bindings[name], option, inner, f"{where}.{option}", kinds, options)
            elif trigger is None or (isinstance(value, Mapping) and not _has(trigger, key, kinds)):
                names = [RETURN if known == "$return" else known for known in bindings]
                faults.add(where, f"there is no binding '{key}'{nearest(key, names)}; bindings: {listing(names)}")
            else:
                _set(trigger, key, value, where, kinds, options)
        except EdgefnError as error:
            faults.take(error)
    if faults.texts:
        raise BindingError("\n".join(faults.texts))
    laid.declaration = dataclasses.replace(item.declaration, options=options)
    return laid


def _kind(binding: Mapping[str, Any], kinds: KindTable) -> Any:
    """The kind of a binding; None where no plugin claims its type."""
    name = str(binding.get("type", "")).lower()
    tables: tuple[Mapping[str, Any], ...] = (kinds.triggers, kinds.inputs)
    if str(binding.get("direction", "in")).lower() == "out":
        tables = (kinds.outputs,)
    return next((table[name] for table in tables if name in table), None)


def _option(written: str) -> str:
    """An option as JSON has it, also where it is written as in Python."""
    return to_camel(written) if "_" in written else written


def _has(binding: Mapping[str, Any], written: str, kinds: KindTable) -> bool:
    kind = _kind(binding, kinds)
    return kind is not None and _option(written) in kind.options.names()


def _set(
    binding: dict[str, Any],
    written: str,
    value: Any,
    where: str,
    kinds: KindTable,
    places: dict[tuple[str, str], Place],
) -> None:
    """Puts one option into a binding's JSON object; that it is known, and fits, is checked when that is bound."""
    kind = _kind(binding, kinds)
    option = _option(written)
    if kind is None or option in NOT_OPTIONS:
        known = [] if kind is None else kind.options.names()
        raise BindingError(f"desired {where}: '{written}' is no option; known options: {listing(known)}")
    if option in getattr(kind, "fixed", ()):
        raise BindingError(
            f"desired {where}: option '{option}' of {kind.type} does not change while the host runs; "
            "change it in the app, and restart the host"
        )
    for other in [name for name in binding if _option(name) == option]:
        del binding[other]
    binding[option] = value
    places[str(binding["name"]), option] = Place(f"desired {where}")


def _refuse_fixed(item: Declared, app: App, settings: Settings) -> None:
    """Raises BindingError where a setting of the twin would change an option that is fixed while the host runs."""
    for binding in item.bindings:
        kind = _kind(binding, app.kinds)
        for option in getattr(kind, "fixed", ()):
            declared = binding.get(option)
            named = [name for name in references(declared) if settings.is_overlaid(name)]
            if named and resolved_value(declared, settings) != resolved_value(declared, app.defaults.settings):
                raise BindingError(
                    f"desired settings.{named[0]}: {item.declaration.option(str(binding['name']), option)}: option "
                    f"'{option}' of {kind.type} does not change while the host runs; change it in the environment, and "
                    "restart the host"
                )


# --- what may be a slip --------------------------------------------------------------------------------------------


def _warnings(app: App, document: Mapping[str, Any]) -> Iterator[str]:
    for name in document:
        if name in OWN or name.startswith("$"):
            continue
        if hint := nearest(name, OWN, LIKE):
            yield f"{name}: is left to the app{hint}"
        elif name in KNOWN_KEYS - {"version", "http"}:
            yield f"{name}: is left to the app; that of host.json acts when the host starts"
    used = {text.lower() for item in app.declared.values() for text in _texts(item.bindings)}
    for name in document.get("settings", {}):
        if name.lower() not in used and not name.lower().startswith("azurewebjobs"):
            yield f"settings.{name}: no binding names it{nearest(name, app.defaults.settings.values)}"


def _texts(value: Any) -> Iterator[str]:
    """The texts in a JSON value, and the settings that they name."""
    if isinstance(value, str):
        yield value
        yield from references(value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
