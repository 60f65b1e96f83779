"""From an app folder to checked functions: what is taken, and what is said of everything that is wrong."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefn.contracts import EdgeMessage, Event, Outcome
from edgefn.errors import SettingError
from edgefn.function import Direction, Function, RetryPolicy, RetryStrategy
from edgefn.hookspecs import hookimpl
from edgefn.host import Host
from edgefn.loader import App, load_app
from tests.conftest import AppIn
from tests.ticks import PLUGIN

HEAD = "import edgefn, azure.functions as func\nfrom typing import *\napp = edgefn.FunctionApp()\n"
TRIGGER = "@app.edge_hub_trigger('m', 'i')\n"
OUT = "@app.edge_hub_output('out', 'o')\n"
LINE = HEAD.count("\n") + 1
"""The line after HEAD."""


def module(code: str) -> dict[str, str]:
    return {"functions/f.py": HEAD + code}


def errors_of(app: App, name: str = "f") -> list[str]:
    return next(function.errors for function in app.functions if function.name == name)


def v1(bindings: list[Any] | str = "", **more: Any) -> str:
    trigger = {"name": "m", "type": "edgeHubTrigger", "direction": "in", "inputName": "i"}
    return json.dumps({"bindings": [trigger] if bindings == "" else bindings, **more}, indent=1)


DECO = """
import functools
def deco(g):
    @functools.wraps(g)
    def w(*a, **k): return g(*a, **k)
    return w
"""
KEYS = st.sampled_from(
    ["name", "type", "direction", "dataType", "inputName", "bindings", "scriptFile", "entryPoint", "disabled", "retry"]
)


class Watch:
    """A plugin that keeps how invocations ended."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    @hookimpl
    def edgefn_invocation_ended(self, function: Function, event: Event, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


async def invoked(app: App, *bodies: bytes, **properties: Any) -> tuple[list[Outcome], list[Any]]:
    """How the app's functions ended for messages to input ``i``, and the bodies that were sent."""
    watch, host = Watch(), Host(app)
    app.manager.register(watch)
    await host.start()
    for body in bodies:
        await app.services.spool.inbox.on_input(EdgeMessage(body, input_name="i", **properties))
        await app.services.spool.inbox.idle()
    await host.stop()
    lines = (app.services.state / "upstream.jsonl").read_text().splitlines()
    return watch.outcomes, [json.loads(line)["body"] for line in lines]


# --- what is taken -----------------------------------------------------------------------------------------------


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


# --- what is wrong with a function -------------------------------------------------------------------------------

SIGNATURES = {
    "def f(): ...": "Extra parameters in binding definition - the following parameters are declared as bindings but "
    "are not present in Python: {'m'}",
    "def f(m, x): ...": "the following parameters are declared in Python but not in the function definition "
    "(function.json or function decorators):  {'x'}",
    "def f(m, **kw): ...": "(function.json or function decorators):  {'kw'}",
    "def f(m, *args): ...": "(function.json or function decorators):  {'args'}",
    "def f(m, /): ...": "parameter 'm' is positional-only; remove the / from its signature",
    "def f(m, context: str): ...": 'the "context" parameter is expected to be of type azure.functions.Context',
    "def f(m, ctx: func.Context): ...": "{'ctx'}",
    "def f(m: 'Nope'): ...": "NameError: name 'Nope' is not defined",
    "def f(m: func.Out[str]): ...": 'binding m is declared to have the "in" direction in the binding decorator, but '
    "its annotation is azure.functions.Out in Python",
    "def f(m): yield 1": "it is a generator",
    "async def f(m): yield 1": "it is a generator",
}


@pytest.mark.parametrize("code", SIGNATURES)
def test_a_signature_that_does_not_fit_is_refused_in_the_words_of_azures_worker(app_of: AppIn, code: str) -> None:
    (error,) = errors_of(app_of(module(TRIGGER + code)))
    assert re.match(rf"functions/f\.py:({LINE}|{LINE + 1}): cannot load the f function: ", error)
    assert SIGNATURES[code] in error


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ("func.Out", "binding out has invalid Out annotation"),
        (
            "str",
            'binding out is declared to have the "out" direction in the binding decorator, but its annotation is not',
        ),
    ],
)
def test_an_output_parameter_is_an_out_of_something(app_of: AppIn, annotation: str, reason: str) -> None:
    (error,) = errors_of(app_of(module(f"{TRIGGER}{OUT}def f(m, out: {annotation}): ...")))
    assert error.startswith(f"functions/f.py:{LINE + 1}: cannot load the f function: {reason}")


