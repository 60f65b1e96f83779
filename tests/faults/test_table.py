"""The table of this folder's README and the tests are the same thirty faults."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

FOLDER = Path(__file__).parent
ALL = list(range(1, 31))


def files_by_number() -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    for path in FOLDER.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
                match := re.match(r"test_fault_(\d\d)_", node.name)
            ):
                found[int(match[1])].add(path.name)
    return found


def rows() -> dict[int, str]:
    """The rows of the table by their number."""
    lines = (FOLDER / "README.md").read_text().splitlines()
    return {int(match[1]): line for line in lines if (match := re.match(r"\| (\d+) \|", line))}


def test_each_of_the_thirty_faults_has_its_test() -> None:
    assert sorted(files_by_number()) == ALL


def test_each_of_the_thirty_faults_is_in_the_table_with_its_test() -> None:
    found = rows()
    assert list(found) == ALL
    for number, files in files_by_number().items():
        assert {name for name in files if f"`{name}`" not in found[number]} == set()


def test_files_that_the_table_names_are_there() -> None:
    text = (FOLDER / "README.md").read_text()
    named = set(re.findall(r"`((?:test_)?\w+\.py)`", text)) | {
        f"{m}.py" for m in re.findall(r"tests\.faults\.(\w+)", text)
    }
    assert {name for name in named if not (FOLDER / name).is_file()} == set()
