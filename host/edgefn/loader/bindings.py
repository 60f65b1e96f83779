"""One JSON object of function.json -> a checked Binding, by the plugin that claims its type."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from edgefn.contracts import Kind
from edgefn.errors import BindingError, EdgefnError, Place, SettingError, listing, nearest
from edgefn.function import Binding, Direction, Options
from edgefn.loader.converters import converter_of
from edgefn.loader.declared import Declared
from edgefn.loader.signature import Signature, annotation_of
from edgefn.places import snake
from edgefn.plugins import KindTable
from edgefn.settings import Settings, references

BINDING_NAME = re.compile(r"^(?!.*__)([a-zA-Z_][a-zA-Z0-9_]{0,127}|\$return)$")
DATA_TYPES = ("undefined", "string", "binary", "stream")
NOT_OPTIONS = ("name", "type", "direction", "dataType")


def bind(
    declared: Mapping[str, Any], item: Declared, signature: Signature, kinds: KindTable, settings: Settings
) -> Binding:
    """The binding that one JSON object declares; raises BindingError with all that is wrong with its options."""
    declared = {key: value for key, value in declared.items() if value is not None}
    name, place = str(declared["name"]), item.declaration.binding(str(declared["name"]))
    if not BINDING_NAME.match(name):
        raise BindingError(f"{place}: '{name}' is no name of a binding; letters, digits and single _, or $return")
    direction = _direction(declared, item)
    kind = _kind(kinds, declared, direction, item)
    options = _options(kind, declared, item, settings)
    annotation = annotation_of(item, name, direction, signature.annotations)
    if (
        annotation is None
        and _is_binary(declared, item)
        and converter_of(kind.type) is None
        and direction is Direction.IN
    ):
        annotation = list[bytes] if getattr(options, "cardinality", "one") == "many" else bytes
    binding = Binding(
        item.name, name, kind.type, direction, declared, options, annotation, signature.is_async, place, settings
    )
    try:
        kind.check(binding)
    except EdgefnError:
        raise
    except Exception as error:  # a plugin's own fault: this function can not run, all others can
        raise BindingError(f"{binding.where()}: its plugin failed: {type(error).__name__}: {error}") from error
    return binding


def _direction(declared: Mapping[str, Any], item: Declared) -> Direction:
    name = str(declared["name"])
    found, place = str(declared.get("direction", "in")).lower(), item.declaration.option(name, "direction")
    if found == "inout":
        raise BindingError(
            f"{place}: cannot load the {item.name} function: "
            '"inout" bindings are not supported; declare an in and an out'
        )
    if found not in ("in", "out"):
        raise BindingError(f"{place}: direction should be 'in' or 'out', found {declared['direction']!r}")
    if name == "$return" and found == "in":
        raise BindingError(
            f'{place}: cannot load the {item.name} function: "$return" binding must have direction set to "out"'
        )
    return Direction(found)


def _is_binary(declared: Mapping[str, Any], item: Declared) -> bool:
    found = str(declared.get("dataType", "undefined")).lower()
    if found not in DATA_TYPES:
        place = item.declaration.option(str(declared["name"]), "dataType")
        raise BindingError(f"{place}: dataType should be one of {listing(DATA_TYPES)}; found {declared['dataType']!r}")
    return found == "binary"


def _kind(kinds: KindTable, declared: Mapping[str, Any], direction: Direction, item: Declared) -> Kind:
    name = str(declared.get("type", ""))
    tables: list[Mapping[str, Kind]] = [kinds.outputs] if direction is Direction.OUT else [kinds.triggers, kinds.inputs]
    for table in tables:
        if name.lower() in table:
            return table[name.lower()]
    known = sorted(kind.type for table in tables for kind in table.values())
    raise BindingError(
        f"{item.declaration.option(str(declared['name']), 'type')}: The binding type(s) '{name}' are not registered. "
        f"Please ensure the type is correct and the binding extension is installed{nearest(name, known)}; "
        f"types for direction '{direction}': {listing(known)}"
    )


# --- options -----------------------------------------------------------------------------------------------------


def _options(kind: Kind, declared: Mapping[str, Any], item: Declared, settings: Settings) -> Options:
    """The validated options of one binding; of all that is wrong with them, each with its line."""
    name = str(declared["name"])
    resolved: dict[str, Any] = {}
    faults: list[str] = []
    for option, value in declared.items():
        if option in NOT_OPTIONS:
            continue
        try:
            resolved[option] = resolved_value(value, settings)
        except SettingError as error:
            place = item.declaration.option(name, option)
            faults.append(f"{place}: option '{written(option, place)}' of {kind.type}: {error}")
    if faults:
        raise BindingError("\n".join(faults))
    try:
        return kind.options.model_validate(resolved)
    except ValidationError as error:
        raise BindingError("\n".join(_faults(error, kind, declared, item))) from None


def _faults(error: ValidationError, kind: Kind, declared: Mapping[str, Any], item: Declared) -> Iterator[str]:
    name = str(declared["name"])
    told: set[str] = set()
    for fault in error.errors():
        option = str(fault["loc"][0]) if fault["loc"] else ""
        place = item.declaration.option(name, option)
        shown_as = written(option, place)
        known = [written(other, place) for other in kind.options.names()]
        if fault["type"] == "extra_forbidden":
            yield (
                f"{place}: unknown option '{shown_as}' of {kind.type}{nearest(shown_as, known)}; "
                f"known options: {listing(known)}"
            )
        elif fault["type"] == "missing":
            yield f"{place}: option '{shown_as}' of {kind.type} is missing; known options: {listing(known)}"
        elif not option:
            yield f"{place}: {kind.type} '{name}': {fault['msg'].removeprefix('Value error, ')}"
        elif option not in told:  # a value that fits no member of a union has a fault for each member
            told.add(option)
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
