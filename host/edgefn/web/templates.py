"""Route templates as ASP.NET reads them: ``devices/{id:int}/{*rest}``, and whether a path fits one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgefn.web.constraints import Constraint, ConstraintError, constraint

NAME = re.compile(r"[^:=]*")


class TemplateError(ValueError):
    """A route template that can not be read."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """``{name}`` in a template, with all that may stand in the braces."""

    name: str
    constraints: tuple[Constraint, ...] = ()
    default: str | None = None
    is_optional: bool = False
    is_catch_all: bool = False

    def accepts(self, value: str) -> bool:
        return value != "" and all(fits(value) for fits in self.constraints)

    def absent(self, values: dict[str, str]) -> bool:
        """Whether the path may end before it; then its default is its value."""
        if self.default is not None:
            values[self.name] = self.default
        return self.default is not None or self.is_optional or self.is_catch_all


@dataclass(frozen=True, slots=True)
class Segment:
    """What stands between two slashes: literals in lower case, and parameters, never two of a kind in a row."""

    parts: tuple[str | Parameter, ...]

    @property
    def literal(self) -> str | None:
        first = self.parts[0]
        return first if len(self.parts) == 1 and isinstance(first, str) else None

    @property
    def parameter(self) -> Parameter | None:
        first = self.parts[0]
        return first if len(self.parts) == 1 and isinstance(first, Parameter) else None

    @property
    def precedence(self) -> int:
        """ASP.NET's digit: literals first, then constrained and mixed ones, then plain ones, then catch-all ones."""
        parameter = self.parameter
        if parameter is None:
            return 1 if self.literal is not None else 2
        plain, constrained = (5, 4) if parameter.is_catch_all else (3, 2)
        return constrained if parameter.constraints else plain

    def match(self, text: str, values: dict[str, str]) -> bool:
        """Whether a segment of a path fits; its values are added."""
        if (parameter := self.parameter) is not None:
            values[parameter.name] = text
            return parameter.accepts(text)
        last = self.parts[-1]
        if isinstance(last, Parameter) and last.is_optional:
            found = dict(values)
            if not _match_mixed(self.parts, text, found):
                found = dict(values)
                if not _match_mixed(self.parts[:-2], text, found):
                    return False
            values.update(found)
            return True
        return _match_mixed(self.parts, text, values)


def _match_mixed(parts: Sequence[str | Parameter], text: str, values: dict[str, str]) -> bool:
    """From right to left, each literal where it occurs last, without going back: linear in the length of the text."""
    lowered = text.lower()
    end = len(text)
    waiting: Parameter | None = None
    for index in range(len(parts) - 1, -1, -1):
        part = parts[index]
        if isinstance(part, Parameter):
            waiting = part
            continue
        if waiting is None:
            start = end - len(part) if lowered[:end].endswith(part) else -1
        elif index == 0:
            start = 0 if lowered.startswith(part) and len(part) < end else -1
        else:
            start = lowered.rfind(part, 0, end - 1)
        if start < 0:
            return False
        if waiting is not None:
            values[waiting.name] = text[start + len(part) : end]
            if not waiting.accepts(values[waiting.name]):
                return False
            waiting = None
        end = start
    if waiting is not None:
        values[waiting.name] = text[:end]
        return waiting.accepts(text[:end])
    return end == 0


@dataclass(frozen=True, slots=True)
class Template:
    """A route template, read."""

    text: str
    segments: tuple[Segment, ...]

    @property
    def precedence(self) -> tuple[int, ...]:
        """Of two templates that fit a path, the one with the lower precedence has it."""
        return tuple(segment.precedence for segment in self.segments)

    @property
    def literal(self) -> str | None:
        """The one path, in lower case and without the first slash, that a template without parameters fits."""
        literals = [segment.literal for segment in self.segments]
        return None if None in literals else "/".join(str(literal) for literal in literals)

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """The values of the parameters that the path has, or None when it does not fit."""
        values: dict[str, str] = {}
        for index, segment in enumerate(self.segments):
            parameter = segment.parameter
            if parameter is not None and parameter.is_catch_all:
                rest = "/".join(segments[index:])
                if rest == "":
                    return values if parameter.absent(values) else None
                values[parameter.name] = rest
                return values if parameter.accepts(rest) else None
            if index >= len(segments):
                if parameter is None or not parameter.absent(values):
                    return None
            elif (literal := segment.literal) is not None:
                if segments[index].lower() != literal:
                    return None
            elif not segment.match(segments[index], values):
                return None
        return values if len(segments) <= len(self.segments) else None


