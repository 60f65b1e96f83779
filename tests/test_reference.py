"""The pages of the binding types say what the models do, and their examples run.

``docs/bindings/`` has a page for each type that a plugin of edgefn claims; ``python -m tests.reference`` renews tables.
"""

from __future__ import annotations

import inspect
import json
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import edgefn
from edgefn.cli.commands import commands
from edgefn.function import Function
from edgefn.loader import load_app
from tests.reference import HEAD, NONE, PAGES, kinds, meanings_in, renewed, rows
from tests.test_docs import matches, steps

Folder = Callable[[Mapping[str, str]], Path]

TYPES = sorted(path.stem for path in PAGES.glob("*.md") if path.stem != "README")
SECTIONS = ["Options", "Parameter", "Errors", "Metrics and status", "Example"]
FILES = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BINDINGS = re.compile(r"^```json bindings\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console (?:run|replay)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WRONG = re.compile(r"^\| `(\{.*?\})` \| (.*) \|$", re.MULTILINE)
METRIC = re.compile(r"`(edgefn_\w+)`")
SOURCE = Path(edgefn.__file__).parent


def page_of(name: str) -> str:
    return (PAGES / f"{name}.md").read_text()


def test_each_binding_type_of_edgefn_has_its_page_and_is_in_the_index(tmp_path: Path) -> None:
    assert sorted(kinds(tmp_path)) == TYPES
    index = (PAGES / "README.md").read_text()
    assert [name for name in TYPES if f"[`{name}`]({name}.md)" not in index] == []


@pytest.mark.parametrize("name", TYPES)
def test_the_table_of_options_is_that_of_the_model_and_says_what_each_means(tmp_path: Path, name: str) -> None:
    kind, page = kinds(tmp_path)[name], page_of(name)
    assert renewed(page, kind) == page, "python -m tests.reference renews it"
    assert (HEAD if list(rows(kind)) else NONE) in page
    assert [option for option, meaning in meanings_in(page).items() if not meaning] == []


@pytest.mark.parametrize("name", TYPES)
def test_a_page_has_its_sections_and_names_metrics_that_there_are(name: str) -> None:
    page = page_of(name)
    assert page.startswith(f"# `{name}`\n")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == SECTIONS
    code = "\n".join(path.read_text() for path in SOURCE.rglob("*.py"))
    assert [metric for metric in METRIC.findall(page) if f'"{metric.removesuffix("_total")}"' not in code] == []


@pytest.mark.parametrize("name", TYPES)
def test_the_decorator_takes_each_option_by_its_name_in_python(tmp_path: Path, name: str) -> None:
    named = re.search(r"^Decorator: `(\w+)\(", page_of(name), re.MULTILINE)
    assert named
    if not named[1].startswith("generic"):
        taken = inspect.signature(getattr(edgefn.FunctionApp, named[1])).parameters
        options = {python for _, python, *_ in rows(kinds(tmp_path)[name])}
        assert options - taken.keys() <= ({"web_hook_type"} if name == "httpTrigger" else set())


@pytest.mark.parametrize("name", TYPES)
def test_the_example_runs_and_is_the_same_in_json(folder: Folder, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    page = page_of(name)
    in_json = declared_in_json(folder, page, "in_json", {})
    root = folder(dict(FILES.findall(page)))
    (function,) = load_app(root, environment={}, given={}).functions
    assert function.errors == []
    assert {each.name: (each.type, each.direction, each.options) for each in function.bindings} == {
        each.name: (each.type, each.direction, each.options) for each in in_json.bindings
    }
    monkeypatch.chdir(root)
    for command, shown in steps("".join(CONSOLE.findall(page))):
        ended = CliRunner().invoke(commands, shlex.split(command)[1:], catch_exceptions=False)
        assert ended.exit_code == 0, ended.output
        assert matches(ended.stdout, shown), f"$ {command}\n{ended.stdout}\nis not\n{shown}"


def declared_in_json(folder: Folder, page: str, name: str, changes: Mapping[str, Mapping[str, Any]]) -> Function:
    """The function of a page as its function.json declares it, with some options changed, by type."""
    bindings = [{**each, **changes.get(each["type"], {})} for each in json.loads(BINDINGS.findall(page)[0])]
    parameters = ", ".join(each["name"] for each in bindings if each["name"] != "$return")
    root = folder(
        {
            **{file: text for file, text in FILES.findall(page) if not file.startswith("functions/")},
            f"{name}/function.json": json.dumps({"bindings": bindings}),
            f"{name}/__init__.py": f"def main({parameters}): ...",
        }
    )
    (function,) = load_app(root, environment={}, given={}).functions
    return function


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [(name, options, text) for name in TYPES for options, text in WRONG.findall(page_of(name))],
)
def test_a_wrong_option_gets_the_error_that_the_page_shows(folder: Folder, name: str, options: str, text: str) -> None:
    function = declared_in_json(folder, page_of(name), "wrong", {name: json.loads(options)})
    errors = [error.partition("function.json:")[2].partition(": ")[2] for error in function.errors]
    assert any(matches(f"{error}\n", text) for error in errors), f"{errors}\nare not\n{text}"


def test_each_page_shows_errors() -> None:
    assert [name for name in TYPES if not WRONG.findall(page_of(name))] == []
