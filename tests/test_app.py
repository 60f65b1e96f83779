"""FunctionApp and Blueprint: a decorator for every binding type, equal to the generic ones."""

from __future__ import annotations

import inspect
import itertools
import json
from collections.abc import Callable
from typing import Any

import azure.functions as func
import pytest
from pydantic.alias_generators import to_camel

import edgefn
from edgefn.app import EdgeDecorators
from edgefn.function import Options
from edgefn.loader import App
from edgefn.places import camel
from tests.conftest import AppIn

BESIDE = {"self", "arg_name", "other"}
NOT_BINDINGS = {"function_timeout"}
RENAMED = {"setting": {"name": "setting_name"}}
"""Parameters whose option has another name in JSON, where ``name`` is the parameter of the function."""
OWN = [name for name in vars(EdgeDecorators) if name[0] != "_" and name not in NOT_BINDINGS]


def recorded(decorate: Callable[[Any], Any]) -> list[dict[str, Any]]:
    """The JSON objects of a function with that decoration."""
    app = edgefn.FunctionApp()

    def f(x: Any) -> None: ...

    decorate(app)(f)
    return [json.loads(text) for text in app._function_builders[0]._function.get_raw_bindings()]


def parameters(name: str) -> list[str]:
    return [p for p in inspect.signature(getattr(EdgeDecorators, name)).parameters if p not in BESIDE]


def written(name: str, option: str) -> str:
    """A parameter of a decorator as the option that it is."""
    return RENAMED.get(name, {}).get(option, option)


def example(name: str) -> dict[str, Any]:
    """A value for each option of a decorator, another one each."""
    return {option: f"{number}" for number, option in enumerate(parameters(name))}


def type_of(name: str) -> str:
    (binding,) = recorded(lambda app: getattr(app, name)(arg_name="x", **example(name)))
    return str(binding["type"])


@pytest.fixture
def app(app_of: AppIn) -> App:
    return app_of({"functions/nothing.py": ""})


def options_of(name: str, app: App) -> set[str]:
    """The options that the plugin of the decorator's type knows; for a session those of the default kind too."""
    kind = next(kind for kind in app.kinds.all() if kind.type == type_of(name))
    known = set(kind.options.names())
    kinds = app.services.session_kinds
    return known | set(kinds["openvino"].options.names()) if "kind" in known else known


def test_each_public_name_and_each_of_its_members_says_what_it_promises() -> None:
    ours = [
        value for name in edgefn.__all__ if getattr(value := getattr(edgefn, name), "__module__", "")[:6] == "edgefn"
    ]
    members = [
        member
        for value in ours
        for name, member in vars(value).items()
        if name[0] != "_" and (callable(member) or isinstance(member, property))
    ]
    assert [each for each in (*ours, *members) if not (each.__doc__ or "").strip()] == []
    assert len(ours) >= 15


@pytest.mark.parametrize("name", OWN)
def test_a_decorator_has_precisely_the_options_of_its_plugin(name: str, app: App) -> None:
    assert {to_camel(written(name, option)) for option in parameters(name)} == options_of(name, app)


@pytest.mark.parametrize("name", OWN)
def test_a_decorator_records_the_json_that_its_generic_form_records(name: str) -> None:
    options = example(name)
    (own,) = recorded(lambda app: getattr(app, name)(arg_name="x", **options))
    forms = {("IN", True): "generic_trigger", ("IN", False): "generic_input_binding"}
    generic = forms.get((own["direction"], own["type"].endswith("Trigger")), "generic_output_binding")
    same = {written(name, option): value for option, value in options.items()}
    assert recorded(lambda app: getattr(app, generic)(arg_name="x", type=own["type"], **same)) == [own]
    assert own.keys() - {"direction", "type", "name"} == {camel(option) for option in same}


@pytest.mark.parametrize("name", OWN)
def test_options_may_be_given_by_place_up_to_the_star(name: str) -> None:
    given = [
        p for p in inspect.signature(getattr(EdgeDecorators, name)).parameters.values()
        if p.kind is p.POSITIONAL_OR_KEYWORD and p.name not in BESIDE
    ]  # fmt: skip
    values = {p.name: f"{n}" for n, p in enumerate(given)}
    by_name = recorded(lambda app: getattr(app, name)(arg_name="x", **values))
    assert recorded(lambda app: getattr(app, name)("x", *values.values())) == by_name


def test_every_binding_type_that_is_built_in_and_not_azures_has_a_decorator(app: App) -> None:
    types = {kind.type for kind in app.kinds.all()}
    azures = {kind for kind in types if func.get_binding_registry().get(kind)}
    assert types - azures == {type_of(name) for name in OWN}


def test_what_is_none_is_left_to_its_default_and_a_tuple_becomes_a_list() -> None:
    (binding,) = recorded(lambda app: app.inference_session("x", "m.xml", mean=(1, 2, 3), device=None))
    assert binding == {
        "direction": "IN", "type": "inferenceSession", "name": "x", "model": "m.xml", "mean": [1, 2, 3],
    }  # fmt: skip


def test_an_option_that_a_decorator_does_not_know_is_recorded_for_the_plugin_to_refuse() -> None:
    (binding,) = recorded(lambda app: app.edge_hub_trigger("x", "i", max_fsp=3, data_type=func.DataType.BINARY))
    assert (binding["maxFsp"], binding["dataType"]) == (3, "BINARY")


STACK = (
    "@app.edge_hub_trigger('m', 'i')",
    "@app.edge_hub_output('out', 'o')",
    "@app.function_timeout('00:00:07')",
    "@app.function_name('named')",
    "@app.retry(strategy='fixed_delay', max_retry_count='2', delay_interval='00:00:01')",
)


@pytest.mark.parametrize("order", [*itertools.permutations(range(5))][::7])
def test_decorators_may_be_stacked_in_any_order(app_of: AppIn, order: tuple[int, ...]) -> None:
    stack = "\n".join(STACK[index] for index in order)
    (function,) = app_of(
        {"functions/f.py": f"import edgefn\napp = edgefn.FunctionApp()\n{stack}\ndef f(m, out): ..."}
    ).functions
    assert (function.errors, function.name, function.timeout) == ([], "named", 7.0)
    assert function.retry is not None
    assert [b.name for b in function.bindings] == [("m", "out")[index] for index in reversed(order) if index < 2]


@pytest.mark.parametrize("kind", [edgefn.FunctionApp, edgefn.Blueprint])
def test_apps_and_blueprints_are_azures_own(kind: type) -> None:
    assert issubclass(kind, getattr(func, kind.__name__))
    assert {name for name in dir(kind) if name in OWN} == set(OWN)


def test_a_decorated_function_can_still_be_called() -> None:
    app = edgefn.FunctionApp()

    @app.edge_hub_trigger("m", "i")
    def double(m: int) -> int:
        return m * 2

    assert double(4) == 8


def test_a_model_of_options_names_them_as_json_does() -> None:
    class Some(Options):
        max_fps: int = 1

    assert Some.names() == ["maxFps"]
