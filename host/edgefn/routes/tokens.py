"""The words of a route, cut as GrammarLexer.g4 of Azure/iotedge cuts them.

The longest word wins, and at equal length the rule that stands first. A name takes nearly every character, so
``a-b``, ``3+4`` and ``temp!`` (of ``temp!='x'``) are names of properties: operators need spaces around them.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class RouteError(ValueError):
    """A route that edgeHub would refuse; the text says where, what is wrong, and what would be right."""


class Token(NamedTuple):
    """One word of a route; ``column`` counts from 1."""

    kind: str
    text: str
    column: int

    @property
    def word(self) -> str:
        """The keyword or symbol in lower case; empty for names and literals."""
        return self.text.lower() if self.kind in ("keyword", "symbol") else ""

    def __str__(self) -> str:
        return f'"{self.text}"' if self.text else "the end"


_ESCAPE = r"\\(?:[\"'\\]|u[0-9a-fA-F]{4})"
_TO_QUOTE = rf'"(?:{_ESCAPE}|[^"\\])*'
_TO_APOSTROPHE = rf"'(?:{_ESCAPE}|[^'\\])*"
_EXPONENT = r"[eE][+-]?[0-9]+"

# In the order of the grammar, which decides between words of the same length.
_RULES = tuple(
    (kind, re.compile(pattern, re.DOTALL))
    for kind, pattern in (
        ("symbol", r"<=|>=|<>|!=|\|\||\?\?|[{}()<>=,+\-*/%]"),
        ("keyword", r"(?i:select|from|where|into|and|or|not)"),
        ("string", rf"{_TO_QUOTE}\"|{_TO_APOSTROPHE}'"),
        ("open string", rf"{_TO_QUOTE}|{_TO_APOSTROPHE}"),
        ("number", rf"-?[0-9]*\.[0-9]+(?:{_EXPONENT})?|-?[0-9]*{_EXPONENT}|0[xX][0-9a-fA-F]+|-?[0-9]+"),
        ("literal", r"true|false|null|undefined"),
        ("system name", r"\$[^()<>@,;:\\\"/?={} \t\n\r]+"),
        ("name", r"[^()<>@,;:\\\"/\[\]?={} \t\n\r]+"),
        ("path", r"[^()<>@,;:\\\"/?={} \t\n\r]+"),
        ("space", r"[ \t\n\r]+|/\*.*?\*/"),
        ("unknown", r"."),
    )
)


def _next_token(text: str, start: int) -> Token:
    kind, end = "", start
    for rule, pattern in _RULES:
        match = pattern.match(text, start)
        if match and match.end() > end:
            kind, end = rule, match.end()
    return Token(kind, text[start:end], start + 1)


def _cut(text: str) -> list[Token]:
    tokens, start = [], 0
    while start < len(text):
        token = _next_token(text, start)
        start += len(token.text)
        if token.kind != "space":
            tokens.append(token)
    return [*tokens, Token("end", "", len(text) + 1)]


class Tokens:
    """The words of one route, taken from left to right."""

    def __init__(self, route: str, text: str) -> None:
        self.route = route
        self._tokens = _cut(text)
        self._taken = 0

    @property
    def next(self) -> Token:
        return self._tokens[self._taken]

    @property
    def last(self) -> Token:
        """The token taken last."""
        return self._tokens[self._taken - 1]

    def take(self) -> Token:
        token = self.next
        self._taken = min(self._taken + 1, len(self._tokens) - 1)
        return token

    def take_if(self, word: str) -> bool:
        """Takes the next token if it is this keyword or symbol."""
        found = self.next.word == word
        if found:
            self.take()
        return found

    def expect(self, word: str, wrong: str, right: str) -> None:
        if not self.take_if(word):
            raise self.error(self.next, wrong, right)

    def error(self, token: Token, wrong: str, right: str) -> RouteError:
        where = f'route "{self.route}", column {token.column}'
        return RouteError(f"{where}: {wrong}; {right}, found {token}")
