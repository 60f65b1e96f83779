"""Settings as parameters: texts of the environment in the type of the annotation, and what the twin makes of them."""

from __future__ import annotations

import datetime
import enum
import json
from typing import Any, Literal, Optional

import pytest
from typing_extensions import TypedDict

from edgefn.bindings.setting import text_converter
from tests.conftest import AppIn
from tests.steered import HEAD, QUICK, steered


class Colour(enum.Enum):
    RED = "rot"
    BLUE = 2


class Zone(TypedDict):
    x: int


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (float, "0.96", 0.96),
        (float, " 1e-3 ", 0.001),
        (int, "5", 5),
        (int, "-5", -5),
        (int, "5.0", 5),
        (str, " as it is ", " as it is "),
        (None, "0.96", "0.96"),
        (Any, "x", "x"),
        (bytes, "x", b"x"),
        (Literal["on", "off"], "ON", "on"),
        (Literal[1, 2], "2", 2),
        (Colour, "ROT", Colour.RED),
        (Colour, "blue", Colour.BLUE),
        (Colour, "2", Colour.BLUE),
        (list, "a, b,", ["a", "b"]),
        (list[int], "1,2", [1, 2]),
        (list[int], "[1, 2]", [1, 2]),
        (list[int], "", []),
        (set[str], "a,b", {"a", "b"}),
        (dict, '{"a": 1}', {"a": 1}),
        (dict[str, float], '{"a": 1}', {"a": 1.0}),
        (Zone, '{"x": "1"}', {"x": 1}),
        (datetime.timedelta, "00:00:05", datetime.timedelta(seconds=5)),
        (Optional[int], "5", 5),  # noqa: UP045  both spellings
        (int | None, "none", None),
        (int | None, "", None),
        (float | str, "0.5", 0.5),
        (str | None, "none", "none"),
    ],
)
def test_a_text_becomes_the_annotated_type(annotation: Any, text: str, value: Any) -> None:
    found = text_converter(annotation)(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("written", [write(word) for word in "true yes on 1 y t".split() for write in (str.title, str)])
def test_every_spelling_of_true_is_read(written: str) -> None:
    assert text_converter(bool)(f" {written} ") is True


@pytest.mark.parametrize("written", "false False NO off 0 n F".split())
def test_every_spelling_of_false_is_read(written: str) -> None:
    assert text_converter(bool)(written) is False


@pytest.mark.parametrize(
    ("annotation", "text", "said"),
    [
        (float, "abc", "valid number"),
        (float, "nan", "should be a finite number, found 'nan'"),
        (float, "inf", "finite"),
        (float, "", "valid number"),
        (int, "5.5", "valid integer"),
        (bool, "perhaps", "valid boolean"),
        (Literal["on", "off"], "up", "should be one of on, off, found 'up'"),
        (Colour, "green", "should be one of RED, BLUE, rot, 2, found 'green'"),
        (list[int], "1,x", "1: Input should be a valid integer"),
        (dict, "[1]", "should be an object"),
        (dict, "{", "Invalid JSON"),
        (int | None, "x", "valid integer"),
    ],
)
def test_a_text_that_does_not_fit_is_refused(annotation: Any, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        text_converter(annotation)(text)


# --- as a binding ------------------------------------------------------------------------------------------------


def code(parameter: str, more: str = "") -> str:
    return (
        f"@app.direct_method_trigger('p', 'read')\n@app.setting('limit', 'LIMIT'{more})\n"
        f"def f(p, {parameter}): return repr(limit)\n"
    )


def app_with(app_of: AppIn, parameter: str, more: str = "", **settings: str) -> Any:
    return app_of({"host.json": QUICK, "functions/f.py": HEAD + code(parameter, more)}, **settings)


@pytest.mark.parametrize(
    ("parameter", "more", "settings", "seen"),
    [
        ("limit: float", "", {"LIMIT": "0.96"}, "0.96"),
        ("limit: float", "", {"limit": "0.96"}, "0.96"),
        ("limit: float", ", default=1", {}, "1.0"),
        ("limit: float", ", default='0.5'", {}, "0.5"),
        ("limit", ", default=0.5", {"LIMIT": "0.96"}, "0.96"),
        ("limit", ", default=True", {"LIMIT": "no"}, "False"),
        ("limit", ", default=[1]", {"LIMIT": "2,3"}, "['2', '3']"),
        ("limit", "", {"LIMIT": "0.96"}, "'0.96'"),
        ("limit: int | None", "", {}, "None"),
        ("limit: int | None", ", default=3", {}, "3"),
        ("limit: float", ", default='%OTHER%'", {"OTHER": "7"}, "7.0"),
    ],
)
async def test_a_function_has_the_setting_in_its_type(
    app_of: AppIn, parameter: str, more: str, settings: dict[str, str], seen: str
) -> None:
    async with steered(app_with(app_of, parameter, more, **settings)) as site:
        assert await site.call("read") == (200, seen)


@pytest.mark.parametrize(
    ("parameter", "more", "settings", "said"),
    [
        ("limit: float", "", {"LIMIT": "much"}, "LIMIT should be float: Input should be a valid number"),
        ("limit: float", ", default='much'", {"LIMIT": "1"}, "the default of LIMIT should be float: Input should"),
        ("limit: float", "", {"LIMITS": "1"}, "LIMIT is not set, and there is no default; set it in the environment"),
        ("limit: object()", "", {"LIMIT": "1"}, "a setting can not become <object object"),
        ("limit: type(asyncio)", "", {"LIMIT": "1"}, "a setting can not become module; str, int, float"),
    ],
)
def test_what_can_not_be_used_is_an_error_at_load(
    app_of: AppIn, parameter: str, more: str, settings: dict[str, str], said: str
) -> None:
    (function,) = app_with(app_of, parameter, more, **settings).functions
    (error,) = function.errors
    assert error.startswith("functions/f.py:6: setting 'limit' of function 'f': ")
    assert said in error


def test_a_missing_setting_names_the_one_that_is_most_like_it(app_of: AppIn) -> None:
    (function,) = app_with(app_of, "limit: float", LIMITS="1").functions
    assert function.errors[0].endswith("or with --set LIMIT=...; did you mean 'LIMITS'?")


async def test_function_json_declares_the_same(app_of: AppIn) -> None:
    binding = {"type": "setting", "direction": "in", "name": "limit", "settingName": "LIMIT", "default": 0.5}
    trigger = {"type": "directMethodTrigger", "direction": "in", "name": "p", "methodName": "read"}
    files = {
        "host.json": QUICK,
        "f/function.json": json.dumps({"bindings": [trigger, binding]}),
        "f/__init__.py": "def main(p, limit): return repr(limit)",
    }
    async with steered(app_of(files, LIMIT="0.96")) as site:
        assert await site.call("read") == (200, "0.96")


# --- and the twin ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "value", "seen"),
    [
        ("limit: float", 0.97, "0.97"),
        ("limit: float", "0.97", "0.97"),
        ("limit: int", 3, "3"),
        ("limit: bool", True, "True"),
        ("limit: bool", "off", "False"),
        ("limit: str", 0.97, "'0.97'"),
        ("limit: dict", {"a": {"b": 1}}, "{'a': {'b': 1}}"),
        ("limit: list", [1, 2], "[1, 2]"),
    ],
)
async def test_a_desired_property_is_there_for_the_next_event(
    app_of: AppIn, parameter: str, value: Any, seen: str
) -> None:
    fitting = {"limit: dict": "{}", "limit: list": "[]"}
    async with steered(app_with(app_of, parameter, LIMIT=fitting.get(parameter, "1"))) as site:
        before = (await site.call("read"))[1]
        assert (await site.desire({"settings": {"LIMIT": value}}))["status"] == "applied"
        assert (await site.call("read"))[1] == seen
        assert site.function("f")["inputs"] == {"limit": {"setting": "LIMIT", "from": "twin"}}
        await site.desire({"settings": {"LIMIT": None}})
        assert (await site.call("read"))[1] == before


async def test_a_desired_property_matches_in_any_case_and_may_replace_a_default(app_of: AppIn) -> None:
    async with steered(app_with(app_of, "limit: int", ", default=1")) as site:
        await site.desire({"settings": {"limit": 2}})
        assert await site.call("read") == (200, "2")


async def test_a_bad_value_changes_nothing_and_is_reported_as_refused(app_of: AppIn) -> None:
    async with steered(app_with(app_of, "limit: float", LIMIT="0.5")) as site:
        answer = await site.desire({"settings": {"LIMIT": "much"}})
        assert answer["status"] == "refused"
        assert answer["reason"] == (
            "functions/f.py:6: setting 'limit' of function 'f': LIMIT of the twin should be float: "
            "Input should be a valid number, unable to parse string as a number, found 'much'"
        )
        assert await site.call("read") == (200, "0.5")


async def test_a_function_without_its_setting_runs_as_soon_as_the_twin_gives_it(app_of: AppIn) -> None:
    async with steered(app_with(app_of, "limit: float")) as site:
        assert site.function("f")["state"] == "error"
        await site.desire({"settings": {"LIMIT": 3}})
        assert (site.function("f")["state"], await site.call("read")) == ("running", (200, "3.0"))
