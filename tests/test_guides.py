"""The examples of the guides run as they are written, on the sample."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from edgefn.loader import load_app
from tests.end_to_end.conftest import play_app

ROOT = Path(__file__).parents[1]
EXAMPLES = re.findall(r"```python app\n(import edgefn\n.*?)```", (ROOT / "docs" / "gates.md").read_text(), re.DOTALL)
SETTINGS = json.loads((ROOT / "local.settings.json").read_text())["Values"]


def name_of(example: str) -> str:
    return re.findall(r"def (\w+)\(", example)[0]


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_an_example_of_the_guide_to_gates_runs(example: str, folder: Callable[[Mapping[str, str]], Path]) -> None:
    files = {name: str(ROOT / path) if path.startswith("sample/") else path for name, path in SETTINGS.items()}
    app = load_app(folder({"functions/example.py": example}), environment={}, given=files)
    (function,) = asyncio.run(play_app(app)).functions.values()
    assert (function["errors"], function["state"], function["failed"]) == ([], "ended", 0)
    figures = function["outputs"].values()
    assert all(0 < output["published"] < function["invocations"] for output in figures)


def test_there_are_examples() -> None:
    assert [name_of(example) for example in EXAMPLES] == ["passages", "light", "people", "watch"]
