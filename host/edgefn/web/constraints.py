"""What a route template may ask of a parameter: ``{id:int}``, ``{name:length(2,8)}``, as ASP.NET has it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import datetime

from edgefn.errors import listing, nearest

Constraint = Callable[[str], bool]

INTEGER = re.compile(r"\s*[+-]?[0-9]{1,400}\s*")
DECIMAL = re.compile(r"\s*(?:[+-]?(?:[0-9][0-9,]*\.?[0-9]*|\.[0-9]+)|(?:[0-9][0-9,]*\.?[0-9]*|\.[0-9]+)[+-])\s*")
FLOAT = re.compile(r"\s*[+-]?(?:(?:[0-9][0-9,]*\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|infinity|∞)\s*", re.IGNORECASE)
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}", re.IGNORECASE)
ALPHA = re.compile(r"[a-z]*", re.IGNORECASE)
BOOLEANS = ("true", "false")
DATES = ("%m/%d/%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%Y/%m/%d", "%d %b %Y", "%a, %d %b %Y %H:%M:%S GMT")
LONGEST_NUMBER = 400


class ConstraintError(ValueError):
    """A constraint that is not known, or has arguments that make no sense."""


def constraint(text: str) -> Constraint:
    """The test that ``int``, ``range(1,5)``, ``regex(^a)`` stand for; raises ConstraintError."""
    name, _, rest = text.partition("(")
    name = name.strip().lower()
    if rest and not rest.endswith(")"):
        raise ConstraintError(f"constraint '{text}' does not end with )")
    argument = rest[:-1]
    if name in PLAIN and not rest:
        return PLAIN[name]
    if name == "regex" and rest:
        return _regex(argument)
    if name in NUMBERED and rest:
        return _numbered(name, argument, text)
    known = [*PLAIN, *(f"{name}(...)" for name in NUMBERED), "regex(...)"]
    raise ConstraintError(
        f"there is no constraint '{text}'{nearest(name, [*PLAIN, *NUMBERED, 'regex'])}; constraints: {listing(known)}"
    )


def whole(value: str) -> int | None:
    """The whole number that a text is to .NET: blanks around it, one sign; None when it is none."""
    return int(value) if len(value) <= LONGEST_NUMBER and INTEGER.fullmatch(value) else None


def _is_int(value: str) -> bool:
    number = whole(value)
    return number is not None and -(2**31) <= number < 2**31


def _is_long(value: str) -> bool:
    number = whole(value)
    return number is not None and -(2**63) <= number < 2**63


def _is_guid(value: str) -> bool:
    text = value.strip()
    if len(text) > 2 and text[0] + text[-1] in ("{}", "()"):
        text = text[1:-1]
        return "-" in text and GUID.fullmatch(text) is not None
    return GUID.fullmatch(text) is not None and bool(uuid.UUID(text))


def _is_date(value: str) -> bool:
    text = value.strip()
    if text[:1].isdigit() and text.isdigit():
        return False
    try:
        datetime.fromisoformat(text)
        return True
    except ValueError:
        return any(_parses(text, form) for form in DATES)


def _parses(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
        return True
    except ValueError:
        return False


def _regex(argument: str) -> Constraint:
    try:
        pattern = re.compile(argument, re.IGNORECASE)
    except re.error as error:
        raise ConstraintError(f"regex({argument}) is no regular expression: {error}") from None
    return lambda value: pattern.search(value) is not None


def _numbered(name: str, argument: str, text: str) -> Constraint:
    numbers = [whole(part) for part in argument.split(",")]
    if any(number is None for number in numbers) or len(numbers) not in NUMBERED[name]:
        counts = " or ".join(str(count) for count in NUMBERED[name])
        raise ConstraintError(f"constraint '{text}' should have {counts} whole numbers")
    low, high = numbers[0] or 0, numbers[-1] or 0
    if low > high:
        raise ConstraintError(f"constraint '{text}': the first number should not exceed the second")
    if name == "length":
        return lambda value: low <= len(value) <= high
    if name == "minlength":
        return lambda value: len(value) >= low
    if name == "maxlength":
        return lambda value: len(value) <= high
    least, most = (low if name != "max" else None), (high if name != "min" else None)
    return lambda value: _is_between(value, least, most)


def _is_between(value: str, least: int | None, most: int | None) -> bool:
    if not _is_long(value):
        return False
    number = int(value)
    return (least is None or number >= least) and (most is None or number <= most)


PLAIN: dict[str, Constraint] = {
    "int": _is_int,
    "bool": lambda value: value.strip().lower() in BOOLEANS,
    "datetime": _is_date,
    "decimal": lambda value: DECIMAL.fullmatch(value) is not None,
    "double": lambda value: FLOAT.fullmatch(value) is not None,
    "float": lambda value: FLOAT.fullmatch(value) is not None,
    "guid": _is_guid,
    "long": _is_long,
    "alpha": lambda value: ALPHA.fullmatch(value) is not None,
    "required": lambda value: value != "",
}
NUMBERED: dict[str, tuple[int, ...]] = {
    "length": (1, 2),
    "minlength": (1,),
    "maxlength": (1,),
    "min": (1,),
    "max": (1,),
    "range": (2,),
}
