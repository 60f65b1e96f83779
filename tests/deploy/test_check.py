"""What is said of manifests that are wrong, whoever wrote them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from edgefn.cli.manifest import run_check
from edgefn.deploy.check import Level, check
from tests.deploy.apps import CAMERA, COUNTER, HTTP, app_in, made, module
from tests.deploy.test_manifest import GOLDEN

Change = Callable[[dict[str, Any]], None]
SITE = json.loads((GOLDEN / "site-whole.json").read_text())


def written(folder: Path, document: Any) -> Path:
    path = folder / "deployment.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document, indent=2))
    return path


def said(path: Path, level: Level | None = None) -> list[str]:
    """The texts of what is found, without the name of the file."""
    found = [each for each in check(path) if level in (None, each.level)]
    return [each.text.replace(str(path), "") for each in found]


def desired(document: dict[str, Any], section: str) -> dict[str, Any]:
    found: dict[str, Any] = document["modulesContent"][section]["properties.desired"]
    return found


def the_module(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = desired(document, "$edgeAgent")["modules"]["edgefn"]
    return found


def env(**variables: str) -> Change:
    return lambda document: the_module(document)["env"].update({k: {"value": v} for k, v in variables.items()})


def settings(**changes: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        found = the_module(document)["settings"]
        found.update(changes)
        for key in [key for key, value in found.items() if value is None]:
            del found[key]

    return change


def options(**host: Any) -> Change:
    return settings(createOptions=json.dumps({"HostConfig": {"Binds": ["s:/state"], **host}}), createOptions01=None)


def declared(**members: Any) -> Change:
    return lambda document: the_module(document).update(members)


def agent(**members: Any) -> Change:
    return lambda document: desired(document, "$edgeAgent").update(members)


def routes(**declared: Any) -> Change:
    return lambda document: desired(document, "$edgeHub")["routes"].update(declared)


def twin(name: str, properties: dict[str, Any]) -> Change:
    return lambda document: document["modulesContent"].update({name: {"properties.desired": properties}})


PLAIN = {"INPUT": "rtsp://cam/1", "DEVICE": "CPU", "DLA_AOCX": "x"}

WRONG: list[tuple[Change, str]] = [
    # routes
    (routes(r="FROM /messages/modules/*/outputs/x INTO $upstream"), 'only a "*" at the end stands for anything'),
    (
        routes(r="FROM /messages/modules/edgfn/* INTO $upstream"),
        'unknown module "edgfn"; there are edgefn; did you mean',
    ),
    (routes(r='FROM /* INTO BrokeredEndpoint("/modules/edgfn/inputs/i")'), "did you mean 'edgefn'?"),
    (routes(r="FROM /messages/* INTO upstream"), 'route "r", column 23: there is no such sink'),
    (routes(r="FROM /messages/* INTO "), 'INTO is followed by nothing: a shell or envsubst takes "$upstream"'),
    (routes(r={"route": "FROM /* INTO $upstream", "priority": 11}), "wrong priority"),
    # create options
    (
        settings(createOptions='{"HostConfig": {"Binds": ["s:/state"],}}', createOptions01=None),
        "createOptions are no JSON",
    ),
    (settings(createOptions01=None, createOptions02="}"), "a gap: createOptions01 is missing before createOptions02"),
    (settings(createOptions00="{}"), "createOptions00: pieces are numbered createOptions01"),
    (settings(createOptions=None), "createOptions01 without createOptions"),
    (settings(createOptions="x" * 513), "createOptions has 513 characters; IoT Hub takes 512"),
    (settings(createOptions=5, createOptions01=None), "createOptions should be a text of JSON, found int"),
    (settings(createOptions="[]", createOptions01=None), "createOptions should be an object, found list"),
    (settings(createOptions='{"Binds": ["s:/state"]}', createOptions01=None), "Binds does nothing there; it belongs"),
    (options(Binds=["/state"]), "Binds: '/state' should be a text SOURCE:/TARGET"),
    (options(Devices=["/dev/video0"]), "Devices: '/dev/video0' should be an object"),
    (options(), "DEVICE asks for AUTO:GPU,CPU, and no /dev/dri is in the container"),
    (env(DEVICE="NPU"), "DEVICE asks for NPU, and no /dev/accel"),
    (env(CAMERA="/dev/video9"), "CAMERA asks for /dev/video9, and no /dev/video9 is in the container"),
    (
        twin("edgefn", {"functions": {"see": {"net": {"device": "NPU"}}}}),
        "desired functions.see.net.device asks for NPU",
    ),
    # modules
    (settings(image=""), "image should be one, found ''"),
    (
        settings(image="registry.io/Street:1"),
        "'registry.io/Street:1' can not be the name of an image: it has a host, a",
    ),
    (declared(settings=None), "module 'edgefn' has no settings with an image"),
    (declared(restartPolicy="allways"), "restartPolicy should be never or on-failure or on-unhealthy or always"),
    (declared(status=None), "status should be running or stopped, found None"),
    (env(API_KEY="0123456789abcdef"), "API_KEY holds a secret in clear; write $API_KEY"),
    (env(STREAM="rtsp://admin:hunter2secret@cam/1"), "STREAM holds a secret in clear"),
    (env(**{"a.b": "1"}), "no name may have . $ # + or a blank: 'a.b'"),
    (declared(env={"A": "1"}), 'A should be {"value": TEXT}, found str'),
    (twin("edgefm", {}), 'there is no module "edgefm" for these desired properties; modules: edgefn; did you mean'),
    (twin("edgefn", {"a.b": 1}), "desired properties of module 'edgefn': 'a.b' is no name"),
    # the runtime
    (agent(systemModules={"edgeAgent": {}}), "systemModules has no edgeHub"),
    (lambda d: desired(d, "$edgeAgent").pop("runtime"), '"$edgeAgent" has no runtime'),
    (lambda d: desired(d, "$edgeHub").update(schemaVersion="2.0"), "schemaVersion '2.0'"),
    (lambda d: d["modulesContent"].update(edgeHub=d["modulesContent"].pop("$edgeHub")), 'but "edgeHub" (a shell'),
    (env(BIG="x" * 40_000), "bytes; IoT Hub takes 32768"),
]


@pytest.mark.parametrize(("change", "text"), WRONG, ids=[text for _, text in WRONG])
def test_what_is_wrong_is_an_error_with_its_line(tmp_path: Path, change: Change, text: str) -> None:
    document = deepcopy(SITE)
    change(document)
    found = said(written(tmp_path, document), Level.ERROR)
    assert any(text in each for each in found), found
    assert all(each.startswith(":") for each in found)


DOUBTFUL: list[tuple[Change, str]] = [
    (options(Privileged=True), "is privileged, so it may do anything on the box"),
    (options(Binds=[]), 'has no volume: what it keeps is gone with each new image; "edgefn-state:/state"'),
    (settings(createOption="{}"), "settings.createOption is read by nobody; did you mean 'createOptions'?"),
    (lambda d: desired(d, "$edgeHub").update(routes={}), "there are no routes, so edgeHub drops every message"),
    (
        lambda d: desired(d, "$edgeHub").update(
            routes={"r": 'FROM /* INTO BrokeredEndpoint("/modules/edgefn/inputs/in")'}
        ),
        "no route leads INTO $upstream, so nothing reaches IoT Hub",
    ),
    (agent(schemaVersion="1.0"), 'schemaVersion 1.0 knows no startupOrder; "1.1" does'),
]


@pytest.mark.parametrize(("change", "text"), DOUBTFUL, ids=[text for _, text in DOUBTFUL])
def test_what_works_and_is_hardly_meant_is_a_warning(tmp_path: Path, change: Change, text: str) -> None:
    document = deepcopy(SITE)
    change(document)
    assert any(text in each for each in said(written(tmp_path, document), Level.WARNING))


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_nothing_is_wrong_with_what_edgefn_makes(path: Path) -> None:
    assert check(path) == []


def test_two_modules_that_want_one_port_are_told_so(tmp_path: Path) -> None:
    document = deepcopy(SITE)
    desired(document, "$edgeAgent")["modules"]["second"] = the_module(document)
    assert any("port 8080 of the box is taken by another module" in text for text in said(written(tmp_path, document)))


def test_a_password_of_a_registry_is_not_in_clear(tmp_path: Path) -> None:
    document = deepcopy(SITE)
    registry = {"r": {"address": "r.example", "username": "u", "password": "0123456789"}}
    desired(document, "$edgeAgent")["runtime"]["settings"]["registryCredentials"] = registry
    (text,) = said(written(tmp_path, document))
    assert "registry 'r': its password is in clear; write $CONTAINER_REGISTRY_PASSWORD" in text
    assert "0123456789" not in text


# --- files that are no JSON --------------------------------------------------------------------------------------


def test_commas_too_many_and_comments_are_named_by_line_and_column_and_all_else_is_checked_as_well(
    tmp_path: Path,
) -> None:
    document = deepcopy(SITE)
    routes(r="FROM /messages/modules/*/outputs/x INTO $upstream")(document)
    text = json.dumps(document, indent=2).replace("{", "{ // the deployment", 1).replace('"1.5"', '"1.5",')
    text = text.replace('"timeToLiveSecs": 7200', '"timeToLiveSecs": 7200,')
    found = said(written(tmp_path, text))
    line = text[: text.index("7200,")].count("\n") + 1
    assert found[0] == ":1:3: no valid JSON: a comment; JSON has none, so Azure's tools refuse it"
    assert found[1] == f':{line}:33: no valid JSON: a comma before "}}"; take it out, or add what should follow'
    assert 'only a "*" at the end' in found[2]


def test_a_template_may_hold_comments_and_create_options_as_objects(tmp_path: Path) -> None:
    document = deepcopy(SITE)
    settings(createOptions={"HostConfig": {"Binds": ["s:/state"], "Privileged": True}}, createOptions01=None)(document)
    path = tmp_path / "deployment.template.json"
    path.write_text(json.dumps(document, indent=2).replace("{", "{ // the template", 1))
    assert [finding.level for finding in check(path)] == [Level.WARNING]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"modulesContent": {', ":1: no valid JSON: Expecting property name"),
        ("[]", ": should hold one JSON object, holds a list"),
        ("{}", ': there is no object "modulesContent"'),
        ('{"modulesContent": {"$edgeHub": 5}}', ':1: should be an object with "properties.desired", found 5'),
    ],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, text: str, found: str) -> None:
    assert said(written(tmp_path, text))[0].startswith(found)


JUNK: list[Any] = [
    *(None, 5, -1, 1.5, True, "", "$", "FROM", [], {}, [None], {"": 1}, {"value": None}, "/dev/x", "GPU"),
    '{"HostConfig":{"Binds":[5,null],"Devices":[5,{"PathOnHost":5}],"PortBindings":{"a":[5],"b":5,"c":[{"HostPort":[]}]}}}',
    '{"HostConfig":{"Binds":5,"Devices":{},"PortBindings":[1],"Mounts":[5,{"Target":5}]},"Env":[5,null,"A"]}',
    '{"HostConfig":5}',
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_whatever_is_damaged_it_is_said_and_nothing_breaks(tmp_path: Path, path: Path) -> None:
    document = json.loads(path.read_text())
    chance = random.Random(path.stem)
    for place in places(document):
        damaged = deepcopy(document)
        holder = damaged
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = deepcopy(chance.choice(JUNK))
        assert all(finding.text for finding in check(written(tmp_path, damaged)))


# --- beside the code of its modules ------------------------------------------------------------------------------


def checked(path: Path, *apps: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    code = run_check(path, apps, strict=False, as_json=True)
    return code, [each["text"] for each in json.loads(capsys.readouterr().out)["findings"]]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            routes(edgefnCountsToCloud="FROM /messages/modules/edgefn/outputs/sums INTO $upstream"),
            "no route takes output",
        ),
        (
            routes(edgefnCountsToCloud="FROM /messages/modules/edgefn/outputs/count5 INTO $upstream"),
            'takes from output "count5", and module "edgefn" has counts; did you mean \'counts\'?',
        ),
        (
            routes(r='FROM /x INTO BrokeredEndpoint("/modules/edgefn/inputs/frame")'),
            'leads to input "frame", and module "edgefn" takes frames; did you mean \'frames\'?',
        ),
        (options(Binds=["other:/data"]), "/state is no volume, so what waits there is lost"),
        (declared(env={}), "the app's setting Level is not in env"),
        (twin("edgefn", {"functions": {"cuont": {}}}), "there is no function 'cuont'; did you mean 'count'?"),
    ],
)
def test_a_manifest_is_compared_with_the_app_of_its_module(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Change, text: str
) -> None:
    folder = app_in(tmp_path / "app", COUNTER, {"Level": "5"})
    document = made(module(folder)).document
    change(document)
    _, found = checked(written(tmp_path, document), str(folder), capsys=capsys)
    assert any(text in each for each in found), found


def test_an_input_that_nobody_feeds_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = app_in(tmp_path / "app", COUNTER)
    code, found = checked(written(tmp_path, made(module(folder)).document), f"edgefn={folder}", capsys=capsys)
    assert code == 0
    (text,) = found
    assert 'no route leads to input "frames" of module "edgefn"; it never gets a message' in text


def test_a_module_that_takes_whatever_comes_and_gets_nothing_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = app_in(tmp_path / "app", COUNTER.replace('"frames"', '"*"'))
    document = made(module(folder)).document
    (text,) = checked(written(tmp_path, document), str(folder), capsys=capsys)[1]
    assert 'no route leads to an input of module "edgefn"' in text
    routes(r='FROM /messages/modules/edgefn/* INTO BrokeredEndpoint("/modules/edgefn/inputs/any")')(document)
    assert checked(written(tmp_path, document), str(folder), capsys=capsys) == (0, [])


def test_the_devices_of_the_app_are_asked_for_under_the_settings_of_the_manifest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = app_in(tmp_path / "app", CAMERA + HTTP, {"INPUT": "rtsp://cam/1", "DEVICE": "CPU"})
    document = made(module(folder)).document
    env(INPUT="1")(document)
    code, found = checked(written(tmp_path, document), str(folder), capsys=capsys)
    assert (code, len(found)) == (1, 1)
    assert "its functions use /dev/video1, which is not in Devices" in found[0]


def test_the_exit_code_is_for_ci(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = deepcopy(SITE)
    assert run_check(written(tmp_path, document), (), strict=True, as_json=False) == 0
    options(Privileged=True, Devices=[{"PathOnHost": "/dev/acl"}])(document)
    path = written(tmp_path, document)
    assert run_check(path, (), strict=False, as_json=False) == 0
    assert run_check(path, (), strict=True, as_json=False) == 1
    routes(r="nowhere")(document)
    assert run_check(written(tmp_path, document), (), strict=False, as_json=False) == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith("deployment.json: 1 error, 1 warning")
    assert run_check(path, ("other=nowhere",), strict=False, as_json=False) == 1
