"""The values of conditions, and the functions that conditions may call (Query and Builtins of Azure/iotedge).

``None`` stands for ``undefined``. Numbers are finite or infinite floats, a NaN is undefined. No function here raises.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


class Kind(enum.Enum):
    """What an expression is known to be before any message is seen: edgeHub checks kinds when it compiles."""

    STRING = "a string"
    NUMBER = "a number"
    BOOL = "a bool"
    NULL = "null"
    UNDEFINED = "undefined"
    BODY = "a value of the body"


class Null(enum.Enum):
    """JSON's null; a path that leads nowhere is a null of its own, as ``is_null`` tells the two apart."""

    NULL = "null"
    MISSING = "missing"


Value = str | float | bool | Null | None

# Values of different kinds are ordered by kind, so a missing value of the body is greater than any number (QueryValue).
_RANKS: Mapping[type, int] = {bool: 1, float: 2, str: 3, Null: 4}


def compare(left: Any, right: Any) -> int | None:
    """Negative, 0 or positive as ``left`` is less, equal or greater; None when one is undefined."""
    if left is None or right is None:
        return None
    if type(left) is not type(right):
        return _RANKS[type(left)] - _RANKS[type(right)]
    if isinstance(left, Null):
        return 0
    return int(left > right) - int(left < right)


def defined(number: float) -> float | None:
    return number if number == number else None


def divide(left: float, right: float) -> float:
    if right:
        return left / right
    return math.copysign(math.inf, left) * math.copysign(1.0, right) if left else math.nan


def modulo(left: float, right: float) -> float:
    try:
        return math.fmod(left, right)
    except ValueError:
        return math.nan