# --- reading -----------------------------------------------------------------------------------------------------


def parse_template(text: str) -> Template:
    """Reads a template; slashes at its ends do not count. Raises TemplateError."""
    stripped = text.strip("/")
    segments = tuple(Segment(tuple(parts)) for parts in _split(stripped)) if stripped else ()
    names: set[str] = set()
    for index, segment in enumerate(segments):
        if not segment.parts:
            raise TemplateError("it has two slashes in a row")
        _check_mixed(segment)
        for part in segment.parts:
            if isinstance(part, Parameter):
                if part.name.lower() in names:
                    raise TemplateError(f"parameter '{part.name}' occurs twice")
                names.add(part.name.lower())
                if part.is_catch_all and (index + 1 < len(segments) or len(segment.parts) > 1):
                    raise TemplateError(f"the catch-all parameter '{part.name}' should be its last segment")
    return Template(text, segments)


def _check_mixed(segment: Segment) -> None:
    for before, after in zip(segment.parts, segment.parts[1:], strict=False):
        if isinstance(before, Parameter) and isinstance(after, Parameter):
            raise TemplateError(f"parameters '{before.name}' and '{after.name}' need a literal between them")
        if isinstance(before, Parameter) and before.is_optional:
            raise TemplateError(f"the optional parameter '{before.name}' should be the last part of its segment")
        if isinstance(after, Parameter) and after.is_optional and (before != "." or len(segment.parts) < 3):
            raise TemplateError(f"the optional parameter '{after.name}' should follow a parameter and a '.'")


def _split(text: str) -> Iterator[list[str | Parameter]]:
    """The parts of each segment; ``{{`` and ``}}`` stand for braces."""
    parts: list[str | Parameter] = []
    literal = ""
    position = 0
    while position < len(text):
        if text[position : position + 2] in ("{{", "}}"):
            literal += text[position]
            position += 2
            continue
        letter = text[position]
        position += 1
        if letter in "/{" and literal:
            parts.append(literal.lower())
            literal = ""
        if letter == "/":
            yield parts
            parts = []
        elif letter == "{":
            inner, position = _in_braces(text, position)
            parts.append(_parameter(inner))
        elif letter == "}":
            raise TemplateError("it has a } without a {")
        elif letter == "?":
            raise TemplateError("it has a ? outside of braces; an optional parameter is written {name?}")
        else:
            literal += letter
    if literal:
        parts.append(literal.lower())
    yield parts


def _in_braces(text: str, position: int) -> tuple[str, int]:
    """The text up to the closing brace, and the position after that."""
    inner = ""
    while position < len(text):
        if text[position : position + 2] in ("{{", "}}"):
            inner += text[position]
            position += 2
        elif text[position] == "}":
            return inner, position + 1
        elif text[position] == "{":
            break
        else:
            inner += text[position]
            position += 1
    raise TemplateError("it has a { without a }")


def _parameter(text: str) -> Parameter:
    is_catch_all = text.startswith("*")
    text = text.removeprefix("*").removeprefix("*") if is_catch_all else text
    is_optional = text.endswith("?")
    text = text[:-1] if is_optional else text
    name = NAME.match(text)[0]  # type: ignore[index]  # it matches the empty text too
    if not name.strip() or set(name) & set("/{}*?"):
        raise TemplateError(f"'{name}' is no name of a parameter")
    try:
        constraints, default = _constraints(text[len(name) :])
    except ConstraintError as error:
        raise TemplateError(f"parameter '{name}': {error}") from None
    if is_optional and (default is not None or is_catch_all):
        raise TemplateError(f"parameter '{name}' should not be optional too: it has a default, or takes the rest")
    return Parameter(name, tuple(constraints), default, is_optional, is_catch_all)


def _constraints(text: str) -> tuple[list[Constraint], str | None]:
    """``:int:min(1)=5`` as its constraints and its default."""
    found: list[Constraint] = []
    while text.startswith(":"):
        end = _end_of_constraint(text)
        found.append(constraint(text[1:end]))
        text = text[end:]
    return found, text[1:] if text else None


def _end_of_constraint(text: str) -> int:
    """Where the next one begins, or the default; a parenthesis is closed where one of these, or nothing, follows."""
    for index in range(1, len(text)):
        if text[index] in ":=":
            return index
        if text[index] == "(":
            closing = (i for i in range(index, len(text)) if text[i] == ")" and text[i + 1 : i + 2] in ("", ":", "="))
            return next(closing, len(text) - 1) + 1
    return len(text)
