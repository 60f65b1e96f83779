"""The functions of the sample app through the kit, with their real models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgefn import testing
from edgefn.scene import Scene
from edgefn.testing import Kit

ROOT = Path(__file__).parents[2]


@pytest.fixture
def app() -> Iterator[Kit]:
    with testing.load(ROOT) as kit:
        yield kit


def test_detect_finds_somebody_and_tells_once_a_second(app: Kit) -> None:
    found = app.call("detect", Scene().frame(40)[0]).outputs["detections"]
    assert {thing["name"] for thing in found[0]["objects"]} <= {"car", "truck", "person"}
    assert found[0]["objects"]
    app.clock.pass_by(1)
    results = app.play("detect", seconds=3)
    assert len(results) == 30
    assert sum(len(result.outputs["detections"]) for result in results) == 3


def test_light_tells_only_when_it_has_changed(app: Kit) -> None:
    results = app.play("light", seconds=4)
    assert len(results) == 4
    assert [len(result.outputs["$return"]) for result in results] == [1, 0, 0, 0]


def test_passages_tells_who_enters_and_leaves(app: Kit) -> None:
    seen = [{"objects": [{"name": name} for name in names], "timestamp": "t"} for names in (["car"], ["car"], [])]
    events = [[event["event"] for event in app.call("passages", each).outputs.get("passages", [])] for each in seen]
    assert events == [["enter"], [], ["leave"]]


def test_detect_with_recorded_answers_needs_no_model() -> None:
    settings = {"MODEL_XML_PATH": "no-model.xml", "LIGHT_MODEL": "no-model.xml"}
    with testing.load(ROOT, settings=settings, sessions={"detector": [[]]}) as app:
        assert app.call("detect", Scene().frame(0)[0]).outputs["detections"][0]["objects"] == []
