"""How deployment manifests are read, and what is said of wrong ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgefn.errors import EdgefnError
from edgefn.standin.manifest import Manifest, read_manifest
from tests.standin.manifests import manifest

UPSTREAM = "FROM /* INTO $upstream"
AGENT = {"properties.desired": {"schemaVersion": "1.1", "modules": {"cam": {}}}}


def written(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "deployment.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
    return path


def read(tmp_path: Path, **sections: Any) -> Manifest:
    return read_manifest(
        written(tmp_path, {"modulesContent": {name.replace("_", "$"): s for name, s in sections.items()}})
    )


def hub(**desired: Any) -> dict[str, Any]:
    return {"properties.desired": {"schemaVersion": "1.1", **desired}}


def test_routes_modules_time_to_live_and_desired_properties_are_read(tmp_path: Path) -> None:
    routes = {"a": UPSTREAM, "b": {"route": UPSTREAM, "priority": 3, "timeToLiveSecs": 60}}
    found = read_manifest(Path(manifest(tmp_path, routes, cam={"interval": 5}, time_to_live=100)))
    assert [(route.name, route.priority, route.time_to_live) for route in found.routes] == [
        ("a", 2_000_000_000, None),
        ("b", 3, 60),
    ]
    assert found.time_to_live == 100
    assert found.modules == {"cam": {"interval": 5}, "log": None}
    assert found.warnings == ()


def test_the_layered_form_is_read(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        _edgeAgent={"properties.desired.modules.cam": {"settings": {}}},
        _edgeHub={"properties.desired.routes.toCloud": UPSTREAM, "properties.desired.routes.more": {"route": UPSTREAM}},
        cam={"properties.desired.limits": {"fps": 5}, "properties.desired.limits.size": 3},
    )
    assert [route.name for route in found.routes] == ["more", "toCloud"]
    assert found.modules == {"cam": {"limits": {"fps": 5, "size": 3}}}
    assert found.time_to_live == 7200


def test_it_may_stand_under_content_and_hold_comments(tmp_path: Path) -> None:
    sections = {"$edgeAgent": AGENT, "$edgeHub": hub(routes={"r": UPSTREAM})}
    text = json.dumps({"content": {"modulesContent": sections}}, indent=2).replace("{", "{ // x", 1)
    assert len(read_manifest(written(tmp_path, text)).routes) == 1


def test_routes_that_lead_nowhere_are_warned_of_with_their_line(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        _edgeAgent=AGENT,
        _edgeHub=hub(
            routes={
                "inner": "FROM /messages/modules/*/outputs/x INTO $upstream",
                "who": "FROM /messages/modules/cma/* INTO $upstream",
                "to": 'FROM /messages/modules/cam/* INTO BrokeredEndpoint("/modules/lgo/inputs/i")',
            }
        ),
    )
    inner, who, to = found.warnings
    assert 'deployment.json:15: route "inner" only a "*" at the end stands for anything' in inner
    assert 'deployment.json:16: route "who" takes from the unknown module "cma"; there are cam' in who
    assert 'deployment.json:17: route "to" leads to the unknown module "lgo"; there are cam' in to


def test_a_manifest_without_routes_is_warned_of(tmp_path: Path) -> None:
    assert "there are no routes, so edgeHub drops every message" in read(tmp_path, _edgeHub=hub(routes={})).warnings[0]


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({}, 'deployment.json: there is no "$edgeHub"; modules: none'),
        ({"_edgeHub": 5}, 'deployment.json:3: should be an object with "properties.desired", found 5'),
        ({"_edgeHub": {"properties.desired": 5}}, 'json:4: "properties.desired" should be an object, found 5'),
        ({"_edgeHub": {"desired": {}}}, 'json:4: there is no "desired" here; "properties.desired" or'),
        (
            {"_edgeHub": {"properties.desired": {"routes": {}}}},
            'json:4: schemaVersion None of "$edgeHub"; edgeHub takes 1.0, 1.1, 1.2, 1.3',
        ),
        ({"_edgeHub": {"properties.desired": {"schemaVersion": "2.0"}}}, "json:5: schemaVersion '2.0'"),
        ({"_edgeHub": hub()}, "json:4: routes should be an object of names and routes: None"),
        ({"_edgeHub": hub(routes=[UPSTREAM])}, "json:6: routes should be an object"),
        (
            {"_edgeHub": hub(routes={"r": "FORM /* INTO $upstream"})},
            'json:7: route "r", column 1: a route begins with FROM',
        ),
        ({"_edgeHub": hub(routes={"r": {"route": UPSTREAM, "priority": 10}})}, 'json:7: route "r": wrong priority'),
        ({"_edgeHub": hub(routes={"r": {"route": UPSTREAM, "ttl": 1}})}, 'json:7: route "r": unknown ttl'),
        (
            {"_edgeHub": {"properties.desired": {"schemaVersion": "1.0", "routes": {"r": {"route": UPSTREAM}}}}},
            'json:7: route "r": schemaVersion 1.0 knows routes as text only',
        ),
        (
            {"_edgeHub": hub(routes={}, storeAndForwardConfiguration={"timeToLiveSecs": "soon"})},
            "json:8: timeToLiveSecs should be a whole number of seconds, found 'soon'",
        ),
        (
            {"_edgeAgent": {"properties.desired": {"modules": ["cam"]}}, "_edgeHub": hub(routes={})},
            "json:5: modules should be an object",
        ),
    ],
)
def test_a_wrong_manifest_is_refused_with_file_and_line(tmp_path: Path, sections: dict[str, Any], said: str) -> None:
    with pytest.raises(EdgefnError) as raised:
        read(tmp_path, **sections)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "deployment.json:1: no valid JSON"),
        ("[]", "should hold one JSON object, holds a list"),
        ('{"modules": {}}', 'there is no object "modulesContent", so it is no deployment manifest'),
        ('{"content": 5}', 'there is no object "modulesContent"'),
    ],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(EdgefnError) as raised:
        read_manifest(written(tmp_path, text))
    assert said in str(raised.value)


def test_all_wrong_routes_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(EdgefnError) as raised:
        read(tmp_path, _edgeHub=hub(routes={"a": "x", "b": UPSTREAM, "c": "y"}))
    assert [line.split(" ")[2] for line in str(raised.value).splitlines()] == ['"a",', '"c",']
