"""The twin of a module: the desired properties to begin with, and a JSON schema of those that the host takes.

The schema is made of the models by which the host checks them. It is a little stricter: options are written as in JSON
(``maxFps``), words in small letters; and it can not know what a function may only find out, such as whether a file is
there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import annotated_types

from edgefn.contracts import Kind, Needs
from edgefn.deploy.environment import UNFIT
from edgefn.function import TIME_SPAN, Binding, Function, RetryStrategy
from edgefn.loader import App
from edgefn.loader.bindings import NOT_OPTIONS
from edgefn.loader.overlaid import RETURN
from edgefn.log_levels import LEVELS
from edgefn.plugins import kind_of
from edgefn.redaction import is_secret

if TYPE_CHECKING:
    from edgefn.contracts import OptionsModel

SCHEMA = "https://json-schema.org/draft/2020-12/schema"
BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
LIMITS = {
    annotated_types.Ge: "ge",
    annotated_types.Gt: "gt",
    annotated_types.Le: "le",
    annotated_types.Lt: "lt",
}
SPAN = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": TIME_SPAN.pattern}]}
TIMEOUT = {
    "description": "The time that an invocation may take: HH:MM:SS or seconds, -1 for no limit.",
    "anyOf": [
        {"enum": [-1, "-1"]},
        {"type": "number", "minimum": 1},
        {"type": "string", "pattern": TIME_SPAN.pattern},
    ],
}
INTERVALS = {"delayInterval", "minimumInterval", "maximumInterval"}
RETRY = {
    "description": "The retry policy.",
    "type": "object",
    "properties": {
        "strategy": {"enum": list(RetryStrategy)},
        "maxRetryCount": {"type": "integer", "minimum": -1},
        **{name: {**SPAN, "minimum": 0} for name in sorted(INTERVALS)},
    },
    "required": ["strategy", "maxRetryCount"],
    "oneOf": [
        {"properties": {"strategy": {"const": "fixedDelay"}}, "required": ["delayInterval"]},
        {
            "properties": {"strategy": {"const": "exponentialBackoff"}},
            "required": ["minimumInterval", "maximumInterval"],
        },
    ],
    "additionalProperties": False,
}

LOGGING = {
    "type": "object",
    "properties": {
        "logLevel": {
            "description": "By category; an object inside is for a dot in it, as names of a twin hold none.",
            "$ref": "#/$defs/logLevel",
        }
    },
    "additionalProperties": False,
}
LOG_LEVEL = {
    "type": "object",
    "additionalProperties": {"anyOf": [{"enum": list(LEVELS)}, {"$ref": "#/$defs/logLevel"}]},
}


def twin_defaults(app: App, needs: Needs) -> dict[str, Any]:
    """What an operator may want to change, as it is now: live settings, and which functions are disabled."""
    settings = app.defaults.settings
    found = {name: settings.get(name, live.default) for name, live in needs.settings.items()}
    told = {
        name: value
        for name, value in found.items()
        if value is not None and not UNFIT.search(name) and not is_secret(name, str(value))
    }
    functions = {function.name: {"disabled": function.disabled} for function in app.functions}
    return {**({"settings": told} if told else {}), "functions": functions}


def desired_schema(app: App, module: str, needs: Needs) -> dict[str, Any]:
    """A JSON schema (2020-12) of the desired properties that the host of an app without errors takes."""
    return {
        "$schema": SCHEMA,
        "title": f"Desired properties of module {module}",
        "description": "Properties that are not named here are the app's own.",
        "type": "object",
        "properties": {
            "settings": {
                "description": "Lies over the app settings of the environment.",
                "type": "object",
                "properties": {name: _setting(live.default, live.schema) for name, live in needs.settings.items()},
            },
            "functions": {
                "type": "object",
                "properties": {function.name: _function(function, app) for function in app.functions},
                "additionalProperties": False,
            },
            "functionTimeout": TIMEOUT,
            "retry": RETRY,
            "logging": LOGGING,
            "extensions": {
                "description": "Acts when the host starts: host.json.",
                "type": "object",
                "maxProperties": 0,
            },
        },
        "$defs": {"logLevel": LOG_LEVEL},
    }


def _setting(default: Any, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {**schema, **({} if default is None else {"default": default})}


def _function(function: Function, app: App) -> dict[str, Any]:
    own = {"disabled": {"type": "boolean"}, "functionTimeout": TIMEOUT, "retry": RETRY}
    options: dict[str, Any] = {}
    bindings: dict[str, Any] = {}
    for binding in function.bindings:
        found = _options(binding, kind_of(binding, app.kinds))
        name = RETURN if binding.name == "$return" else binding.name
        bindings[name] = {"type": "object", "properties": found, "additionalProperties": False}
        if binding is function.trigger:
            options = found
    both = {name: {"anyOf": [options[name], bindings[name]]} for name in options.keys() & bindings.keys()}
    return {"type": "object", "properties": {**options, **bindings, **both, **own}, "additionalProperties": False}


def _options(binding: Binding, kind: Kind) -> dict[str, Any]:
    """The options of a binding that may change while the host runs."""
    asked = getattr(kind, "options_of", None)
    model: OptionsModel = kind.options if asked is None else asked(binding)
    document = model.model_json_schema(by_alias=True)
    names = {info.alias or name: info for name, info in model.model_fields.items()}
    fixed = {*getattr(kind, "fixed", ()), *NOT_OPTIONS}
    found: dict[str, Any] = {}
    for name, schema in document.get("properties", {}).items():
        if name not in fixed:
            found[name] = _tidy(schema, document.get("$defs", {}))
            for limit in names[name].metadata:
                if word := LIMITS.get(type(limit)):
                    found[name][BOUNDS[word]] = getattr(limit, word)
    return found


def _tidy(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema in the standard's words: bounds by their names, definitions in their places, no null and no titles."""
    if isinstance(schema, list):
        return [_tidy(item, definitions) for item in schema if item != {"type": "null"}]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        schema = {**definitions[schema["$ref"].rpartition("/")[2]], **{k: v for k, v in schema.items() if k != "$ref"}}
    tidy = {
        BOUNDS.get(key, key): value if key in ("default", "enum", "const") else _tidy(value, definitions)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None)
    }
    if len(tidy.get("anyOf", ())) == 1:
        tidy |= tidy.pop("anyOf")[0]
    return tidy