def test_a_returned_type_is_no_out(app_of: AppIn) -> None:
    code = f"{TRIGGER}@app.edge_hub_output('$return', 'o')\ndef f(m) -> func.Out[str]: ..."
    (error,) = errors_of(app_of(module(code)))
    assert "return annotation should not be azure.functions.Out" in error


@pytest.mark.parametrize("name", ["host", "HOST", "1st", "a b", "é", "a" * 129, ""])
def test_a_name_that_is_none_is_refused_for_that_function_alone(app_of: AppIn, name: str) -> None:
    app = app_of(module(f"@app.function_name({name!r})\n{TRIGGER}def f(m): ...\n{TRIGGER}def g(m): ..."))
    assert "is no name of a function" in errors_of(app, name)[0]
    assert errors_of(app, "g") == []
    assert [b.name for f in app.functions for b in f.bindings] == ["m", "m"]


def test_the_second_function_of_a_name_is_in_error_and_names_the_first(app_of: AppIn) -> None:
    app = app_of(module(f"{TRIGGER}def f(m): ...\n{TRIGGER}def F(m): ...\n{TRIGGER}def f(m, n=1): ..."))
    assert [(f.name, bool(f.errors)) for f in app.functions] == [("f", False), ("F", True)]
    assert f"functions/f.py:{LINE + 1} has it already" in errors_of(app, "F")[0]
    assert [error.split(":")[1] for error in app.errors] == [str(LINE + 5)]


@pytest.mark.parametrize(
    ("decorators", "line", "reason"),
    [
        (OUT, 1, "Function f does not have a trigger. A valid function must have one and only one trigger registered."),
        (TRIGGER + "@app.edge_hub_output('m', 'o')\n", 2, "Multiple bindings with name 'm' discovered."),
        ("@app.generic_trigger('m', type='moon')\n", 0, "The binding type(s) 'moon' are not registered."),
        ("@app.edge_hub_trigger('m__n', 'i')\n", 0, "'m__n' is no name of a binding"),
        (
            "@app.edge_hub_trigger('m', 'i',\n max_concurency=2)\n",
            1,
            "unknown option 'max_concurency' of edgeHubTrigger;",
        ),
        ("@app.edge_hub_trigger('m', 'i',\n max_concurrency='x')\n", 1, "option 'max_concurrency' of edgeHubTrigger: "),
        (
            "@app.edge_hub_trigger('m',\n input_name='%NONE%')\n",
            1,
            "option 'input_name' of edgeHubTrigger: '%NONE%' does",
        ),
        (
            "@app.edge_hub_trigger('m',\n input_name={1, 2})\n",
            1,
            "option 'input_name' of edgeHubTrigger is no JSON value",
        ),
        (
            "@app.edge_hub_trigger('m',\n input_name=float('nan'))\n",
            1,
            "option 'input_name' of edgeHubTrigger is no JSON",
        ),
        ("@app.edge_hub_trigger('m', 'i', **{'max-age': 1})\n", 0, "an option of edgeHubTrigger can not be written: "),
        (TRIGGER + "@app.edge_hub_output('out', 'o', interval='soon')\n", 1, "option 'interval' of edgeHub: "),
    ],
)
def test_what_is_wrong_with_a_binding_names_file_line_and_option(
    app_of: AppIn, decorators: str, line: int, reason: str
) -> None:
    parameters = (
        "out" if decorators == OUT else "m, out" if "'out'" in decorators else "m__n" if "m__n" in decorators else "m"
    )
    app = app_of(module(f"{decorators}def f({parameters}): ...\n@app.edge_hub_trigger('m', 'i')\ndef g(m): ..."))
    assert any(error.startswith(f"functions/f.py:{LINE + line}: ") and reason in error for error in errors_of(app))
    assert errors_of(app, "g") == []
    assert app.errors == []


