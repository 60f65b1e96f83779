"""``logging.logLevel``: which lines are written, by category, by host.json, the twin and the command line."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgefn import log_levels
from edgefn.errors import SettingError
from edgefn.host import Host
from edgefn.log_levels import LEVELS, PARTS, Levels, LineLevels, level_named, read_levels
from edgefn.logs import CURRENT, Invocation, logging_to
from edgefn.settings import load_host_config
from tests.conftest import AppIn
from tests.steered import HEAD, QUICK, steered

DEBUG, INFO, WARNING, ERROR, NONE = (LEVELS[name] for name in ("Debug", "Information", "Warning", "Error", "None"))


def rules(declared: Any) -> Levels:
    return read_levels(declared, lambda path: ".".join(("logLevel", *path)))


# --- which rule counts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "category", "level"),
    [
        ({}, "Function.f", INFO),
        ({"default": "Warning"}, "Function.f", WARNING),
        ({"DEFAULT": "wArNiNg"}, "Host", WARNING),
        ({"default": "None", "Function.f": "Information"}, "Function.f", INFO),
        ({"Function": "Error", "default": "Debug"}, "Function.f.User", ERROR),
        ({"Function": "Error", "Function.f": "Debug"}, "Function.f.User", DEBUG),
        ({"Function.f": "Error", "Function.f.User": "Debug"}, "Function.f", ERROR),
        ({"Function.*.User": "Error"}, "Function.f.User", ERROR),
        ({"Function.*.User": "Error"}, "Function.f", INFO),
        ({"Host.Results": "Error", "Host.Aggregator": "Trace"}, "Host", INFO),
        ({"Function": {"default": "Error", "f": {"User": "Debug"}}}, "Function.f.User", DEBUG),
        ({"Function": {"default": "Error", "f": {"User": "Debug"}}}, "Function.f", ERROR),
    ],
)
def test_the_longest_rule_that_a_category_begins_with_counts(declared: Any, category: str, level: int) -> None:
    assert rules(declared).of(category) == level


def test_a_part_of_the_host_is_levelled_by_its_name_else_as_the_host() -> None:
    levels = rules({"Host": "Error", "edgefn.spool": "Debug", "default": "None"})
    assert [levels.of(f"edgefn.{part}", "Host") for part in ("spool", "hub")] == [DEBUG, ERROR]


def test_every_logger_of_the_host_is_one_of_its_parts() -> None:
    package = Path(log_levels.__file__).parent
    found = {
        name
        for path in package.rglob("*.py")
        if "standin" not in path.parts
        for name in re.findall(r'getLogger\("edgefn\.(\w+)', path.read_text())
    }
    assert found | {"sessions"} == {*PARTS, "upstream", "standin"}


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (
            {"default": "loud"},
            "logLevel.default should be one of Trace, Debug, Information, Warning, Error, Critical, N",
        ),
        ({"Function.f": "warn"}, "found 'warn'; did you mean 'Warning'?"),
        ({"default": None}, "Critical, None; found None"),
        ({"default": 3}, "Critical, None; found 3"),
        ({"Functoin.f": "Debug"}, "unknown category 'Functoin.f'; did you mean 'Function'?; known categories: default"),
        ({"edgefn.spol": "Debug"}, "the host has no part 'spol'; did you mean 'spool'?; known parts: files, host, hub"),
        ([], "logLevel should be an object of categories and levels, found []"),
    ],
)
def test_what_is_no_level_or_category_is_refused_with_those_that_there_are(declared: Any, said: str) -> None:
    with pytest.raises(SettingError, match=re.escape(said)):
        rules(declared)


def test_host_json_tells_the_line_and_the_environment_is_laid_over_it(tmp_path: Path) -> None:
    path = tmp_path / "host.json"
    path.write_text('{"version": "2.0",\n"logging": {"fileLoggingMode": "always", "loglevel":\n{"default": "Error"}}}')
    assert load_host_config(tmp_path, {}).levels.of("Host") == ERROR
    given = {"AzureFunctionsJobHost__Logging__LogLevel__Default": "Debug"}
    assert load_host_config(tmp_path, given).levels.of("Host") == DEBUG
    path.write_text(path.read_text().replace("Error", "Eror"))
    with pytest.raises(SettingError, match=r"host\.json:3: logging\.loglevel\.default should be one of"):
        load_host_config(tmp_path, {})


def test_parts_of_logging_that_nobody_knows_are_warned_of(tmp_path: Path) -> None:
    parts = '{"applicationInsights": {}, "console": {"isEnabled": true},\n"logLevels": {"default": "None"}}'
    (tmp_path / "host.json").write_text(f'{{"version": "2.0", "logging": {parts}}}')
    (warning,) = load_host_config(tmp_path, {}).warnings
    assert warning.endswith("host.json:2: unknown part 'logging.logLevels' is ignored; did you mean 'logLevel'?")


# --- which lines are written -------------------------------------------------------------------------------------


@contextmanager
def lines(declared: Any, **asked: int) -> Iterator[list[str]]:
    """What the loggers write meanwhile, at the end."""
    stream, written = io.StringIO(), list[str]()
    with logging_to(stream) as handler, closing(LineLevels(**asked)) as levels:
        handler.addFilter(levels)
        levels.apply(rules(declared), ("f", "g"))
        yield written
    written += [line.partition("] ")[2] for line in stream.getvalue().splitlines()]


def say_all() -> None:
    """A line of each kind at each level: of the host, of a function by the host, of user code in two functions."""
    for level in (DEBUG, INFO, ERROR):
        logging.getLogger("edgefn.spool").log(level, "spool")
        logging.getLogger("edgefn.hub").log(level, "hub")
        logging.getLogger("Function.f").log(level, "of f")
        for name in ("f", "g"):
            token = CURRENT.set(Invocation("1", name))
            logging.getLogger("mine").log(level, "user")
            CURRENT.reset(token)


def said(declared: Any, **asked: int) -> list[str]:
    with lines(declared, **asked) as written:
        say_all()
    return sorted(written)


ERRORS = ["ERROR f(1) user", "ERROR g(1) user", "ERROR hub", "ERROR of f", "ERROR spool"]
USUAL = [*ERRORS, "f(1) user", "g(1) user", "hub", "of f", "spool"]


@pytest.mark.parametrize(
    ("declared", "more", "less"),
    [
        ({}, [], []),
        ({"default": "None"}, [], USUAL),
        ({"default": "Error"}, [], ["f(1) user", "g(1) user", "hub", "of f", "spool"]),
        ({"Host": "Error", "edgefn.spool": "Debug"}, ["DEBUG spool"], ["hub"]),
        ({"Function": "Error", "Function.f": "Debug"}, ["DEBUG f(1) user", "DEBUG of f"], ["g(1) user"]),
        (
            {"Function.f.User": "None", "Function.g.User": "Debug"},
            ["DEBUG g(1) user"],
            ["f(1) user", "ERROR f(1) user"],
        ),
    ],
    ids=str,
)
def test_lines_are_written_by_the_rules(declared: Any, more: list[str], less: list[str]) -> None:
    assert said(declared) == sorted([*more, *(line for line in USUAL if line not in less)])


def test_the_command_line_wins() -> None:
    quiet = {"default": "None"}
    assert said(quiet, host=DEBUG) == sorted(
        [*(line for line in USUAL if "user" not in line), "DEBUG hub", "DEBUG of f", "DEBUG spool"]
    )
    assert said(quiet, user=INFO) == sorted(line for line in USUAL if "user" in line)
    assert said({"Function.f.User": "Trace"}, user=NONE) == sorted(line for line in USUAL if "user" not in line)


def test_levels_are_put_back_at_the_end() -> None:
    names = ("", "edgefn", "edgefn.spool", "Function", "Function.f", "azure", "uvicorn")
    before = [logging.getLogger(name).level for name in names]
    said({"default": "Error", "Function.f": "Debug", "edgefn.spool": "Trace"})
    assert [logging.getLogger(name).level for name in names] == before


def test_why_a_host_leaves_is_said_whatever_its_rules_were() -> None:
    stream = io.StringIO()
    with logging_to(stream) as handler:
        with closing(LineLevels()) as levels:
            handler.addFilter(levels)
            levels.apply(rules({"default": "None"}), ("f",))
            logging.getLogger("edgefn.host").error("unheard")
        logging.getLogger("edgefn.host").error("the port is taken")
    assert stream.getvalue().endswith("ERROR the port is taken\n")
    assert "unheard" not in stream.getvalue()


def test_a_level_that_the_app_sets_for_all_its_loggers_stays_where_no_rule_differs() -> None:
    with lines({}) as written:
        logging.getLogger().setLevel(ERROR)
        levels = LineLevels()
        levels.apply(Levels(), ("f",))
        logging.getLogger("mine").info("quiet")
        logging.getLogger("mine").error("loud")
    assert written == ["ERROR loud"]


@pytest.mark.parametrize(
    ("name", "level"), [("Information", INFO), ("info", INFO), ("warn", WARNING), ("NONE", NONE), ("debug", DEBUG)]
)
def test_the_command_line_takes_names_of_azure_and_of_python(name: str, level: int) -> None:
    assert level_named(name, "--user-log-level") == level


# --- in a host ---------------------------------------------------------------------------------------------------

CODE = """
@app.direct_method_trigger("payload", "fail")
async def fail(payload):
    raise ValueError("no")
