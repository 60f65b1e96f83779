"""Routes from triggers and outputs, within an app and between apps."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.deploy.routing import OwnRoutes, Ports, routing, start_order
from edgefn.errors import SettingError
from edgefn.routes import ModuleInput, Routes, Sink, Upstream, parse_routes
from tests.deploy.apps import CAMERA, COUNTER, app_in, made, module, routes

CLOUD = "INTO $upstream"


def feed(module: str, name: str) -> str:
    return f'INTO BrokeredEndpoint("/modules/{module}/inputs/{name}")'


def ports(module: str, function: str, inputs: str = "", outputs: str = "") -> Ports:
    return Ports(module, function, tuple(inputs.split()), tuple(outputs.split()))


def test_each_output_goes_to_iot_hub_as_on_a_laptop() -> None:
    assert routing([ports("cam", "f", outputs="frames light")], {}).routes == {
        "camFramesToCloud": f"FROM /messages/modules/cam/outputs/frames {CLOUD}",
        "camLightToCloud": f"FROM /messages/modules/cam/outputs/light {CLOUD}",
    }


def test_messages_without_output_leave_by_the_module_itself() -> None:
    without = Ports("cam", "f", (), ("",))
    assert routing([without], {}).routes == {"camToCloud": f"FROM /messages/modules/cam/* {CLOUD}"}


def test_an_output_feeds_the_inputs_of_its_name_in_any_module() -> None:
    found = routing([ports("cam", "f", outputs="Frames"), ports("count", "g", inputs="frames", outputs="sums")], {})
    assert (
        found.routes["camFramesToCountFrames"] == f"FROM /messages/modules/cam/outputs/Frames {feed('count', 'frames')}"
    )
    assert set(found.routes) == {"camFramesToCountFrames", "camFramesToCloud", "countSumsToCloud"}


@pytest.mark.parametrize(
    "functions",
    [
        [ports("m", "f", inputs="x", outputs="x")],
        [ports("m", "f", inputs="x", outputs="y"), ports("m", "g", inputs="y", outputs="x")],
        [ports("a", "f", inputs="x", outputs="y"), ports("b", "g", inputs="y", outputs="x")],
    ],
)
def test_a_route_that_would_send_messages_round_is_left_out_and_said(functions: list[Ports]) -> None:
    found = routing(functions, {})
    assert len([route for route in found.routes.values() if "Brokered" in str(route)]) == len(functions) - 1
    assert "its messages would go round" in found.notes[0]


def test_routes_of_host_json_are_taken_over_with_the_name_of_the_module(tmp_path: Path) -> None:
    only = "WHERE $body.from = '/modules/laptop/'"
    declared = {
        "own": f"FROM /messages/modules/laptop/outputs/frames {only} {feed('laptop', 'in')}",
        "first": {"route": f"FROM /messages/modules/LAPTOP/* {CLOUD}", "priority": 0},
        "other": f"FROM /messages/modules/laptops/* {CLOUD}",
    }
    folder = app_in(tmp_path / "a", COUNTER, edgeHub={"moduleId": "laptop", "routes": declared})
    assert routes(made(module(folder, "counter")).document) == {
        "own": f"FROM /messages/modules/counter/outputs/frames {only} {feed('counter', 'in')}",
        "first": {"route": f"FROM /messages/modules/counter/* {CLOUD}", "priority": 0},
        "other": f"FROM /messages/modules/laptops/* {CLOUD}",
    }


def test_modules_feed_each_other_also_where_host_json_declares_routes(tmp_path: Path) -> None:
    own = {"sums": f"FROM /messages/modules/edgefn/outputs/counts {CLOUD}"}
    counter = app_in(tmp_path / "b", COUNTER, edgeHub={"routes": own})
    camera = app_in(tmp_path / "a", CAMERA, {"INPUT": "/dev/video2", "DEVICE": "CPU"}, edgeHub={"routes": own})
    found = routes(made(module(camera, "cam"), module(counter, "count")).document)
    assert found == {
        "sums": f"FROM /messages/modules/count/outputs/counts {CLOUD}",
        "camFramesToCountFrames": f"FROM /messages/modules/cam/outputs/frames {feed('count', 'frames')}",
    }


def test_no_routes_at_all_are_a_choice_too() -> None:
    assert routing([ports("cam", "f", outputs="frames")], {"cam": OwnRoutes("edgefn", {})}).routes == {}


def test_all_outputs_of_a_module_stay_its_own() -> None:
    other = Ports("other", "g", (), ("",))
    own = {"all": f"FROM /messages/modules/edgefn/* {CLOUD}"}
    found = routing([ports("cam", "f", outputs="frames"), other], {"cam": OwnRoutes("edgefn", own)})
    assert found.routes["all"] == f"FROM /messages/modules/cam/* {CLOUD}"


def test_a_route_that_is_declared_is_not_made_again() -> None:
    declared = {"mine": f"FROM /messages/modules/cam/outputs/frames WHERE a = 'b' {feed('count', 'frames')}"}
    both = [ports("cam", "f", outputs="frames"), ports("count", "g", inputs="frames")]
    assert routing(both, {"cam": OwnRoutes("cam", declared)}).routes == declared


def test_a_route_of_one_module_on_the_laptop_leads_from_one_module_to_another_on_the_box() -> None:
    own = {"toCount": f"FROM /messages/modules/edgefn/outputs/frames {feed('edgefn', 'in')}"}
    both = [ports("cam", "f", outputs="frames"), ports("count", "g", inputs="in", outputs="sums")]
    found = routing(both, {"count": OwnRoutes("edgefn", own), "cam": OwnRoutes("edgefn")})
    assert found.routes == {
        "toCount": f"FROM /messages/modules/cam/outputs/frames {feed('count', 'in')}",
        "camFramesToCloud": f"FROM /messages/modules/cam/outputs/frames {CLOUD}",
    }


def test_wrong_routes_of_host_json_are_said_with_their_place(tmp_path: Path) -> None:
    folder = app_in(tmp_path / "a", COUNTER, edgeHub={"routes": {"r": "FROM nowhere"}})
    with pytest.raises(SettingError, match=r'host\.json:1: extensions\.edgeHub\.routes: route "r"'):
        module(folder)


def test_what_is_fed_starts_before_what_feeds_it() -> None:
    chain = [ports("a", "f", outputs="x"), ports("b", "g", inputs="x", outputs="y"), ports("c", "h", inputs="y")]
    assert start_order(chain, routing(chain, {}).routes) == {"c": 1, "b": 2, "a": 3}


NAMES = st.sampled_from("abc")
FUNCTIONS = st.lists(
    st.builds(
        lambda module, ends: (module, *ends),
        st.sampled_from(["cam", "count", "log"]),
        st.tuples(st.frozensets(NAMES, max_size=2), st.frozensets(NAMES, max_size=2)),
    ),
    max_size=6,
)


@given(FUNCTIONS)
def test_every_output_reaches_iot_hub_and_no_message_goes_round(
    functions: list[tuple[str, frozenset[str], frozenset[str]]],
) -> None:
    everything = [
        Ports(module, f"f{number}", tuple(sorted(inputs)), tuple(sorted(outputs)))
        for number, (module, inputs, outputs) in enumerate(functions)
    ]
    routes = parse_routes(routing(everything, {}).routes)
    for each in everything:
        for output in each.outputs:
            assert Upstream() in sinks(routes, each.module, output)
            assert not comes_back(routes, everything, each, output)


def sinks(routes: Routes, module: str, output: str) -> list[Sink]:
    source = f"/messages/modules/{module}/outputs/{output}"
    return [route.sink for route in routes if route.takes(source)]


def comes_back(routes: Routes, everything: list[Ports], start: Ports, output: str) -> bool:
    """Whether a message of an output may cause another one of it, if every function answers by all of its outputs."""
    waiting, seen = [(start.module, output)], set[tuple[str, str]]()
    while waiting:
        for sink in sinks(routes, *waiting.pop()):
            for taker in everything:
                if isinstance(sink, ModuleInput) and taker.module == sink.module and sink.input in taker.inputs:
                    caused = {(taker.module, each) for each in taker.outputs} - seen
                    seen |= caused
                    waiting += caused
    return (start.module, output) in seen