def _power(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and math.fmod(exponent, 2) else math.inf
    except ValueError:
        return math.nan if base else math.inf


def _exp(number: float) -> float:
    try:
        return math.exp(number)
    except OverflowError:
        return math.inf


def _rounded(round_: Callable[[float], int]) -> Callable[[float], float]:
    return lambda number: float(round_(number)) if math.isfinite(number) else number


def _sign(number: float) -> float:
    return float((number > 0) - (number < 0))


def _square_root(number: float) -> float:
    return math.sqrt(number) if number >= 0 else math.nan


# .NET's NumberStyles.Any, without the sign of a currency: " 1,234.5e3 ", "5-" and "(5)" are numbers.
_NUMBER = re.compile(
    r"\s*(?P<open>\()?(?P<sign>[+-]?)(?P<digits>[0-9][0-9,]*(?:\.[0-9]*)?|\.[0-9]+)"
    r"(?P<exponent>[eE][+-]?[0-9]+)?(?P<after>[+-]?)(?(open)\))\s*",
    re.ASCII,
)
_INFINITY = {"infinity": math.inf, "+infinity": math.inf, "-infinity": -math.inf}


def _as_number(value: Value) -> Value:
    if not isinstance(value, str):
        return value if type(value) is float else None
    match = _NUMBER.fullmatch(value)
    if match is None:
        return _INFINITY.get(value.strip().lower())
    number = float(match["digits"].replace(",", "") + (match["exponent"] or ""))
    return -number if match["open"] or "-" in (match["sign"], match["after"]) else number


def _substring(text: str, start: float, length: float | None = None) -> str | None:
    if not 0 <= start <= len(text):
        return None
    if length is None:
        return text[int(start) :]
    if start == len(text) or not 0 <= length <= len(text) - start:
        return None
    return text[int(start) : int(start) + int(length)]


Apply = Callable[..., Value]


@dataclass(frozen=True, slots=True)
class Function:
    """One way to call a function of conditions: a value of the body may stand for any argument.

    ``takes`` is empty for a function of one value of any kind; the last kind repeats if ``repeats``.
    """

    gives: Kind
    apply: Apply
    takes: tuple[Kind, ...] = ()
    repeats: bool = False

    def fits(self, given: tuple[Kind, ...]) -> bool:
        if not self.takes:
            return len(given) == 1
        count = len(given)
        if count < len(self.takes) or (count > len(self.takes) and not self.repeats):
            return False
        wanted = self.takes + self.takes[-1:] * (count - len(self.takes))
        return all(kind in (want, Kind.BODY) for kind, want in zip(given, wanted, strict=True))

    @property
    def usage(self) -> str:
        """The arguments in words: ``(a string, a number)``."""
        more = ", ..." if self.repeats else ""
        return f"({', '.join(kind.value for kind in self.takes) or 'one value'}{more})"


_TYPES: Mapping[Kind, type] = {Kind.STRING: str, Kind.NUMBER: float}


def _of(takes: tuple[Kind, ...], gives: Kind, apply: Apply, *, repeats: bool = False) -> tuple[Function]:
    """A function whose result is undefined when an argument is, or has another type (a value of the body may)."""
    types = tuple(_TYPES[kind] for kind in takes)

    def evaluate(*values: Value) -> Value:
        wanted = types + types[-1:] * (len(values) - len(types))
        if all(type(value) is want for value, want in zip(values, wanted, strict=False)):
            return apply(*values)
        return None

    return (Function(gives, evaluate, takes, repeats),)


def _of_numbers(calculate: Callable[..., float], count: int = 1) -> tuple[Function]:
    return _of((Kind.NUMBER,) * count, Kind.NUMBER, lambda *numbers: defined(calculate(*numbers)))


def _test(apply: Apply) -> tuple[Function]:
    return (Function(Kind.BOOL, apply),)


def _is_null_of_body(value: Value) -> Value:
    """What edgeHub answers: true for each value that is there, false for a missing one (it compares identities)."""
    return None if value is None else value is not Null.MISSING


def _is_bool(value: Value) -> Value:
    return None if value is None else isinstance(value, bool)


_ONE, _TWO = (Kind.STRING,), (Kind.STRING, Kind.STRING)

# In each tuple the first function that fits the arguments is meant.
FUNCTIONS: Mapping[str, tuple[Function, ...]] = {
    "abs": _of_numbers(abs),
    "exp": _of_numbers(_exp),
    "power": _of_numbers(_power, 2),
    "square": _of_numbers(lambda number: number * number),
    "ceiling": _of_numbers(_rounded(math.ceil)),
    "floor": _of_numbers(_rounded(math.floor)),
    "sign": _of_numbers(_sign),
    "sqrt": _of_numbers(_square_root),
    "as_number": (Function(Kind.NUMBER, _as_number, _ONE), Function(Kind.NUMBER, _as_number, (Kind.NUMBER,))),
    "is_bool": (Function(Kind.BOOL, _is_bool, (Kind.BOOL,)), *_test(lambda value: False)),
    "is_defined": _test(lambda value: value is not None),
    "is_null": (Function(Kind.BOOL, _is_null_of_body, (Kind.BODY,)), *_test(lambda value: value is Null.NULL)),
    "is_number": _test(lambda value: type(value) is float and math.isfinite(value)),
    "is_string": _test(lambda value: isinstance(value, str)),
    "concat": _of(_TWO, Kind.STRING, lambda *texts: "".join(texts), repeats=True),
    "length": _of(_ONE, Kind.NUMBER, lambda text: float(len(text))),
    "lower": _of(_ONE, Kind.STRING, str.lower),
    "upper": _of(_ONE, Kind.STRING, str.upper),
    "substring": (
        *_of((Kind.STRING, Kind.NUMBER), Kind.STRING, _substring),
        *_of((Kind.STRING, Kind.NUMBER, Kind.NUMBER), Kind.STRING, _substring),
    ),
    "index_of": _of(_TWO, Kind.NUMBER, lambda text, part: float(text.find(part))),
    "starts_with": _of(_TWO, Kind.BOOL, str.startswith),
    "ends_with": _of(_TWO, Kind.BOOL, str.endswith),
    "contains": _of(_TWO, Kind.BOOL, lambda text, part: part in text),
}