def test_a_binding_that_is_no_json_is_told_once(app_of: AppIn) -> None:
    errors = errors_of(app_of(module("@app.edge_hub_trigger('m', object())\ndef f(m): ...")))
    assert [error.split("; ")[0] for error in errors] == [
        f"functions/f.py:{LINE}: option 'input_name' of edgeHubTrigger is no JSON value, found a object"
    ]


def test_all_wrong_options_of_a_function_are_told_with_the_known_ones(app_of: AppIn) -> None:
    code = "@app.edge_hub_trigger('m', 'i', maxx=1, max_batch_size=0)\n@app.edge_hub_output('out', outputt='o')\n"
    errors = "\n".join(errors_of(app_of(module(f"{code}def f(m, out): ..."))))
    for reason in (
        "unknown option 'maxx'",
        "option 'max_batch_size' of edgeHubTrigger: Input should be greater",
        "outputt",
    ):
        assert reason in errors
    assert "known options: input_name, cardinality, max_batch_size, max_concurrency" in errors


def test_a_value_from_a_setting_names_the_setting(app_of: AppIn) -> None:
    code = "@app.edge_hub_trigger('m', 'i', max_concurrency='%COUNT%')\ndef f(m): ..."
    (error,) = errors_of(app_of(module(code), COUNT="many"))
    assert error.endswith("found 'many' (from %COUNT%)")


def test_a_plugin_that_fails_while_it_checks_costs_that_function_alone(app_of: AppIn) -> None:
    broken = PLUGIN.replace("def check(self, binding): ...", "def check(self, binding): return binding.nothing", 1)
    code = "@app.generic_trigger('m', type='ticksTrigger')\ndef f(m): ...\n" + TRIGGER + "def g(m): ..."
    app = app_of({"functions/ticks.py": broken, **module(code)})
    assert "its plugin failed: AttributeError" in errors_of(app)[0]
    assert errors_of(app, "g") == []


# --- what is wrong with a module ---------------------------------------------------------------------------------


def test_a_function_of_a_module_that_fails_later_does_not_run(app_of: AppIn) -> None:
    files = {
        "functions/a.py": f"{HEAD}{TRIGGER}def f(m): ...",
        "functions/b.py": f"from functions.a import app\n{TRIGGER}def g(m): ...\n1 / 0",
    }
    app = app_of(files)
    assert app.errors == ["functions/b.py:4: ZeroDivisionError: division by zero"]
    assert (errors_of(app, "f"), errors_of(app, "g")[0].split(": ")[1]) == ([], "its module can not be loaded")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("x = 1", "function_app.py: Could not find top level function app instances in function_app.py."),
        (
            "import azure.functions as func\na, b = func.FunctionApp(), func.FunctionApp()",
            "function_app.py: More than one FunctionApp or other top level function app instances are def",
        ),
    ],
)
def test_a_function_app_holds_one_app(app_of: AppIn, code: str, reason: str) -> None:
    assert [error.startswith(reason) for error in app_of({"function_app.py": code}).errors] == [True]


