"""Functions that function.json declares."""

from __future__ import annotations

import json

# --- what is taken ----------------------------------------------------------------------------------------------------
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefn.loader import load_app
from tests.conftest import AppIn
from tests.loader.apps import KEYS, errors_of, v1


def test_a_function_json_gives_what_decorators_give(app_of: AppIn) -> None:
    text = "// made by hand\n" + v1().replace('"i"\n', '"%IN%", // the input\n')
    (f,) = app_of({"F/function.json": text, "F/__init__.py": "async def main(m: dict): ..."}, IN="input1").functions
    assert (f.name, f.errors, f.is_async) == ("F", [], True)
    assert f.trigger is not None
    assert f.trigger.options.input_name == "input1"  # type: ignore[attr-defined]
    assert str(f.trigger.place) == "F/function.json:5"


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        ("{", "", "F/function.json:1: no valid JSON"),
        ("[]", "", "F/function.json: should hold one JSON object"),
        ("{}", "def main(): ...", "F/function.json: At least one binding must be declared."),
        ('{"bindings": {}}', "def main(): ...", "F/function.json: At least one binding must be declared."),
        ('{"bindings": {"a": 1}}', "def main(): ...", "F/function.json: bindings should be a list of objects"),
        ('{"bindings": [\n3]}', "def main(): ...", "F/function.json: a binding should be an object"),
        (
            '{"bindings": [\n{"type": "x"}]}',
            "def main(): ...",
            "F/function.json:2: a binding should be an object with name",
        ),
        (
            v1(),
            "def mian(m): ...",
            "F/function.json: cannot load the F function: function main() is not present in F/__init__",
        ),
        (v1(), "main = 3", "F/function.json: cannot load the F function: function main() is not present"),
        (
            v1(entryPoint="run"),
            "def runs(m): ...",
            "run() is not present in F/__init__.py; did you mean 'runs'?; it has runs",
        ),
        (v1(), "1 / 0", "F/__init__.py:1: ZeroDivisionError"),
        (v1(), "def main(): ...", "are declared in function.json but not in Python: {'m'}"),
        (v1(), "def main(m, x): ...", "are declared in Python but not in function.json: {'x'}"),
        (v1().replace('"in"', '"inout"'), "def main(m): ...", '"inout" bindings are not supported'),
        (
            v1().replace('"in"', '"sideways"'),
            "def main(m): ...",
            "F/function.json:6: direction should be 'in' or 'out'",
        ),
        (
            v1().replace("inputName", "input"),
            "def main(m): ...",
            "F/function.json:7: unknown option 'input' of edgeHubTrigger",
        ),
        (v1(retry=3), "def main(m): ...", "F/function.json: retry should be an object"),
        (v1().replace('"in"', '"in", "dataType": "text"'), "def main(m): ...", "dataType should be one of"),
    ],
)
def test_what_is_wrong_with_a_function_json_names_file_and_line(
    app_of: AppIn, text: str, code: str, reason: str
) -> None:
    app = app_of(
        {"F/function.json": text, "F/__init__.py": code, "G/function.json": v1(), "G/run.py": "def main(m): ..."}
    )
    assert any(reason in error for error in errors_of(app, "F"))
    assert errors_of(app, "G") == []
    assert app.errors == []


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_function_json_that_can_not_be_read_is_one_mistake(app_of: AppIn, text: str) -> None:
    assert len(errors_of(app_of({"F/function.json": text, "F/__init__.py": "def main(): ..."}), "F")) == 1


def test_an_unknown_key_of_a_function_json_is_a_warning(app_of: AppIn) -> None:
    app = app_of({"F/function.json": v1(entrypoint="x"), "F/run.py": "def main(m): ..."})
    assert app.warnings == ["F/function.json: unknown key 'entrypoint' is ignored; did you mean 'entryPoint'?"]


TEXTS = st.sampled_from(["in", "out", "edgeHubTrigger", "edgeHub", "m", "%X%", ""])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(document=st.dictionaries(KEYS, JSON, max_size=5), bindings=st.lists(st.dictionaries(KEYS, JSON), max_size=3))
def test_whatever_a_function_json_holds_the_app_is_loaded(document: dict[str, Any], bindings: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "F").mkdir()
        (root / "F" / "run.py").write_text("def main(m): ...")
        (root / "F" / "function.json").write_text(json.dumps({"bindings": bindings, **document}))
        app = load_app(root, environment={})
    assert [(f.name, bool(f.errors) or f.trigger is not None) for f in app.functions] == [("F", True)]
    assert all(error.startswith("F/") for error in errors_of(app, "F"))
