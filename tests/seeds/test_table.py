"""Every row of the four seeds has a test in this folder that has its name, and a line in docs/seeds.md."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

FOLDER = Path(__file__).parent
GUIDE = FOLDER.parents[1] / "docs" / "seeds.md"
COUNTS = {"S0": 10, "S1": 10, "S2": 11, "S3": 7, "SA": 5}
ROWS = [f"{seed}.{number}" for seed, count in COUNTS.items() for number in range(1, count + 1)]


def of_each_row() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for path in FOLDER.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
                match := re.match(r"test_(s[0-3a])_(\d+)_", node.name)
            ):
                found[f"{match[1].upper()}.{match[2]}"].add(node.name)
    return found


def lines() -> dict[str, tuple[list[str], str]]:
    """The rows of the table: the tests that each names, and what was seen."""
    rows = re.findall(r"^\| (S[0-3A]\.\d+) \| (.+?) \| (.+?) \|$", GUIDE.read_text("utf-8"), re.MULTILINE)
    return {row: (re.findall(r"`(\w+)`", tests), seen) for row, tests, seen in rows}


def test_every_row_has_a_test_of_its_name_and_no_test_names_another_row() -> None:
    found = of_each_row()
    assert set(found) == set(ROWS)


def test_every_row_is_in_the_table_in_order_with_what_was_seen() -> None:
    table = lines()
    assert list(table) == ROWS
    assert [row for row, (tests, seen) in table.items() if not tests or len(seen) < 20] == []


def test_every_test_that_the_table_names_is_there_and_is_one_of_its_row() -> None:
    found = of_each_row()
    assert {row: wrong for row, (tests, _) in lines().items() if (wrong := set(tests) - found[row])} == {}
