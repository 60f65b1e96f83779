"""Writes the tables of options in docs/bindings/, from the models that validate the options.

python -m tests.reference

What an option means is written by hand, in the last column, and stays.
"""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from edgefn.contracts import Kind
from edgefn.function import seconds
from edgefn.loader import load_app
from edgefn.ncrontab import Schedule
from edgefn.sessions.options import OpenVinoOptions

PAGES = Path(__file__).parents[1] / "docs" / "bindings"
HEAD = "| JSON | Python | type | default | range | means |\n|---|---|---|---|---|---|\n"
TABLE = re.compile(re.escape(HEAD) + r"(?:\|.*\n)*")
NONE = "There are none.\n"
OF_ALL_KINDS = {"inferenceSession": OpenVinoOptions}
"""Types whose options are those of a plugin behind them, with the usual one."""
PYTHON = {("setting", "settingName"): "name"}
"""Keywords of decorators that are not the option's name in snake_case."""
WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "any JSON value"}
WORDS[SecretStr] = "text"
WORDS[Schedule] = "NCRONTAB, or a duration"


def kinds(folder: Path) -> dict[str, Kind]:
    """The binding types that come with edgefn, each once, whatever it is: trigger, input or output."""
    (folder / "functions").mkdir(parents=True, exist_ok=True)
    (folder / "host.json").write_text('{"version": "2.0"}')
    return {kind.type: kind for kind in load_app(folder, environment={}, given={}).kinds.all()}


def options_of(kind: Kind) -> type[BaseModel]:
    return OF_ALL_KINDS.get(kind.type, kind.options)


def rows(kind: Kind) -> Iterator[tuple[str, str, str, str, str]]:
    """For each option: its name in JSON and in Python, its type, default and range."""
    for name, field in options_of(kind).model_fields.items():
        option = field.alias or name
        python = PYTHON.get((kind.type, option), name)
        limits = sorted({part for each in _metadata(field) for part in _limits(each)}, reverse=True)
        yield option, python, type_of(field), _default(field), " and ".join(limits)


def type_of(field: FieldInfo) -> str:
    """The type in words; ``duration`` for seconds, ``HH:MM:SS``, and what else is read as a time."""
    return _named(Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation)


def _named(annotation: Any) -> str:
    metadata = list(getattr(annotation, "__metadata__", ()))
    if any(getattr(each, "func", None) is seconds for each in metadata):
        return "duration"
    if get_origin(annotation) is Annotated:
        return _named(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{word}`" for word in get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(_named(part) for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) in (list, tuple):
        item, *more = get_args(annotation)
        return f"{len(more) + 1} {_named(item)}s" if more and more[0] is not ... else f"list of {_named(item)}s"
    if get_origin(annotation) is dict:
        return f"object of {_named(get_args(annotation)[1])}s"
    return WORDS[annotation]


def _metadata(part: Any) -> Iterator[Any]:
    """What an option is limited by, also within its unions."""
    for each in part.metadata if isinstance(part, FieldInfo) else getattr(part, "__metadata__", ()):
        yield from each.metadata if isinstance(each, FieldInfo) else [each]
    for inner in get_args(part.annotation if isinstance(part, FieldInfo) else part):
        if get_origin(inner) is Annotated:
            yield from _metadata(inner)


def _limits(each: Any) -> Iterator[str]:
    for name, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<")):
        if (limit := getattr(each, name, None)) is not None:
            yield f"{sign} {limit:g}"
    if getattr(each, "min_length", None) == 1 or getattr(getattr(each, "func", None), "__qualname__", "").startswith(
        "named."
    ):
        yield "not empty"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "" if value in (None, "", [], {}, ()) else f"`{json.dumps(value)}`"


def table(kind: Kind, meanings: Mapping[str, str]) -> str:
    """The table of a type's options, with what they mean, in the order of these; others come last."""
    order = {option: number for number, option in enumerate(meanings)}
    lines = [
        f"| `{option}` | `{python}` | {words} | {default} | {limits} | {meanings.get(option, '')} |\n"
        for option, python, words, default, limits in sorted(rows(kind), key=lambda row: order.get(row[0], len(order)))
    ]
    return HEAD + "".join(lines) if lines else NONE


def meanings_in(page: str) -> dict[str, str]:
    """What a page says of each option."""
    found = TABLE.search(page)
    lines = found[0].splitlines()[2:] if found else []
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {each[0].strip("`"): each[5] for each in cells}


def renewed(page: str, kind: Kind) -> str:
    """The page with the table as it should be."""
    return TABLE.sub(lambda found: table(kind, meanings_in(found[0])), page)


def main() -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for name, kind in kinds(Path(folder)).items():
            path = PAGES / f"{name}.md"
            if path.exists():
                path.write_text(renewed(path.read_text(), kind))
            else:
                sys.stdout.write(f"{path}: is missing; its options:\n\n{table(kind, {})}\n")


if __name__ == "__main__":
    main()