"""


def app_files(levels: Mapping[str, Any]) -> dict[str, str]:
    host = {**json.loads(QUICK), "logging": {"logLevel": levels}}
    return {"host.json": json.dumps(host), "functions/f.py": HEAD + CODE}


def test_a_rule_for_a_function_that_is_not_there_is_a_warning(app_of: AppIn) -> None:
    app = app_of(app_files({"Function.fali": "Debug", "Function.Fail": "Debug", "Function.*.User": "Debug"}))
    (warning,) = (warning for warning in app.warnings if "logLevel" in warning)
    assert warning.endswith(
        "host.json:1: logging.logLevel.Function.fali: no function is called so; did you mean 'Function.fail'?; "
        "functions: fail"
    )


def levelled(host: Host) -> LineLevels:
    """The levels of the process, which the host sets from now on."""
    levels = LineLevels()
    host.level_lines = levels.apply
    return levels


async def test_the_twin_lies_over_host_json(app_of: AppIn) -> None:
    async with steered(app_of(app_files({"default": "Warning", "Function.fail": "Error"}))) as site:
        with closing(levelled(site.host)):
            site.host.operation.overlay.level()
            of_fail = logging.getLogger("Function.fail")
            assert (of_fail.level, logging.getLogger("edgefn").level) == (ERROR, WARNING)
            desired = {"logging": {"logLevel": {"Function": {"fail": "Debug"}}}}
            assert (await site.desire(desired))["status"] == "applied"
            assert (of_fail.level, logging.getLogger("edgefn").level) == (DEBUG, WARNING)
            wrong = {"logging": {"logLevel": {"Function": {"fail": "Loud", "fali": "Debug"}}, "console": {}}}
            answer = await site.desire(wrong)
            assert answer["status"] == "refused"
            assert "desired logging.logLevel.Function.fail should be one of Trace, Debug" in answer["reason"]
            assert "desired logging.console: there is nothing to be set but logLevel" in answer["reason"]
            assert (await site.desire({"logging": None}))["status"] == "applied"
            assert of_fail.level == ERROR
    assert of_fail.level == logging.NOTSET


async def test_a_function_of_level_none_says_not_even_that_it_failed(
    app_of: AppIn, caplog: pytest.LogCaptureFixture
) -> None:
    async with steered(app_of(app_files({"Function.fail": "None"}))) as site:
        with closing(levelled(site.host)):
            site.host.operation.overlay.level()
            caplog.clear()
            assert (await site.call("fail"))[0] == 500
            assert [record for record in caplog.records if record.name.startswith("Function")] == []
            await site.desire({"logging": {"logLevel": {"Function": {"fail": "Error"}}}})
            await site.call("fail")
            assert "ValueError: no" in caplog.text
