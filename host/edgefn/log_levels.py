"""From which level on lines are written: ``logging.logLevel`` of host.json, and the command line over it.

    {"default": "Information", "Host": "Warning", "Function.detect": "Debug", "Function.detect.User": "None"}

A line belongs to a category, and of the rules whose names the category begins with the longest one counts, as in Azure
Functions. The host's own lines have their levels by their loggers. Those of user code share loggers, so they are looked
at one by one (``LineLevels.filter``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgefn.errors import SettingError, listing, nearest

LEVELS: Mapping[str, int] = {
    "Trace": 1,
    "Debug": logging.DEBUG,
    "Information": logging.INFO,
    "Warning": logging.WARNING,
    "Error": logging.ERROR,
    "Critical": logging.CRITICAL,
    "None": 1000,
}
"""Azure's levels, and those of Python's logging from which on a line is written; no line has 1000."""

PARTS = tuple(
    "files host hub methods mqtt plugins record reload scoring sessions sight speech spool state traces twin video "
    "web".split()
)
"""What the host's own loggers are called, after ``edgefn.``; ``edgefn.upstream`` is the option ``--upstream``'s."""

CLOUD = ("Worker", "Microsoft", "System", "Azure", "DurableTask", "Grpc")
"""What the categories of the cloud begin with that have no lines here."""

OURS = ("edgefn", "Function.", "Host.", "azure", "uvicorn")
"""What the names of the host's loggers begin with; all others are the functions' own."""

TIMER = "Host.Triggers.Timer"

Where = Callable[[Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class Levels:
    """Rules by category, each as it was written; where none fits, lines are written from Information on."""

    rules: Mapping[str, int] = field(default_factory=dict)

    def of(self, *categories: str) -> int:
        """The level of the first of the categories that a rule fits, else the default one."""
        for category in categories:
            fitting = [rule for rule in self.rules if rule.lower() != "default" and _fits(rule, category)]
            if fitting:
                return self.rules[max(fitting, key=len)]
        return next((level for rule, level in self.rules.items() if rule.lower() == "default"), logging.INFO)

    def under(self, other: Levels) -> Levels:
        """These, with the rules of others in the place of those for the same categories."""
        replaced = {rule.lower() for rule in other.rules}
        kept = {rule: level for rule, level in self.rules.items() if rule.lower() not in replaced}
        return Levels({**kept, **other.rules})

    def strangers(self, functions: Iterable[str]) -> Iterator[str]:
        """The rules for functions that are not there."""
        categories = [f"Function.{name}{end}" for name in functions for end in ("", ".User")]
        for rule in self.rules:
            if rule.lower().startswith("function.") and not any(_fits(rule, category) for category in categories):
                yield rule


def _fits(rule: str, category: str) -> bool:
    """Whether a category begins as a rule says, in any case; one ``*`` in the rule is for any text."""
    head, _, tail = rule.lower().partition("*")
    return category.lower().startswith(head) and category.lower().endswith(tail)


def read_levels(declared: Any, where: Where) -> Levels:
    """The rules of a ``logLevel`` object; raises SettingError with all that is wrong in it.

    Objects inside it stand for dots, since names of a twin can not hold any: ``{"Function": {"detect": "Debug"}}``;
    their ``default`` is the level of what they are in. ``where`` is the place of a path of names for errors.
    """
    if not isinstance(declared, Mapping):
        raise SettingError(f"{where(())} should be an object of categories and levels, found {declared!r}")
    rules: dict[str, int] = {}
    faults: list[str] = []
    for path, written in _flat(declared, ()):
        category = ".".join(path[:-1] if len(path) > 1 and path[-1].lower() == "default" else path)
        level = next((LEVELS[name] for name in LEVELS if name.lower() == str(written).lower()), None)
        if level is None or not isinstance(written, str):
            hint = nearest(str(written).capitalize(), LEVELS)
            faults.append(f"{where(path)} should be one of {listing(LEVELS)}; found {written!r}{hint}")
        elif fault := _unknown(category):
            faults.append(f"{where(path)}: {fault}")
        else:
            rules[category] = level
    if faults:
        raise SettingError("\n".join(faults))
    return Levels(rules)


def _flat(declared: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in declared.items():
        if isinstance(value, Mapping):
            yield from _flat(value, (*above, name))
        else:
            yield (*above, name), value


def _unknown(category: str) -> str:
    """What is wrong with a category that no line is of; empty where there may be some, here or on the cloud."""
    head, _, rest = category.partition(".")
    heads = ("default", "Function", "Host", "edgefn", *CLOUD)
    if head.lower() == "edgefn" and rest and not any(part.startswith(rest.lower().rstrip("*")) for part in PARTS):
        return f"the host has no part '{rest}'{nearest(rest, PARTS)}; known parts: {listing(PARTS)}"
    if head.lower() in (known.lower() for known in heads):
        return ""
    return (
        f"unknown category '{category}'{nearest(head, heads)}; known categories: default, Function, Function.<name>, "
        f"Function.<name>.User, Host, edgefn.<part>, and those of the cloud: {listing(CLOUD)}"
    )


def level_named(name: str, where: str) -> int:
    """The level of a name of Azure's or of Python's; raises SettingError."""
    known = {**logging.getLevelNamesMapping(), **{level.upper(): LEVELS[level] for level in LEVELS}}
    if name.upper() not in known:
        raise SettingError(f"{where} {name}: should be one of {listing(LEVELS).lower()}{nearest(name.lower(), known)}")
    return known[name.upper()]


class LineLevels(logging.Filter):
    """Sets the levels of the process's loggers; as a filter of handlers, leaves out what user code says below its own.

    What the command line asks for wins: all lines of the host are written from ``host`` on at least, and those of user
    code from ``user`` on, whatever the rules are. Without rules that is Information.
    """

    def __init__(self, *, host: int | None = None, user: int | None = None) -> None:
        super().__init__()
        self._host = max(LEVELS.values()) if host is None else host
        self._user = user
        self._set: set[str] = set()
        self._root = logging.INFO
        self.apply(Levels(), ())

    def apply(self, levels: Levels, functions: Iterable[str]) -> None:
        """Has lines written by these rules from now on, for functions of these names."""
        names = list(functions)
        self._put(_of_host(levels, names))
        self._users = {name: levels.of(f"Function.{name}.User") for name in names} if self._user is None else {}
        self._default = levels.of() if self._user is None else self._user
        every = (self._default, *self._users.values())
        self._highest = max(every)
        self._level_root(min(every))

    def _level_root(self, level: int) -> None:
        if level != self._root:  # else it stays as the app may have set it
            logging.getLogger().setLevel(level)
            self._root = level

    def _put(self, wanted: Mapping[str, int]) -> None:
        for name in self._set - wanted.keys():
            logging.getLogger(name).setLevel(logging.NOTSET)
        for name, level in wanted.items():
            logging.getLogger(name).setLevel(min(level, self._host))
        self._set = set(wanted)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= self._highest or record.name.startswith(OURS):
            return True
        return record.levelno >= self._users.get(getattr(record, "function", ""), self._default)

    def close(self) -> None:
        """Puts the loggers back, so that why a host leaves is said, whatever its rules were."""
        self._put({})
        self._level_root(logging.INFO)


def _of_host(levels: Levels, functions: Sequence[str]) -> dict[str, int]:
    """The level of each logger of the host; of those below another one only where it differs."""
    host, function = levels.of("Host"), levels.of("Function")
    tops = {"Host": host, "azure": host, "uvicorn": host, "edgefn": levels.of("edgefn", "Host"), "Function": function}
    below = {f"edgefn.{part}": levels.of(f"edgefn.{part}", "Host") for part in PARTS}
    below |= {name: levels.of(name) for name in (TIMER, *(f"Function.{name}" for name in functions))}
    return tops | {name: level for name, level in below.items() if level != tops[name.partition(".")[0]]}