def test_a_blueprint_that_a_function_app_does_not_register_is_told(app_of: AppIn) -> None:
    code = f"{HEAD}bp = edgefn.Blueprint()\n@bp.edge_hub_trigger('m', 'i')\ndef f(m): ..."
    app = app_of({"function_app.py": code})
    assert app.functions == []
    assert app.warnings == [
        "function_app.py: functions of blueprint 'bp' are not loaded; register it: app.register_functions(bp)"
    ]


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        ("def edgefn_triggers(services): return 1 / 0", "functions/bad.py:3: ZeroDivisionError: division by zero"),
        ("def edgefn_triggers(services): return [None]", "functions/bad.py: AttributeError: "),
        ("def edgefn_triggers(wrong): return []", "functions/bad.py: PluginValidationError: "),
        ("def edgefn_trigers(services): return []", "functions/bad.py: PluginValidationError: "),
        ("def edgefn_hub(root): raise OSError('no hub')", "functions/bad.py:3: OSError: no hub"),
    ],
)
def test_a_module_whose_hooks_fail_is_in_error_and_all_others_run(app_of: AppIn, hook: str, reason: str) -> None:
    files = {"functions/bad.py": f"import edgefn\n@edgefn.hookimpl\n{hook}", "functions/ticks.py": PLUGIN}
    app = app_of({**files, **module("@app.generic_trigger('m', type='ticksTrigger')\ndef f(m): ...")})
    assert [error.startswith(reason) for error in app.errors] == [True]
    assert errors_of(app) == []


# --- function.json -----------------------------------------------------------------------------------------------


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


def test_an_unknown_key_of_a_function_json_is_a_warning(app_of: AppIn) -> None:
    app = app_of({"F/function.json": v1(entrypoint="x"), "F/run.py": "def main(m): ..."})
    assert app.warnings == ["F/function.json: unknown key 'entrypoint' is ignored; did you mean 'entryPoint'?"]


# --- beside the bindings -----------------------------------------------------------------------------------------

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


# --- values, return values, converters of users ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data_type", "annotation", "seen"),
    [("", "", "'5'"), ("", ": bytes", "b'5'"), ("", ": int", "5"), ("binary", "", "b'5'"), ("BINARY", ": str", "'5'")],
)
async def test_the_value_has_the_annotated_type_and_else_that_of_data_type(
    app_of: AppIn, data_type: str, annotation: str, seen: str
) -> None:
    trigger = f"@app.edge_hub_trigger('m', 'i', data_type={data_type or None!r})\n"
    (outcome,), _ = await invoked(app_of(module(f"{trigger}def f(m{annotation}): return repr(m)")), b"5")
    assert outcome.value == seen


CONVERTER = """
from azure.functions import meta
class Reading:
    def __init__(self, text, about): self.text, self.about = text, about
class Converter(meta.InConverter, meta.OutConverter, binding="edgeHub", trigger="edgeHubTrigger"):
    @classmethod
    def check_input_type_annotation(cls, t): return issubclass(t, (Reading, dict))
    @classmethod
    def check_output_type_annotation(cls, t): return issubclass(t, Reading)
    @classmethod
    def decode(cls, data, *, trigger_metadata):
        return Reading(data.value, {k: v.python_value for k, v in trigger_metadata.items()})
    @classmethod
    def encode(cls, obj, *, expected_type):
        if not isinstance(obj, Reading): raise NotImplementedError
        return meta.Datum(obj.text, "string") if obj.text else None
"""


async def invoked_with_converter(app_of: AppIn, code: str, converter: str = CONVERTER) -> tuple[Outcome, list[Any]]:
    (outcome,), sent = await invoked(app_of(module(converter + code)), b"hi", properties={"a": "b"}, message_id="7")
    return outcome, sent


async def test_a_users_converter_makes_the_value_and_the_message(app_of: AppIn) -> None:
    body = "def f(m: Reading, out: func.Out[Reading]):\n    out.set(Reading(m.text * 2, {}))\n    m.about and out.get()"
    outcome, sent = await invoked_with_converter(app_of, f"{TRIGGER}{OUT}{body}")
    assert (outcome.error, sent) == (None, ["hihi"])


async def test_a_users_converter_gets_what_is_known_of_the_message(app_of: AppIn) -> None:
    body = f"{TRIGGER}{OUT}def f(m, out: func.Out[str]): out.set(str(m.about))"
    _, (about,) = await invoked_with_converter(app_of, body)
    for known in ("'Properties': {'a': 'b'}", "'MessageId': '7'", "'InputName': 'i'", "'message-id': '7'"):
        assert known in about


