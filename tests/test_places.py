"""Where things are declared: the lines of decorators, of their options, and of values in JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.places import _key_lines, camel, in_json, in_python, json_lines, shown, snake, without_comments
from tests.conftest import AppIn

DECORATED = """\
import azure.functions as func
app = func.FunctionApp()
NAME = "m"

@app.generic_output_binding("out", type="edgeHub",
                            output_name="o",
                            interval="fast")
@app.generic_trigger(arg_name="m",
                     type="edgeHubTrigger", input_name="i")
def f(m, out): ...

@app.generic_trigger(arg_name=NAME, type="edgeHubTrigger", input_name="i")
async def g(m): ...
"""


def declared_places(app_of: AppIn, code: str) -> dict[str, Any]:
    app = app_of({"functions/f.py": code})
    return {f.name: in_python(f.call, app.root, app.root / "functions/f.py") for f in app.functions if f.call}


def test_a_function_its_bindings_and_their_options_have_their_lines(app_of: AppIn) -> None:
    places = declared_places(app_of, DECORATED)["f"]
    assert str(places.place) == "functions/f.py:10"
    assert [str(places.binding(name)) for name in ("m", "out")] == ["functions/f.py:8", "functions/f.py:5"]
    assert [str(places.option("out", name)) for name in ("outputName", "interval")] == [
        "functions/f.py:6",
        "functions/f.py:7",
    ]


def test_what_is_not_written_out_has_the_line_of_what_holds_it(app_of: AppIn) -> None:
    places = declared_places(app_of, DECORATED)
    assert str(places["g"].binding("m")) == "functions/f.py:13"
    assert str(places["f"].option("m", "cardinality")) == "functions/f.py:8"


@pytest.mark.parametrize("start", ["\ufeff", "# -*- coding: latin-1 -*-\n# é\n"])
def test_a_file_is_read_in_its_own_encoding(app_of: AppIn, folder: Any, start: str) -> None:
    root = folder({"functions/f.py": ""})
    encoding = "latin-1" if "latin" in start else "utf-8"
    (root / "functions" / "f.py").write_bytes((start + DECORATED).encode(encoding))
    places = declared_places_of(root)
    assert str(places["f"].option("out", "interval")) == f"functions/f.py:{7 + start.count(chr(10))}"


def declared_places_of(root: Path) -> dict[str, Any]:
    from edgefn.loader import load_app

    app = load_app(root, environment={})
    return {f.name: in_python(f.call, root, root / "functions/f.py") for f in app.functions if f.call}


def test_a_function_that_the_library_made_has_the_place_of_the_users_module(app_of: AppIn) -> None:
    code = "import azure.functions as func\nasync def site(scope, receive, send): ...\napp = func.AsgiFunctionApp(site)"
    (function,) = app_of({"function_app.py": code}).functions
    assert str(function.place) == "function_app.py"


def test_the_bindings_of_a_function_json_have_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "F" / "function.json"
    path.parent.mkdir()
    text = '{ // "name": "m"\n "bindings": [\n  {"type": "edgeHubTrigger",\n   "name": "m",\n   "inputName": "i"},\n'
    text += '  {"name": "o"}]}'
    path.write_text(text)
    places = in_json(path, tmp_path, json.loads(without_comments(text)))
    assert str(places.binding("m")) == "F/function.json:4"
    assert str(places.option("m", "inputName")) == "F/function.json:5"
    assert str(places.binding("o")) == "F/function.json:6"


def test_a_file_that_is_no_json_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"a": \xff')
    assert json_lines(tmp_path / "a.json") == {}
    assert json_lines(tmp_path / "none.json") == {}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


def paths_in(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    items = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    keyed = {(*path, key) for key, inner in items if isinstance(value, dict) or isinstance(inner, dict | list)}
    return keyed.union(*(paths_in(inner, (*path, key)) for key, inner in items)) if items else set()


@given(VALUES)
def test_every_key_of_a_json_text_has_the_line_on_which_it_stands(value: Any) -> None:
    text = json.dumps(value, indent=1)
    lines = dict(_key_lines(text))
    assert lines.keys() == paths_in(value)
    keys = {path: line for path, line in lines.items() if isinstance(path[-1], str)}
    assert all(text.splitlines()[line - 1].strip().startswith(json.dumps(path[-1])) for path, line in keys.items())


@given(st.lists(st.sampled_from(['"a//b"', '"/*"', "// c\n", "/* d\n e */", "{", "}", "\n", ",", '"\\""'])))
def test_without_its_comments_a_text_keeps_its_lines_and_columns(parts: list[str]) -> None:
    text = "".join(parts)
    bare = without_comments(text)
    assert [len(line) for line in bare.split("\n")] == [len(line) for line in text.split("\n")]
    assert bare.count("// c") == 0


@given(st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), min_size=1, max_size=4))
def test_names_of_options_go_from_snake_case_to_camel_case_and_back(words: list[str]) -> None:
    assert snake(camel("_".join(words))) == "_".join(words)


def test_a_path_outside_of_the_app_is_shown_whole(tmp_path: Path) -> None:
    assert shown(tmp_path / "a" / "b.py", tmp_path) == "a/b.py"
    assert shown(Path("/elsewhere/b.py"), tmp_path) == "/elsewhere/b.py"
