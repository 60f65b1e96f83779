"""host.json, local.settings.json, the environment, and ``%NAME%`` in bindings.

The formats are those of Azure Functions (host.json version 2.0); both files may hold comments and trailing commas.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from edgefn.errors import SettingError, listing, nearest, why
from edgefn.function import Seconds
from edgefn.log_levels import Levels, read_levels
from edgefn.places import json_lines, without_comments
from edgefn.scoring_script import is_scoring_folder

TRAILING_COMMAS = re.compile(r'("(?:\\.|[^"\\\n])*")|,(?=\s*[}\]])')
REFERENCE = re.compile(r"%([^%]*)%")
OVERRIDE = "azurefunctionsjobhost__"
DEFAULT_TIMEOUT = 1800.0

KNOWN_KEYS = frozenset(
    "version functionTimeout retry functions http watchDirectories watchFiles queues serviceBus eventHub singleton "  #
    "logging aggregator healthMonitor extensionBundle managedDependencies customHandler httpWorker extensions "
    "concurrency telemetryMode sendCanceledInvocationsToWorker metadataProviderTimeout".split()
)

EXTENSIONS = ("edgeHub", "eventHubs", "http", "mqtt", "page", "serving", "spool", "twin")
"""The parts of ``extensions`` that are edgefn's. Others are those of the cloud, and of plugins."""
LIKE = 0.75
"""How much like one of these the name of a part is that is nobody's else."""
LOGGING = ("fileLoggingMode", "logLevel", "console", "applicationInsights", "openTelemetry")
"""The parts of ``logging``; only ``logLevel`` has a meaning here."""
TELEMETRY = ("ApplicationInsights", "OpenTelemetry")
"""What ``telemetryMode`` may be; the first one has no meaning here."""
At = Callable[..., str]
"""Where the value that keys lead to is said, for an error."""
LOCAL_KEYS = {name.lower(): name for name in ("IsEncrypted", "Values", "ConnectionStrings", "Host")}


