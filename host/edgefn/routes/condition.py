"""Conditions of routes, compiled once to a closure (Condition.g4 and ConditionVisitor of Azure/iotedge).

From strong to weak: ``- not``, ``* / %``, ``+ - ||`` (``||`` joins strings), ``< <= > >=``, ``= != <>``, ``and``,
``or``, ``??``; all group to the left. ``name`` is an application property, ``$name`` the application property
``$name`` or else the system property ``name``, ``$body.a.b[0]`` a value of a JSON body, ``{$name}`` the last two only.

Nothing is converted: properties are strings, so ``score > 1`` is refused, and ``as_number(score) > 1`` is meant.
Values of the body have any kind, seen at run time; values of different kinds are ordered bool < number < string <
null, and a missing one is null: ``$body.score > 1`` holds for a body without a score. So it is on the device.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from edgefn.routes.body import MessageView, RoutedMessage, look_up, parse_path
from edgefn.routes.functions import FUNCTIONS, Function, Kind, Null, Value, compare, defined, divide, modulo
from edgefn.routes.tokens import RouteError, Token, Tokens

__all__ = ["Condition", "RoutedMessage", "parse_condition"]

Evaluate = Callable[[MessageView], Value]

_NESTING = 100  # expressions in each other while parsing
_DEPTH = 250  # closures in each other while evaluating; both stay far from Python's own limit

_POWERS: Mapping[str, int] = {
    "??": 1,
    "or": 2,
    "and": 3,
    **dict.fromkeys(("=", "!=", "<>"), 4),
    **dict.fromkeys(("<", "<=", ">", ">="), 5),
    **dict.fromkeys(("+", "-", "||"), 6),
    **dict.fromkeys(("*", "/", "%"), 7),
}
_STRONGEST = max(_POWERS.values())
_COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CALCULATIONS: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divide,
    "%": modulo,
}
_JOIN = FUNCTIONS["concat"][0]
_TWIN_PARTS = ("properties.reported.", "properties.desired.", "tags.")
_OPERATOR_IN_NAME = re.compile(r"[!+*%|']")


@dataclass(frozen=True)
class Condition:
    """The condition of a route, ready to be asked.

    ``doubts`` are texts about what is allowed and yet hardly meant.
    """

    text: str
    evaluate: Evaluate = field(compare=False, repr=False)
    doubts: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def holds(self, view: MessageView) -> bool:
        """Whether the message fulfils it; undefined does not."""
        return self.evaluate(view) is True


@dataclass(frozen=True, slots=True)
class _Expression:
    kind: Kind
    evaluate: Evaluate
    depth: int = 1


def parse_condition(tokens: Tokens, text: str, *, twin_changes: bool) -> Condition:
    """Takes a condition from ``tokens`` of the route ``text``; ``twin_changes`` if its source is the twin's.

    Raises RouteError where edgeHub would refuse to compile.
    """
    parser = _Parser(tokens, twin_changes)
    first = tokens.next
    expression = parser.expression(0)
    if expression.kind not in (Kind.BOOL, Kind.BODY):
        parser.doubts.append(f"the condition is {expression.kind.value}, so it never holds; a comparison is meant?")
    end = tokens.last.column - 1 + len(tokens.last.text)
    return Condition(text[first.column - 1 : end], expression.evaluate, tuple(parser.doubts))


class _Parser:
    """Precedence climbing over the tokens of one condition."""

    def __init__(self, tokens: Tokens, twin_changes: bool) -> None:
        self.doubts: list[str] = []
        self._tokens = tokens
        self._twin_changes = twin_changes
        self._nesting = 0

    def expression(self, weakest: int) -> _Expression:
        """An expression whose operators all bind stronger than ``weakest``."""
        self._nesting += 1
        if self._nesting > _NESTING:
            raise self._too_deep(self._tokens.next, "nested", _NESTING)
        left = self._operand()
        while (power := _POWERS.get(self._tokens.next.word, 0)) > weakest:
            token = self._tokens.take()
            left = self._binary(token, left, self.expression(power))
        self._nesting -= 1
        return left

    def _binary(self, token: Token, left: _Expression, right: _Expression) -> _Expression:
        word = token.word
        if word in ("and", "or"):
            kind, evaluate = self._logic(token, left, right)
        elif word == "??":
            kind, evaluate = self._same(token, left, right), _first_defined(left.evaluate, right.evaluate)
        elif word in _COMPARISONS:
            kind, evaluate = Kind.BOOL, _comparison(word, self._same(token, left, right), left.evaluate, right.evaluate)
        elif word == "||":
            self._both(token, left, right, Kind.STRING)
            kind, evaluate = _call(_JOIN, (left.evaluate, right.evaluate))
        else:
            kind = self._both(token, left, right, Kind.NUMBER)
            evaluate = _calculation(_CALCULATIONS[word], left.evaluate, right.evaluate)
        return self._deeper(token, kind, evaluate, left, right)

    def _deeper(self, token: Token, kind: Kind, evaluate: Evaluate, *parts: _Expression) -> _Expression:
        depth = 1 + max((part.depth for part in parts), default=0)
        if depth > _DEPTH:
            raise self._too_deep(token, "chained", _DEPTH)
        return _Expression(kind, evaluate, depth)

    def _same(self, token: Token, left: _Expression, right: _Expression) -> Kind:
        kinds = {left.kind, right.kind}
        if len(kinds) == 1:
            return left.kind
        if Kind.BODY in kinds and Kind.UNDEFINED not in kinds:
            return Kind.BODY
        hint = "as_number(...) makes a number of a string" if Kind.STRING in kinds else "both must be of one kind"
        raise self._operands(token, left, right, hint)

    def _both(self, token: Token, left: _Expression, right: _Expression, wanted: Kind) -> Kind:
        """The kind of ``left op right`` for an operator that takes ``wanted`` only."""
        kinds = {left.kind, right.kind}
        if not kinds <= {wanted, Kind.BODY}:
            raise self._operands(token, left, right, f"it takes {wanted.value} on both sides")
        if token.word == "%" and Kind.BODY in kinds:
            raise self._operands(token, left, right, "as_number(...) makes a number of the body's value")
        return Kind.BODY if Kind.BODY in kinds else wanted

    def _logic(self, token: Token, left: _Expression, right: _Expression) -> tuple[Kind, Evaluate]:
        kinds = {left.kind, right.kind}
        if left.kind is Kind.BODY and not (token.word == "and" and Kind.NULL in kinds):
            return Kind.BOOL, _logic_of_body(token.word, left.evaluate, right.evaluate)
        if Kind.NULL in kinds and kinds <= {Kind.NULL, Kind.BOOL}:
            return _logic_of_null(token.word, left, right)
        if kinds <= {Kind.BOOL, Kind.UNDEFINED}:
            return Kind.BOOL, _logic(token.word, left.evaluate, right.evaluate)
        hint = "compare it first" if Kind.BODY not in kinds else "write the value of the body as $body... = true"
        raise self._operands(token, left, right, hint)

    def _operand(self) -> _Expression:
        token = self._tokens.take()
        if token.word == "-":
            return self._negate(token)
        if token.word == "not":
            return self._deny(token)
        if token.word == "(":
            inner = self.expression(0)
            self._tokens.expect(")", f'the "(" of column {token.column} is not closed', '")" or an operator would do')
            return inner
        if token.word == "{":
            return self._escaped()
        if token.kind in ("string", "number", "literal"):
            return _literal(token)
        if token.kind == "system name":
            return self._system(token, escaped=False)
        if token.kind == "name":
            return self._call(token) if self._tokens.next.word == "(" else self._property(token)
        raise self._no_operand(token)

    def _negate(self, token: Token) -> _Expression:
        operand = self.expression(_STRONGEST)
        if operand.kind is not Kind.NUMBER:
            raise self._error(token, f'"-" can not take {operand.kind.value}', "as_number(...) makes a number of it")
        return self._deeper(token, Kind.NUMBER, _negation(operand.evaluate), operand)

    def _deny(self, token: Token) -> _Expression:
        operand = self.expression(_STRONGEST)
        if operand.kind is Kind.NULL:
            return _WORDS["true"]
        if operand.kind not in (Kind.BOOL, Kind.BODY):
            raise self._error(token, f'"not" can not take {operand.kind.value}', "not (...) denies a comparison")
        return self._deeper(token, Kind.BOOL, _denial(operand.evaluate), operand)

    def _escaped(self) -> _Expression:
        token = self._tokens.take()
        if token.kind != "system name":
            raise self._error(token, "braces hold the name of a system property", "{$contentType} would be right")
        self._tokens.expect("}", f'the "{{" before {token} is not closed', '"}" would be right')
        return self._system(token, escaped=True)

    def _system(self, token: Token, *, escaped: bool) -> _Expression:
        name = token.text
        if name.lower().startswith("$body."):
            value, kind = self._body(token, name[len("$body.") :]), Kind.BODY
        elif "[" in name or "]" in name:
            return _Expression(Kind.UNDEFINED, _undefined)
        else:
            value, kind = _system_property(name[1:]), Kind.STRING
        if escaped or "[" in name:
            return _Expression(kind, value)
        return _Expression(kind, _first_defined(_application_property(name), value), 2)

    def _body(self, token: Token, text: str) -> Evaluate:
        path = parse_path(text)
        if path is None:
            raise self._error(token, "this is no path into the body", "$body.name.name[0] would be right")
        return lambda view: view.value(path)

    def _property(self, token: Token) -> _Expression:
        if _OPERATOR_IN_NAME.search(token.text):
            self.doubts.append(f"{token} is read as the name of one property; operators need spaces around them")
        return _Expression(Kind.STRING, _application_property(token.text))

    def _call(self, token: Token) -> _Expression:
        if token.text.lower() == "twin_change_includes":
            return self._twin_change(token)
        functions = FUNCTIONS.get(token.text.lower())
        if functions is None:
            known = ", ".join([*FUNCTIONS, "twin_change_includes"])
            raise self._error(token, f"there is no function {token}", f"there are {known}")
        arguments = self._arguments(token)
        function = self._choose(token, functions, tuple(argument.kind for argument in arguments))
        kind, evaluate = _call(function, tuple(argument.evaluate for argument in arguments))
        return self._deeper(token, kind, evaluate, *arguments)

    def _arguments(self, token: Token) -> list[_Expression]:
        self._tokens.take()
        arguments: list[_Expression] = []
        if self._tokens.take_if(")"):
            return arguments
        while not arguments or self._tokens.take_if(","):
            arguments.append(self.expression(0))
        self._tokens.expect(")", f"the arguments of {token} do not end", '"," or ")" would be right')
        return arguments

    def _choose(self, token: Token, functions: tuple[Function, ...], given: tuple[Kind, ...]) -> Function:
        chosen = next((function for function in functions if function.fits(given)), None)
        if chosen is None:
            usage = " or ".join(token.text + function.usage for function in functions)
            got = ", ".join(kind.value for kind in given)
            raise self._error(token, f"{token.text}({got}) can not be called", f"{usage} would be right")
        if chosen.takes == (Kind.BODY,):
            self.doubts.append("is_null of the body is true for each value that is there; $body... = null is meant?")
        return chosen

    def _twin_change(self, token: Token) -> _Expression:
        if not self._twin_changes:
            raise self._error(token, f"{token} needs a twin", "FROM /twinChangeNotifications would be right")
        self._tokens.take()
        path = self._twin_path(self._tokens.take())
        self._tokens.expect(")", f"{token} takes one path", '")" would be right')
        self.doubts.append(f"edgeHub knows {token}, but refuses it in routes of a deployment")
        return _Expression(Kind.BOOL, path)

    def _twin_path(self, token: Token) -> Evaluate:
        path = parse_path(token.text) if token.kind == "name" and token.text.lower().startswith(_TWIN_PARTS) else None
        if path is None:
            known = ", ".join(f"{part}name" for part in _TWIN_PARTS)
            raise self._error(token, "this is no path into a twin", f"{known} would be right")
        return partial(_includes, path)

    def _no_operand(self, token: Token) -> RouteError:
        if token.kind == "open string":
            return self._error(token, "the string does not end", "a quote of the same kind would end it")
        return self._error(token, "a value is missing", "a property, a literal or a function would be right")

    def _operands(self, token: Token, left: _Expression, right: _Expression, hint: str) -> RouteError:
        wrong = f'"{token.text}" can not take {left.kind.value} and {right.kind.value}'
        return self._error(token, wrong, hint)

    def _too_deep(self, token: Token, how: str, limit: int) -> RouteError:
        return self._error(token, f"more than {limit} operators or parentheses are {how}", "two routes would do")

    def _error(self, token: Token, wrong: str, right: str) -> RouteError:
        return self._tokens.error(token, wrong, right)


# --- closures ----------------------------------------------------------------------------------------------------


def _undefined(view: MessageView) -> Value:
    return None


def _constant(kind: Kind, value: Value) -> _Expression:
    return _Expression(kind, lambda view: value)


_WORDS = {
    "true": _constant(Kind.BOOL, True),
    "false": _constant(Kind.BOOL, False),
    "null": _constant(Kind.NULL, Null.NULL),
    "undefined": _Expression(Kind.UNDEFINED, _undefined),
}


def _literal(token: Token) -> _Expression:
    if token.kind == "literal":
        return _WORDS[token.text]
    if token.kind == "string":
        return _constant(Kind.STRING, _unescape(token.text[1:-1]))
    number = _number(token.text)
    return _WORDS["undefined"] if number is None else _constant(Kind.NUMBER, number)


def _unescape(text: str) -> str:
    """Escapes are resolved in two passes, as in edgeHub: first ``\\uXXXX``, then quotes and backslashes."""
    text = re.sub(r"\\[Uu]([0-9A-Fa-f]{4})", lambda match: chr(int(match[1], 16)), text)
    return re.sub(r"\\([\"'\\])", lambda match: match[1], text)


def _number(text: str) -> float | None:
    """None for what the grammar takes for a number and .NET does not: ``e5``, or hexadecimals beyond 64 bits."""
    if text[:2].lower() == "0x":
        digits = text[2:].lstrip("0")
        value = int(digits or "0", 16) if len(digits) <= 16 else None
        return None if value is None else float(value - (value >> 63 << 64))
    try:
        return float(text)
    except ValueError:
        return None


def _application_property(name: str) -> Evaluate:
    lowered = name.lower()
    return lambda view: look_up(view.properties, name, lowered)


def _system_property(name: str) -> Evaluate:
    lowered = name.lower()
    return lambda view: look_up(view.system_properties, name, lowered)


def _includes(path: tuple[str | int, ...], view: MessageView) -> Value:
    found = view.find(path)
    return None if found is None else found is not Null.MISSING


def _first_defined(left: Evaluate, right: Evaluate) -> Evaluate:
    def evaluate(view: MessageView) -> Value:
        value = left(view)
        return right(view) if value is None else value

    return evaluate


def _comparison(word: str, kind: Kind, left: Evaluate, right: Evaluate) -> Evaluate:
    holds = _COMPARISONS[word]
    if kind is Kind.STRING or kind is Kind.NUMBER:
        return _comparison_of_one_type(holds, left, right)

    def evaluate(view: MessageView) -> Value:
        order = compare(left(view), right(view))
        return None if order is None else holds(order, 0)

    return evaluate


def _comparison_of_one_type(holds: Callable[..., bool], left: Evaluate, right: Evaluate) -> Evaluate:
    def evaluate(view: MessageView) -> Value:
        a, b = left(view), right(view)
        return None if a is None or b is None else holds(a, b)

    return evaluate


def _calculation(calculate: Callable[[float, float], float], left: Evaluate, right: Evaluate) -> Evaluate:
    def evaluate(view: MessageView) -> Value:
        a, b = left(view), right(view)
        return defined(calculate(a, b)) if type(a) is float and type(b) is float else None

    return evaluate


def _call(function: Function, arguments: tuple[Evaluate, ...]) -> tuple[Kind, Evaluate]:
    apply = function.apply
    return function.gives, lambda view: apply(*[argument(view) for argument in arguments])


def _negation(operand: Evaluate) -> Evaluate:
    def evaluate(view: MessageView) -> Value:
        value = operand(view)
        return -value if type(value) is float else None

    return evaluate


def _denial(operand: Evaluate) -> Evaluate:
    def evaluate(view: MessageView) -> Value:
        value = operand(view)
        return not value if isinstance(value, bool) else None

    return evaluate


def _logic(word: str, left: Evaluate, right: Evaluate) -> Evaluate:
    """``and`` or ``or`` of true, false and undefined; the deciding value is false for ``and``, true for ``or``."""
    deciding = word == "or"

    def evaluate(view: MessageView) -> Value:
        a = left(view)
        if a is deciding:
            return a
        b = right(view)
        return b if b is deciding or a is not None else None

    return evaluate


def _logic_of_body(word: str, left: Evaluate, right: Evaluate) -> Evaluate:
    """Beside a value of the body only true and false count: all else makes the whole undefined."""
    decide = any if word == "or" else all

    def evaluate(view: MessageView) -> Value:
        both = (left(view), right(view))
        return decide(both) if all(isinstance(value, bool) for value in both) else None

    return evaluate


def _logic_of_null(word: str, left: _Expression, right: _Expression) -> tuple[Kind, Evaluate]:
    """``null and x`` is null, ``null or x`` is ``x``."""
    other = left if right.kind is Kind.NULL else right
    return (Kind.NULL, _WORDS["null"].evaluate) if word == "and" else (other.kind, other.evaluate)
