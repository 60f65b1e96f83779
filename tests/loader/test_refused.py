"""From an app folder to checked functions: what is said of everything that is wrong."""

from __future__ import annotations

import re

import pytest

from tests.conftest import AppIn
from tests.loader.apps import HEAD, LINE, OUT, TRIGGER, errors_of, module
from tests.ticks import PLUGIN

# --- what is wrong with a function ------------------------------------------------------------------------------------

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


# --- what is wrong with a module --------------------------------------------------------------------------------------


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
