"""Whether the file is JSON as Azure's tools read it: no comments, no comma before a closing bracket."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from edgefn.deploy.check.findings import Finding, Level
from edgefn.places import COMMENTS, without_comments
from edgefn.settings import TRAILING_COMMAS

TEMPLATE = re.compile(r"\.template\b|template\.json$", re.IGNORECASE)


def is_template(path: Path) -> bool:
    """Whether a tool makes a manifest of it, which takes comments out and writes create options as text."""
    return TEMPLATE.search(path.name) is not None


def syntax_findings(path: Path) -> Iterator[Finding]:
    """Each place, by line and column, that keeps a strict reader from reading it; nothing where there is no file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        json.loads(text)
        return
    except json.JSONDecodeError:
        pass
    except (OSError, ValueError, RecursionError):
        return
    if not is_template(path):
        comments = [match for match in COMMENTS.finditer(text) if match[1] is None]
        for match in comments[:1]:
            more = f", and {len(comments) - 1} more" if len(comments) > 1 else ""
            yield _at(path, text, match.start(), f"a comment{more}; JSON has none, so Azure's tools refuse it")
    plain = without_comments(text)
    for match in TRAILING_COMMAS.finditer(plain):
        if match[1] is None:
            close = next(letter for letter in plain[match.end() :] if not letter.isspace())
            yield _at(path, text, match.start(), f'a comma before "{close}"; take it out, or add what should follow')


def _at(path: Path, text: str, position: int, said: str) -> Finding:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return Finding(Level.ERROR, f"{path}:{line}:{column}: no valid JSON: {said}")