def read_json(path: Path, where: str = "") -> dict[str, Any]:
    """The JSON object of a file, which may hold comments and trailing commas; raises SettingError with the line.

    ``where`` is the file as errors name it; its path when empty.
    """
    where = where or str(path)
    try:
        text = without_comments(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{where}: can not be read: {why(error)}; it should be a text file in UTF-8") from None
    text = TRAILING_COMMAS.sub(lambda match: match[1] or " ", text)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingError(f"{where}:{error.lineno}: no valid JSON: {error.msg} (column {error.colno})") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise SettingError(f"{where}: no valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise SettingError(f"{where}: should hold one JSON object, holds a {type(value).__name__}")
    return value


def _at(path: Path, *keys: str | int) -> str:
    """A file with the line of a value in it, for an error."""
    line = json_lines(path).get(keys)
    return f"{path}:{line}" if line else str(path)


@dataclass(frozen=True, slots=True)
class Settings:
    """The app settings by name: the twin's over ``--set`` over the environment over local.settings.json.

    A name that is not there as written is found without regard to case, as on the cloud.
    """

    values: Mapping[str, str] = field(repr=False)
    """Some are secrets: not for texts that leave."""
    notes: tuple[str, ...] = ()
    """What is worth a log line about how they were read."""
    overlay: Mapping[str, str] = field(default_factory=dict)
    """Those of the twin's desired properties."""

    def get(self, name: str, default: str | None = None) -> str | None:
        for values in (self.overlay, self.values):
            if name in values:
                return values[name]
            for known, value in values.items():
                if known.lower() == name.lower():
                    return value
        return default

    def is_overlaid(self, name: str) -> bool:
        """Whether the twin says it."""
        return any(known.lower() == name.lower() for known in self.overlay)

    def resolve(self, text: str) -> str:
        """The text with each ``%NAME%`` replaced by that setting; raises SettingError for one that is not set."""
        unclosed = REFERENCE.sub(lambda match: " " * len(match[0]), text).find("%")
        if unclosed >= 0:
            raise SettingError(
                f"The '%' at position {unclosed} does not have a closing '%'; "
                "put a value that holds a % into a setting, and name the setting here"
            )
        return REFERENCE.sub(lambda match: self._value(match[1]), text)

    def _value(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise SettingError(
                f"'%{name}%' does not resolve to a value; set {name} in the environment, under Values in "
                f"local.settings.json, or with --set {name}=...{nearest(name, {**self.values, **self.overlay})}"
            )
        return value


def references(value: Any) -> list[str]:
    """The names of the settings that a declared value names as ``%NAME%``."""
    return REFERENCE.findall(value) if isinstance(value, str) else []


def load_settings(root: Path, environment: Mapping[str, str], given: Mapping[str, str]) -> Settings:
    """Reads local.settings.json of the app root; raises SettingError when it can not be used."""
    local = local_settings(root)
    notes = tuple(
        f"Skipping '{name}' from local settings as it's already defined in current environment variables."
        for name in local
        if name in environment
    )
    return Settings({**local, **environment, **given}, (*_stray_sections(root), *notes))


def _stray_sections(root: Path) -> Iterator[str]:
    """A text for each section of local.settings.json that is almost one of those that are read."""
    path = root / "local.settings.json"
    for name in read_json(path) if path.exists() else ():
        if name.lower() not in LOCAL_KEYS and (near := nearest(name, LOCAL_KEYS.values(), LIKE)):
            yield f"{_at(path, name)}: unknown section '{name}' is ignored{near}"


def local_settings(root: Path) -> dict[str, str]:
    """What local.settings.json of the app root says; nothing where it is not there. Raises SettingError."""
    path = root / "local.settings.json"
    return dict(_local_values(path)) if path.exists() else {}


def read_local(path: Path) -> dict[str, Any]:
    """The sections of a local.settings.json, whose names may be written in any case; raises SettingError."""
    return {LOCAL_KEYS.get(name.lower(), name): value for name, value in read_json(path).items()}


def _local_values(path: Path) -> Iterator[tuple[str, str]]:
    document = read_local(path)
    values, connections = _texts(path, document, "Values"), _connections(path, document)
    encrypted = document.get("IsEncrypted", True)
    if str(encrypted).lower() not in ("true", "false"):
        raise SettingError(f"{_at(path, 'IsEncrypted')}: IsEncrypted should be true or false, found {encrypted!r}")
    if str(encrypted).lower() == "true" and (values or connections):
        raise SettingError(
            f"{_at(path, 'IsEncrypted')}: its values are encrypted, or it does not say that they are not; "
            'decrypt them with `func settings decrypt` and write "IsEncrypted": false'
        )
    yield from values.items()
    yield from connections.items()


def _texts(path: Path, document: Mapping[str, Any], section: str) -> dict[str, str]:
    values = document.get(section) or {}
    if not isinstance(values, dict):
        found = type(values).__name__
        raise SettingError(f"{_at(path, section)}: {section} should be an object of names and texts, found a {found}")
    for name, value in values.items():
        if isinstance(value, dict | list):
            found = type(value).__name__
            raise SettingError(f"{_at(path, section, name)}: {section}.{name} should be a text, found a {found}")
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
        if value is not None
    }


def _connections(path: Path, document: Mapping[str, Any]) -> dict[str, str]:
    """``ConnectionStrings``: each a text, or an object with one and the name of its provider."""
    section = document.get("ConnectionStrings") or {}
    if isinstance(section, dict):
        plain = {k: v.get("ConnectionString") if isinstance(v, dict) else v for k, v in section.items()}
        section = {f"ConnectionStrings:{name}": value for name, value in plain.items()}
    return _texts(path, {"ConnectionStrings": section}, "ConnectionStrings")


@dataclass(frozen=True, slots=True)
class Origins:
    """Which values of host.json are those of variables: the variables' names, by the path of keys of each."""

    variables: Mapping[tuple[str, ...], str]

    def at(self, path: Path, *keys: str) -> str:
        """Where a value is said, for an error: the variable, or the file with the line, or both for an object that
        is made of both.
        """
        upwards = [keys[:end] for end in range(len(keys), 0, -1)]
        if named := [self.variables[part] for part in upwards if part in self.variables]:
            return named[0]
        inside = [name for part, name in self.variables.items() if keys and part[: len(keys)] == keys]
        lines = json_lines(path)
        line = next((lines[part] for part in upwards if part in lines), None)
        file = [] if inside and keys not in lines else [f"{path}:{line}" if line else str(path)]
        return " and ".join([*file, *inside])


@dataclass(frozen=True, slots=True)
class HostConfig:
    """host.json, with ``AzureFunctionsJobHost__a__b`` of the environment laid over it."""

    document: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    function_timeout: float | None = DEFAULT_TIMEOUT
    """Seconds an invocation may take; None without limit."""
    functions: tuple[str, ...] = ()
    """The functions to run; empty for all."""
    levels: Levels = field(default_factory=Levels)
    """From which level on lines are written."""
    is_traced: bool = False
    """Whether traces leave by OpenTelemetry."""
    origins: Origins = field(default_factory=lambda: Origins({}))

    def extension(self, root: Path, name: str) -> Mapping[str, Any]:
        """The object under ``extensions.<name>``, empty when there is none; raises SettingError for another value."""
        found = (self.document.get("extensions") or {}).get(name) or {}
        if not isinstance(found, dict):
            where = self.at(root, "extensions", name)
            raise SettingError(f"{where}: extensions.{name} should be an object, found {found!r}")
        return found

    def at(self, root: Path, *keys: str) -> str:
        """Where a value is said, for an error: host.json of this root with the line, or a variable."""
        return self.origins.at(root / "host.json", *keys)


def load_host_config(root: Path, environment: Mapping[str, str] = os.environ) -> HostConfig:
    """Reads host.json of the app root; no file means defaults. Raises SettingError when it can not be used.

    Where there is none, a folder with a scoring script has the addresses that Azure ML's server has.
    """
    path = root / "host.json"
    document: dict[str, Any] = read_json(path) if path.exists() else {"version": "2.0"}
    if not path.exists() and is_scoring_folder(root):
        document["extensions"] = {"http": {"routePrefix": ""}}
    origins = Origins(
        {
            _overlay(document, name[len(OVERRIDE) :].split("__"), value): name
            for name, value in environment.items()
            if name.lower().startswith(OVERRIDE)
        }
    )

    def at(*keys: str) -> str:
        return origins.at(path, *keys)

    _check_version(at, document)
    warnings = tuple(
        f"{at(key)}: unknown key '{key}' is ignored{nearest(key, KNOWN_KEYS)}"
        for key in document
        if key not in KNOWN_KEYS and not key.startswith("$")
    )
    extensions = document.get("extensions")
    if not isinstance(extensions or {}, dict):
        raise SettingError(f"{at('extensions')}: extensions should be an object, found {extensions!r}")
    warnings += tuple(
        f"{at('extensions', name)}: unknown part 'extensions.{name}' is ignored{near}"
        for name in extensions or {}
        if name not in EXTENSIONS and (near := nearest(name, EXTENSIONS, LIKE))
    )
    logged = _logging(at, document)
    warnings += tuple(
        f"{at('logging', name)}: unknown part 'logging.{name}' is ignored{nearest(name, LOGGING)}"
        for name in logged
        if name.lower() not in (known.lower() for known in LOGGING)
    )
    levels = _levels(at, logged)
    is_traced = _is_traced(at, document)
    return HostConfig(document, warnings, _timeout(at, document), _allowed(at, document), levels, is_traced, origins)


def _logging(at: At, document: Mapping[str, Any]) -> Mapping[str, Any]:
    found = document.get("logging") or {}
    if not isinstance(found, dict):
        raise SettingError(f"{at('logging')}: logging should be an object, found {found!r}")
    return found


def _levels(at: At, logged: Mapping[str, Any]) -> Levels:
    """The rules of ``logging.logLevel``, which may be written in any case, as all of .NET's names."""
    name = next((name for name in logged if name.lower() == "loglevel"), None)
    if name is None:
        return Levels()

    def where(inner: Sequence[str]) -> str:
        return f"{at('logging', name, *inner)}: logging.{'.'.join((name, *inner))}"

    return read_levels(logged[name], where)


def _is_traced(at: At, document: Mapping[str, Any]) -> bool:
    declared = document.get("telemetryMode") or TELEMETRY[0]
    if str(declared).lower() not in map(str.lower, TELEMETRY):
        where, hint = at("telemetryMode"), nearest(str(declared), TELEMETRY)
        raise SettingError(f"{where}: telemetryMode should be one of {listing(TELEMETRY)}; found {declared!r}{hint}")
    return str(declared).lower() == TELEMETRY[1].lower()


def _check_version(at: At, document: Mapping[str, Any]) -> None:
    if "version" not in document:
        raise SettingError(
            f"{at()}: The host.json file is missing the required 'version' property. "
            "See https://aka.ms/functions-hostjson for steps to migrate the configuration file."
        )
    if document["version"] != "2.0":
        found = json.dumps(document["version"])
        raise SettingError(
            f"{at('version')}: '{document['version']}' is an invalid value for host.json 'version' property. "
            f"We recommend you set the 'version' property to '2.0'; found {found}, would be right: \"2.0\", a text"
        )


def _overlay(document: dict[str, Any], path: list[str], value: str) -> tuple[str, ...]:
    """Sets one value inside the document; names match without regard to case, numbers count in a list.

    The keys that lead to it now.
    """
    known: Mapping[str, str] = {key.lower(): key for key in KNOWN_KEYS}
    *parents, last = path
    keys = []
    for name in parents:
        key = _key(document, name, known)
        inner = document.get(key)
        if isinstance(inner, list):
            inner = {str(index): item for index, item in enumerate(inner)}
        document[key] = inner if isinstance(inner, dict) else {}
        document, known = document[key], {}
        keys.append(key)
    document[key := _key(document, last, known)] = value
    return (*keys, key)


def _key(document: Mapping[str, Any], name: str, known: Mapping[str, str]) -> str:
    return next((key for key in document if key.lower() == name.lower()), known.get(name.lower(), name))


def _timeout(at: At, document: Mapping[str, Any]) -> float | None:
    declared = document.get("functionTimeout")
    if declared is None:
        return DEFAULT_TIMEOUT
    return timeout(declared, f"{at('functionTimeout')}: functionTimeout")


def timeout(declared: Any, where: str) -> float | None:
    """Seconds of a declared time-out: HH:MM:SS or a number of at least 1 s, ``-1`` for no limit (None)."""
    try:
        value = seconds_of(declared)
    except ValueError:
        raise SettingError(f"{where} should be HH:MM:SS, or -1 for no limit; found {declared!r}") from None
    if value == -1:
        return None
    if value < 1:
        raise SettingError(f"{where} should be at least 00:00:01, or -1 for no limit; found {declared!r}")
    return value


def seconds_of(declared: Any) -> float:
    """Seconds of HH:MM:SS, d.HH:MM:SS or a number; raises ValueError for anything else."""
    value = math.nan if isinstance(declared, bool) else TypeAdapter(Seconds).validate_python(declared)
    if not math.isfinite(value):
        raise ValueError("should be seconds or HH:MM:SS")
    return value


def _allowed(at: At, document: Mapping[str, Any]) -> tuple[str, ...]:
    declared = document.get("functions") or []
    names = list(declared.values()) if isinstance(declared, dict) else declared
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SettingError(f"{at('functions')}: functions should be a list of function names, found {declared!r}")
    return tuple(names)
