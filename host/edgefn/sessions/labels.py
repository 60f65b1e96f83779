"""Names of classes, from the forms of labels file that models come with."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgefn.errors import ModelError

NUMBERED = re.compile(r"^\s*(\d+)(?:\s*[:,]\s*|\s+)(\S.*?)\s*$")


class Labels:
    """The names of a model's classes: class ``index`` has the name number ``index + offset`` of the file.

    A model that counts its classes from a background class on, with a file that does not, has offset -1; the reverse
    has 1. A class without a name is called by its index.
    """

    def __init__(self, names: Mapping[int, str] | None = None, offset: int = 0) -> None:
        self._names = {number - offset: name for number, name in (names or {}).items()}
        self.nameless: Callable[[int], None] | None = None
        """Told of the first class that has no name here, where others have."""

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        """The name of the class with this index in the model's output."""
        name = self._names.get(index)
        if not name and self._names and self.nameless is not None:
            tell, self.nameless = self.nameless, None
            tell(index)
        return name or str(index)

    def missing(self, classes: int) -> int:
        """How many of a model's classes, counted from 0, have no name here."""
        return sum(index not in self._names for index in range(classes))


def read_labels(path: Path) -> dict[int, str]:
    """The numbered names of a labels file; lines and lists are numbered from 0. Raises ModelError.

    The file (UTF-8) holds one of: a name a line; ``index name`` a line (also ``index: name`` and ``index, name``);
    a JSON list of names; a JSON object, or the text of a Python dict, of names by index.
    """
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"labels file '{path}' can not be read ({error}); right would be text in UTF-8") from None
    if not text:
        raise ModelError(f"labels file '{path}' is empty; right would be a name a line, or JSON")
    return _from_value(path, _value(path, text)) if text[0] in "[{" else _from_lines(text.splitlines())


def _value(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise ModelError(f"labels file '{path}' begins like JSON and is not; right would be a list or object") from None


def _from_value(path: Path, value: Any) -> dict[int, str]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    try:
        items = {int(key): name for key, name in pairs}
    except (TypeError, ValueError):
        raise ModelError(f"labels file '{path}' has a key that is no index; right would be {{'0': 'name'}}") from None
    wrong = next((name for name in items.values() if not isinstance(name, str)), None)
    if wrong is not None:
        raise ModelError(f"labels file '{path}' holds {wrong!r}; right would be texts only")
    return items


def _from_lines(lines: list[str]) -> dict[int, str]:
    matches = [NUMBERED.match(line) for line in lines if line.strip()]
    numbered = {int(match[1]): match[2] for match in matches if match}
    if len(numbered) == len(matches):
        return numbered
    return {number: line.strip() for number, line in enumerate(lines)}