@pytest.mark.parametrize(
    ("annotation", "seen"), [(": str", "str 'hi'"), (": bytes", "bytes b'hi'"), ("", "Reading"), (": dict", "Reading")]
)
async def test_text_and_bytes_pass_a_users_converter_by(app_of: AppIn, annotation: str, seen: str) -> None:
    body = (
        f"def f(m{annotation}, out: func.Out[str]): out.set(type(m).__name__ + ('' if 'R' in repr(m) else f' {{m!r}}'))"
    )
    _, sent = await invoked_with_converter(app_of, f"{TRIGGER}{OUT}{body}")
    assert sent == [seen]


async def test_what_a_users_converter_makes_nothing_of_is_not_sent(app_of: AppIn) -> None:
    body = "def f(m, out: func.Out[Reading]): out.set(Reading('', {}))"
    outcome, sent = await invoked_with_converter(app_of, f"{TRIGGER}{OUT}{body}")
    assert (outcome.ok, sent) == (True, [])


async def test_what_a_users_converter_does_not_take_fails_the_invocation(app_of: AppIn) -> None:
    outcome, _ = await invoked_with_converter(app_of, f"{TRIGGER}{OUT}def f(m, out: func.Out[Reading]): out.set(3)")
    assert 'unable to encode outgoing TypedData: unsupported type "edgeHub" for Python type "int"' in str(outcome.error)


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        ("m: int, out", "binding type \"edgeHubTrigger\" of 'm' does not match its Python type annotation int"),
        ("m, out: func.Out[dict]", "binding type \"edgeHub\" of 'out' does not match its Python type annotation dict"),
        ("m: List[int], out", "the converter of edgeHubTrigger failed on typing.List[int]: TypeError: issubclass()"),
    ],
)
def test_a_type_that_a_users_converter_does_not_take_is_refused(app_of: AppIn, signature: str, reason: str) -> None:
    (error,) = errors_of(app_of(module(f"{CONVERTER}{TRIGGER}{OUT}def f({signature}): ...")))
    assert reason in error
    assert error.startswith("functions/f.py:")


async def test_several_messages_reach_a_users_converter_at_once(app_of: AppIn) -> None:
    decode = "Reading(data.type + str(data.value.string), {k: v.python_value for k, v in trigger_metadata.items()})"
    converter = re.sub(r"return Reading\(data.value.*\)", f"return {decode}", CONVERTER)
    trigger = "@app.edge_hub_trigger('m', 'i', cardinality='many')\n"
    body = "def f(m, out: func.Out[str]): out.set(m.text + str(m.about['MessageIdArray']))"
    _, sent = await invoked_with_converter(app_of, f"{trigger}{OUT}{body}", converter)
    assert sent == ["collection_string['hi']['7']"]


@pytest.mark.parametrize(
    ("converter", "output", "ok"), [("", "", True), (CONVERTER, "", False), (CONVERTER, "generic", True)]
)
async def test_a_value_that_nothing_takes_is_let_go_where_a_binding_is_generic(
    app_of: AppIn, converter: str, output: str, ok: bool
) -> None:
    out = "@app.generic_output_binding('out', type='keep')\n" if output else ""
    code = f"{TRIGGER}{out}def f(m{', out' if out else ''}): return 'x'"
    app = app_of({"functions/ticks.py": PLUGIN, **module(converter + code)})
    (outcome,), _ = await invoked(app, b"hi")
    assert outcome.ok is ok
    if not ok:
        assert "function 'f' without a $return binding returned a non-None value" in str(outcome.error)


def test_an_app_can_be_loaded_again_and_again(app_of: AppIn) -> None:
    code = f"{CONVERTER}{TRIGGER}def f(m: Reading): ..."
    assert [errors_of(app_of(module(code))) for _ in range(3)] == [[], [], []]


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


def test_loading_needs_no_event_loop_and_starts_nothing(app_of: AppIn) -> None:
    app = app_of(module(f"{TRIGGER}def f(m): ..."))
    assert not app.services.state.exists()
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
