"""From an app folder to checked functions: what is taken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from edgefn.errors import SettingError
from edgefn.function import Direction, RetryPolicy, RetryStrategy
from edgefn.loader import load_app
from tests.conftest import AppIn
from tests.loader.apps import DECO, HEAD, LINE, OUT, TRIGGER, errors_of, invoked, module, v1

# --- what is taken ----------------------------------------------------------------------------------------------------


def test_a_function_has_its_call_trigger_bindings_and_place(app_of: AppIn) -> None:
    (f,) = app_of(module(f"{OUT}{TRIGGER}async def f(m: dict, out: func.Out[dict], context): ...")).functions
    assert f.trigger is not None
    assert (f.name, f.errors, f.is_async, f.wants_context) == ("f", [], True, True)
    assert [(b.name, b.type, b.direction) for b in f.bindings] == [
        ("m", "edgeHubTrigger", Direction.IN), ("out", "edgeHub", Direction.OUT),
    ]  # fmt: skip
    assert [b.annotation for b in f.bindings] == [dict, dict]
    assert str(f.place) == f"functions/f.py:{LINE + 2}"


@pytest.mark.parametrize("written", ["edgehubtrigger", "EdgeHubTrigger", "EDGEHUBTRIGGER"])
def test_the_case_of_a_binding_type_does_not_matter(app_of: AppIn, written: str) -> None:
    (f,) = app_of(module(f"@app.generic_trigger('m', type='{written}', input_name='i')\ndef f(m): ...")).functions
    assert f.errors == []
    assert f.trigger is not None
    assert (f.trigger.type, f.trigger.json()["type"]) == ("edgeHubTrigger", written)


def test_several_apps_and_blueprints_of_a_module_are_all_loaded(app_of: AppIn) -> None:
    code = f"{TRIGGER}def f(m): ...\nother, bp = func.FunctionApp(), edgefn.Blueprint()\n"
    for name, on in (("g", "other"), ("h", "bp")):
        code += f"@{on}.generic_trigger('m', type='edgeHubTrigger', input_name='i')\ndef {name}(m): ...\n"
    app = app_of(module(code + "alias = app\napp.register_functions(bp)"))
    assert [f.name for f in app.functions] == ["f", "g", "h"]
    assert app.errors == []


def test_an_app_without_a_variable_is_told(app_of: AppIn) -> None:
    code = "import edgefn\n@edgefn.FunctionApp().edge_hub_trigger('m', 'i')\ndef f(m): ...\n"
    app = app_of({"functions/f.py": code, "functions/notes.py": "# as in app = edgefn.FunctionApp()\n"})
    assert app.functions == []
    assert app.warnings == [
        "functions/f.py: its FunctionApp is in no variable of the module, so its functions do not run; "
        "right would be: app = edgefn.FunctionApp()"
    ]


def test_an_app_that_is_imported_into_other_modules_counts_once(app_of: AppIn) -> None:
    files = {
        "functions/a.py": f"{HEAD}bp = edgefn.Blueprint()\n@bp.edge_hub_trigger('m', 'i')\ndef f(m): ...",
        "functions/b.py": f"from functions.a import app, bp\napp.register_functions(bp)\n{TRIGGER}def g(m): ...",
    }
    app = app_of(files)
    assert [(f.name, str(f.place), f.errors) for f in app.functions] == [
        ("f", "functions/a.py:6", []), ("g", "functions/b.py:4", []),
    ]  # fmt: skip


def test_values_of_a_module_that_can_not_be_asked_what_they_are_do_no_harm(app_of: AppIn) -> None:
    proxy = "class P:\n    @property\n    def __class__(self): raise RuntimeError('unbound')\np = P()\n"
    assert errors_of(app_of(module(f"{TRIGGER}def f(m): ...\n{proxy}"))) == []


@pytest.mark.parametrize(
    "code",
    [
        "def f(m, n=3, *, o=4): ...",
        "def f(*, m): ...",
        "def f(m: 'Optional[dict]'): ...",
        "def f(m: list[str] | None): ...",
        "def f(m, context: func.Context = None): ...",
        "def f(m) -> 'Optional[dict]': ...",
        DECO,
    ],
)
def test_what_azure_functions_refuses_and_edgefn_takes(app_of: AppIn, code: str) -> None:
    before, decorated = (code, "@deco\ndef f(m): ...") if "deco" in code else ("", code)
    app = app_of({"functions/f.py": f"from __future__ import annotations\n{HEAD}{before}{TRIGGER}{decorated}"})
    assert errors_of(app) == []


async def test_a_plain_decorator_around_an_async_function_is_awaited(app_of: AppIn) -> None:
    app = app_of(module(f"{DECO}{TRIGGER}@deco\nasync def f(m: str): return 'w' + m"))
    (outcome,), _ = await invoked(app, b"x")
    assert outcome.value == "wx"


def test_only_the_functions_that_are_asked_for_are_loaded(folder: Callable[[Mapping[str, str]], Path]) -> None:
    root = folder(module(f"{TRIGGER}def f(m): ...\n{TRIGGER}def G(m): ..."))
    app = load_app(root, environment={}, only=("g", "GG"))
    assert [f.name for f in app.functions] == ["G"]
    assert app.errors == ["no function 'GG' to run; did you mean 'G'?; functions: f, G"]


# --- beside the bindings ----------------------------------------------------------------------------------------------

FIXED = RetryPolicy(RetryStrategy.FIXED_DELAY, 3, delay_interval=5.0)
BACKOFF = RetryPolicy(RetryStrategy.EXPONENTIAL_BACKOFF, -1, minimum_interval=1.0, maximum_interval=60.0)


@pytest.mark.parametrize(
    ("retry", "policy"),
    [
        ("strategy='fixed_delay', max_retry_count=3, delay_interval='00:00:05'", FIXED),
        ("strategy='fixedDelay', max_retry_count='3', delay_interval='00:00:05'", FIXED),
        (
            "strategy='exponential_backoff', max_retry_count=-1, minimum_interval='00:00:01', maximum_interval='00:01'",
            None,
        ),
        ("'exponentialBackoff', '-1', minimum_interval='00:00:01', maximum_interval='00:01:00'", BACKOFF),
    ],
)
def test_a_retry_policy_is_recorded_in_both_spellings(app_of: AppIn, retry: str, policy: RetryPolicy | None) -> None:
    (f,) = app_of(module(f"{TRIGGER}@app.retry({retry})\ndef f(m): ...")).functions
    assert f.retry == policy
    assert bool(f.errors) is (policy is None)


@pytest.mark.parametrize(
    ("retry", "reason"),
    [
        (
            {"strategy": "sometimes", "maxRetryCount": 1},
            "there is no strategy 'sometimes'; strategies: fixedDelay, exp",
        ),
        ({"strategy": "fixedDelay", "maxRetryCount": 1}, "Value cannot be null. (Parameter 'DelayInterval')"),
        ({"strategy": "fixedDelay", "delayInterval": "00:00:01"}, "Value cannot be null. (Parameter 'MaxRetryCount')"),
        (
            {"strategy": "exponentialBackoff", "maxRetryCount": 1, "minimumInterval": "00:00:01"},
            "Value cannot be null. (Parameter 'MaximumInterval')",
        ),
        (
            {
                "strategy": "exponentialBackoff",
                "maxRetryCount": 1,
                "minimumInterval": "1:0:0",
                "maximumInterval": "0:1:0",
            },
            "minimumInterval should not exceed maximumInterval; found 1:0:0 and 0:1:0",
        ),
        ({"strategy": "fixedDelay", "maxRetryCount": -2, "delayInterval": 1}, "maxRetryCount should be a whole number"),
        (
            {"strategy": "fixedDelay", "maxRetryCount": 1.5, "delayInterval": 1},
            "maxRetryCount should be a whole number",
        ),
        ({"strategy": "fixedDelay", "maxRetryCount": 1, "delayInterval": "soon"}, "delayInterval should be HH:MM:SS"),
        ({"strategy": "fixedDelay", "maxRetryCount": 1, "delay": "1"}, "unknown option 'delay' of retry"),
        ({}, "there is no strategy None"),
    ],
)
def test_a_retry_policy_that_is_none_is_refused(app_of: AppIn, retry: dict[str, Any], reason: str) -> None:
    app = app_of({"F/function.json": v1(retry=retry), "F/run.py": "def main(m): ..."})
    (error,) = errors_of(app, "F")
    assert error.startswith("F/function.json: function 'F': ")
    assert reason in error


def test_the_policy_of_host_json_is_that_of_functions_without_one(app_of: AppIn) -> None:
    retry = {"strategy": "fixedDelay", "maxRetryCount": 3, "delayInterval": "00:00:05"}
    host = json.dumps({"version": "2.0", "retry": retry})
    own = "@app.retry('exponential_backoff', -1, minimum_interval='0:0:1', maximum_interval='0:1:0')\n"
    app = app_of({"host.json": host, **module(f"{TRIGGER}def f(m): ...\n{TRIGGER}{own}def g(m): ...")})
    assert [f.retry for f in app.functions] == [FIXED, BACKOFF]
    with pytest.raises(SettingError, match=r"host.json:1: retry: there is no strategy"):
        app_of({"host.json": host.replace("fixedDelay", "never")})


@pytest.mark.parametrize(
    ("declared", "settings", "disabled"),
    [
        (True, {}, True),
        (False, {}, False),
        ("OFF", {"OFF": "1"}, True),
        ("%OFF%", {"OFF": "TRUE"}, True),
        ("OFF", {"OFF": "0"}, False),
        ("OFF", {}, False),
        (None, {"AzureWebJobs.F.Disabled": "true"}, True),
        (None, {"AzureWebJobs_f_Disabled": "1"}, True),
        (None, {"AzureWebJobs_F_Disabled": "no"}, False),
        (None, {"AzureWebJobs.G.Disabled": "true"}, False),
    ],
)
def test_a_function_is_switched_off_by_its_json_or_by_a_setting(
    app_of: AppIn, declared: Any, settings: dict[str, str], disabled: bool
) -> None:
    app = app_of({"F/function.json": v1(disabled=declared), "F/run.py": "def main(m): ..."}, **settings)
    assert [(f.disabled, f.errors) for f in app.functions] == [(disabled, [])]


def test_loading_needs_no_event_loop_and_starts_nothing(app_of: AppIn) -> None:
    app = app_of(module(f"{TRIGGER}def f(m): ..."))
    assert not app.services.state.exists()
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
