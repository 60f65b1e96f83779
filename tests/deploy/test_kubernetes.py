"""Apps on Kubernetes: the objects of each, how many replicas are right, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from edgefn.cli.kubernetes import MakeKubernetes, run_kubernetes
from edgefn.deploy.kubernetes import BOX, METRIC, Scale, Workload, kubernetes, workload_of
from edgefn.deploy.manifest import Made
from edgefn.deploy.pod import TERMINATION, Room
from edgefn.errors import EdgefnError
from edgefn.host import GRACE
from edgefn.loader import load_app
from edgefn.web.options import MODULE_PORT
from edgefn.web.pages import LIVE, METRICS, READY
from tests.deploy.apps import CAMERA, COUNTER, HTTP, app_in

GOLDEN = Path(__file__).parent / "golden" / "kubernetes"
BROKER = "mqtt://broker"
SHARED = """
@app.mqtt_trigger("m", "plant/+/t", share="line")
@app.mqtt_output("$return", "alarms/{topic}")
def hot(m: dict):
    return m
"""
ANYBODY = HTTP.replace('"hello")', '"hello", auth_level=func.AuthLevel.ANONYMOUS)', 1)
FILE = """
@app.file_trigger("file", "/state/in")
def take(file: bytes): ...
"""


def workload(folder: Path, name: str = "plant", image: str = "r.io/plant:1", **given: str) -> Workload:
    return workload_of(load_app(folder, environment={}, given={"MQTT_BROKER": BROKER, **given}), name, image)


def made(*workloads: Workload, room: Room = Room(), arch: str = "", **scale: Any) -> Made:  # noqa: B008
    return kubernetes(workloads, Scale(**scale), room, arch)


def objects(found: Made) -> dict[str, Any]:
    """The last object of each kind."""
    return {item["kind"]: item for item in found.document["items"]}


def pod_of(found: Made) -> dict[str, Any]:
    spec: dict[str, Any] = objects(found)["StatefulSet"]["spec"]["template"]["spec"]
    return spec


def container_of(found: Made) -> dict[str, Any]:
    (container,) = pod_of(found)["containers"]
    return dict(container)


def line(folder: Path) -> Path:
    """An app with everything that replicas may have: a shared subscription, a GPU, HTTP, served models, secrets."""
    net = '@app.inference_session("net", "models/net.xml", device="AUTO:GPU,CPU")\n'
    code = SHARED.replace("@app.mqtt_output", f"{net}@app.mqtt_output").replace("(m: dict)", "(m: dict, net)")
    settings = {"API_KEY": "0123456789abcdef", "PRICE": "5$(EACH)", "VAULT_KEY": "$FROM_VAULT"}
    app_in(folder, code + ANYBODY, settings, serving={"http": True, "grpcPort": 9000})
    (folder / "models").mkdir()
    (folder / "models" / "net.xml").write_text("<net/>")
    return folder


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("line", {}),
        ("line-hpa", {"most": 5, "waiting": 50}),
        ("line-keda", {"most": 5, "replicas": 1, "prometheus": "http://prometheus.monitoring:9090"}),
    ],
)
def test_objects_are_as_the_golden_file_and_as_kubernetes_takes_them(tmp_path: Path, name: str, scale: Any) -> None:
    found = made(workload(line(tmp_path / "line"), MQTT_BROKER="mqtt://me:0123456789@broker"), **scale)
    path = GOLDEN / f"{name}.json"
    assert found.document == json.loads(path.read_text()), f"write it anew: {path}"
    own = [item for item in found.document["items"] if not item["apiVersion"].startswith("keda.sh/")]
    for version in ("1.30", kubernetes_validate.latest_version()):
        for item in own:
            kubernetes_validate.validate(item, version, strict=True)
    assert "0123456789" not in json.dumps(found.document)


# --- the pod -------------------------------------------------------------------------------------------------------


def test_settings_are_variables_and_secrets_are_keys_of_a_secret(tmp_path: Path) -> None:
    found = made(workload(line(tmp_path / "line")))
    variables = {each.pop("name"): each for each in container_of(found)["env"]}
    assert variables == {
        "API_KEY": {"valueFrom": {"secretKeyRef": {"name": "plant-settings", "key": "API_KEY"}}},
        "MQTT_BROKER": {"value": BROKER},
        "PRICE": {"value": "5$$(EACH)"},
        "VAULT_KEY": {"valueFrom": {"secretKeyRef": {"name": "plant-settings", "key": "FROM_VAULT"}}},
    }
    assert "plant: the Secret 'plant-settings' has to hold API_KEY, FROM_VAULT" in found.notes


def test_a_pod_has_longer_to_end_than_the_host_takes_to_drain(tmp_path: Path) -> None:
    spec = pod_of(made(workload(app_in(tmp_path / "a", SHARED + ANYBODY))))
    (pause,) = [int(part) for part in spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1:]]
    assert pause + 4 * GRACE < spec["terminationGracePeriodSeconds"] == TERMINATION


def test_each_replica_has_a_volume_for_its_state_and_for_folders_outside_of_it(tmp_path: Path) -> None:
    code = SHARED.replace("@app.mqtt_output", "@app.file_output('page', 'pages')\n@app.mqtt_output")
    folder = app_in(tmp_path / "a", code.replace("(m: dict)", "(m: dict, page: edgefn.Out[dict])"))
    found = made(workload(folder), room=Room(storage="5Gi"))
    claims = objects(found)["StatefulSet"]["spec"]["volumeClaimTemplates"]
    assert [claim["metadata"]["name"] for claim in claims] == ["state", "app-pages"]
    assert {claim["spec"]["resources"]["requests"]["storage"] for claim in claims} == {"5Gi"}
    assert {"name": "app-pages", "mountPath": "/app/pages"} in container_of(found)["volumeMounts"]
    assert any("/app/pages is a volume of each replica, 'app-pages'" in note for note in found.notes)


@pytest.mark.parametrize(
    ("device", "devices", "resources"),
    [
        ("CPU", {}, {}),
        ("GPU", {}, {"gpu.intel.com/i915": "1"}),
        ("MULTI:GPU,GPU.1", {}, {"gpu.intel.com/i915": "2"}),
        ("AUTO:NPU,GPU", {}, {"npu.intel.com/accel": "1", "gpu.intel.com/i915": "1"}),
        ("GPU", {"/dev/dri/renderD128": "gpu.intel.com/xe"}, {"gpu.intel.com/xe": "1"}),
    ],
)
def test_accelerators_are_resources_of_their_device_plugins(
    tmp_path: Path, device: str, devices: Any, resources: Any
) -> None:
    folder = app_in(tmp_path / "a", CAMERA, {"INPUT": "rtsp://cam/1", "DEVICE": device})
    found = made(workload(folder), room=Room(devices=devices, groups={"render": "993"}))
    assert container_of(found)["resources"] == {
        "requests": {"cpu": "250m", "memory": "512Mi", **resources},
        "limits": {"memory": "2Gi", **resources},
    }
    assert pod_of(found)["securityContext"].get("supplementalGroups") == ([993] if resources else None)


def test_a_given_request_or_limit_is_never_on_the_wrong_side_of_the_usual_one(tmp_path: Path) -> None:
    found = workload(app_in(tmp_path / "a", SHARED))
    little = container_of(made(found, room=Room(limits={"memory": "256Mi", "cpu": "2"})))["resources"]
    assert little == {"requests": {}, "limits": {"memory": "256Mi", "cpu": "2"}}
    much = container_of(made(found, room=Room(requests={"memory": "8Gi"})))["resources"]
    assert much == {"requests": {"cpu": "250m", "memory": "8Gi"}, "limits": {}}


def test_only_what_somebody_calls_has_a_service_with_an_address(tmp_path: Path) -> None:
    quiet, called = (app_in(tmp_path / name, code) for name, code in (("a", SHARED), ("b", SHARED + ANYBODY)))
    for folder, names in ((quiet, ["plant-replicas"]), (called, ["plant-replicas", "plant"])):
        items = made(workload(folder)).document["items"]
        assert [item["metadata"]["name"] for item in items if item["kind"] == "Service"] == names
        assert items[0]["spec"]["clusterIP"] == "None"


def test_an_architecture_chooses_the_nodes(tmp_path: Path) -> None:
    found = workload(app_in(tmp_path / "a", SHARED))
    assert pod_of(made(found, arch="arm64"))["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
    assert "nodeSelector" not in pod_of(made(found))


def test_files_that_the_image_has_not_are_said(tmp_path: Path) -> None:
    folder = app_in(tmp_path / "a", SHARED)
    notes = made(workload(folder, MQTT_BROKER="mqtts://broker?ca=/etc/mqtt/ca.pem")).notes
    assert (
        "plant: /etc/mqtt/ca.pem is not in the image: put it into the app folder, or mount it at /etc/mqtt/ca.pem"
        in notes
    )


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_broker_of_the_laptop_is_not_that_of_a_container(tmp_path: Path, host: str) -> None:
    notes = made(workload(app_in(tmp_path / "a", SHARED), MQTT_BROKER=f"mqtt://{host}")).notes
    said = "is looked for in the container itself; name the machine that it is on"
    assert f"plant: the broker mqtt://{host}:1883 {said}" in notes


def test_outputs_to_an_edge_hub_that_is_not_there_are_said(tmp_path: Path) -> None:
    for number, hub in enumerate(({}, {"broker": BROKER})):
        notes = made(workload(app_in(tmp_path / str(number), COUNTER, edgeHub=hub))).notes
        assert any("there is no edgeHub in a cluster" in note for note in notes) is not bool(hub)


def test_a_replica_knows_its_name_where_it_reports_to_a_broker(tmp_path: Path) -> None:
    named = {"name": "EDGEFN_REPLICA", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    for number, hub in enumerate(({}, {"broker": BROKER})):
        found = container_of(made(workload(app_in(tmp_path / str(number), COUNTER, edgeHub=hub))))
        assert (named in found["env"]) is bool(hub)


def test_what_the_objects_ask_of_a_host_is_there(tmp_path: Path) -> None:
    app = load_app(app_in(tmp_path / "a", SHARED), environment={}, given={"MQTT_BROKER": BROKER})
    assert app.services.metrics.registry.get_sample_value(METRIC, {"box": BOX}) == 0.0
    found = made(workload_of(app, "plant", "r.io/plant:1"))
    container = container_of(found)
    probes = {container[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert probes == {LIVE, READY}
    scraped = objects(found)["StatefulSet"]["spec"]["template"]["metadata"]["annotations"]
    assert (scraped["prometheus.io/path"], scraped["prometheus.io/port"]) == (METRICS, str(MODULE_PORT))


# --- how many ------------------------------------------------------------------------------------------------------

TIMER = "@app.timer_trigger('t', '0 * * * * *')\ndef it(t): ..."
EVENTS = "@app.event_hub_message_trigger('m', event_hub_name='x', connection='C')\ndef it(m): ..."
METHOD = "@app.direct_method_trigger('p', 'reset')\ndef it(p): ..."
TWIN = "@app.twin_trigger('p')\ndef it(p): ..."
WARM_UP = "@app.warm_up_trigger('w')\ndef it(w): ..."
NAMED = "mqtt://broker?clientId=one"


@pytest.mark.parametrize(
    ("code", "settings", "why"),
    [
        (TIMER, {}, "function 'it' (functions/f.py:5): each host would run it at each of its times"),
        (
            CAMERA,
            {"INPUT": "rtsp://cam/1", "DEVICE": "CPU"},
            "each host would read its source, and see the same frames",
        ),
        (FILE, {}, "each host would take each file that comes to its folder"),
        (COUNTER, {}, "a message that comes to an input is for one host"),
        (EVENTS, {}, "a message that comes to an input is for one host"),
        (METHOD, {}, "who calls it reaches one host"),
        (HTTP, {}, "authLevel function asks for a key, and each host makes its own; anonymous asks for none"),
        (
            SHARED.replace(', share="line"', ""),
            {},
            'without share each host would get all of its messages; share="GROUP"',
        ),
        (SHARED, {"MQTT_BROKER": NAMED}, "knows the host by a client id that the settings name"),
        (SHARED + TIMER, {"AzureWebJobs.it.Disabled": "true"}, ""),
        (SHARED, {}, ""),
        (ANYBODY, {}, ""),
        (SHARED + TWIN, {}, ""),
        (SHARED + WARM_UP, {}, ""),
    ],
)
def test_what_has_to_run_once_holds_an_app_to_one_replica_and_is_named(
    tmp_path: Path, code: str, settings: Any, why: str
) -> None:
    found = workload(app_in(tmp_path / "a", code), **settings)
    alone = made(found)
    told = [note for note in alone.notes if note.startswith("plant: one replica, by function ")]
    assert (len(told) == 1 and why in told[0]) if why else not told
    assert objects(alone)["StatefulSet"]["spec"]["replicas"] == (1 if why else 2)
    assert ("PodDisruptionBudget" in objects(alone)) is not bool(why)
    if why:
        with pytest.raises(EdgefnError, match=r"--replicas 3: plant runs in one host only; function '"):
            made(found, replicas=3)
    else:
        assert objects(made(found, replicas=3))["StatefulSet"]["spec"]["replicas"] == 3


@pytest.mark.parametrize("name", ["AzureWebJobs_it_Disabled", "AzureWebJobs.it.Disabled"])
@pytest.mark.parametrize("where", ["environment", "given"])
def test_a_function_that_is_disabled_here_is_disabled_there(tmp_path: Path, where: str, name: str) -> None:
    known: Any = {"environment": {}, "given": {}, where: {"MQTT_BROKER": BROKER, name: "1"}}
    app = load_app(app_in(tmp_path / "a", SHARED + TIMER), **known)
    found = container_of(made(workload_of(app, "plant", "r.io/plant:1")))["env"]
    variables = {each["name"]: each["value"] for each in found}
    assert variables == {"AzureWebJobs_it_Disabled": "true", "MQTT_BROKER": BROKER}


def test_a_hub_that_knows_the_host_by_a_given_client_id_holds_an_app_to_one_replica(tmp_path: Path) -> None:
    found = made(workload(app_in(tmp_path / "a", SHARED, edgeHub={"broker": NAMED})))
    assert any("one replica, by extensions.edgeHub.broker: its address has a clientId" in note for note in found.notes)


def test_a_trigger_of_a_plugin_that_says_nothing_of_replicas_runs_once(tmp_path: Path) -> None:
    plugin = """
import logging
from edgefn.function import Options
class Ring:
    type, options, level = "ringTrigger", Options, logging.INFO
    def check(self, binding): ...
    def convert(self, binding): ...
    def listener(self, binding): ...
    async def close(self): ...
@edgefn.hookimpl
def edgefn_triggers(services):
    return [Ring()]
@app.generic_trigger("r", "ringTrigger")
def rung(r): ...
"""
    notes = made(workload(app_in(tmp_path / "a", plugin))).notes
    assert any("the kind ringTrigger does not say that replicas may share its events" in note for note in notes)


def test_an_autoscaler_counts_messages_that_wait_and_takes_no_replica_away(tmp_path: Path) -> None:
    found = workload(app_in(tmp_path / "a", SHARED))
    own, keda = objects(made(found, most=5)), objects(made(found, most=5, prometheus="http://p:9090"))
    assert "replicas" not in own["StatefulSet"]["spec"]
    down = {"selectPolicy": "Disabled"}
    assert own["HorizontalPodAutoscaler"]["spec"]["behavior"]["scaleDown"] == down
    spec = keda["ScaledObject"]["spec"]
    assert spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"] == down
    assert spec["triggers"][0]["metadata"]["query"] == ('sum(edgefn_spool_messages{box="inbox",pod=~"plant-[0-9]+"})')


# --- what can not be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "asked", "said"),
    [
        (ANYBODY, {"most": 5}, "--max-replicas 5: no function of plant shares messages"),
        (SHARED, {"most": 2, "replicas": 3}, "--max-replicas 2: is less than the 3 that run always"),
        (
            SHARED,
            {"most": 5, "waiting": 10_001},
            "--waiting 10001: no more than 10000 messages wait in a replica of plant",
        ),
        (
            SHARED,
            {"most": 5, "prometheus": "p:9090"},
            "--prometheus p:9090: is no address; http://prometheus:9090 would",
        ),
        (SHARED, {"most": 5, "prometheus": "http://me:hunter2secret@p"}, "--prometheus: the address holds a secret"),
        (SHARED, {"prometheus": "http://p"}, "--prometheus: is for an autoscaler; --max-replicas says"),
        (
            SHARED,
            {"room": Room(storage="much")},
            "--storage much: is no quantity; 500m, 2, 512Mi or 2Gi would be right",
        ),
        (SHARED, {"room": Room(limits={"memory": "2GB"})}, "--limit memory=2GB: is no quantity"),
        (CAMERA, {}, "/dev/video0 is asked for: a pod gets it by a device plugin"),
        (
            CAMERA,
            {"room": Room(devices={"/dev/video0": "a.b/c"}, groups={"video": "me"})},
            "--group video=NUMBER would",
        ),
    ],
)
def test_what_can_not_be_is_said(tmp_path: Path, code: str, asked: Any, said: str) -> None:
    found = workload(app_in(tmp_path / "a", code, {"INPUT": "cam", "DEVICE": "CPU"}))
    with pytest.raises(EdgefnError) as raised:
        made(found, **asked)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("Plant_1", {}, "'Plant_1': small letters, digits and -, at most 52, a letter first, would be right as a name"),
        ("plant", {"a:b": "1"}, "setting 'a:b': a pod takes letters, digits"),
        ("plant", {"AzureWebJobs.hot.Disabled": "1"}, "all functions are disabled, so there is nothing to run"),
    ],
)
def test_an_app_that_can_not_be_there_is_said(tmp_path: Path, name: str, settings: Any, said: str) -> None:
    folder = app_in(tmp_path / "a", SHARED)
    with pytest.raises(EdgefnError) as raised:
        made(workload(folder, name, **settings))
    assert said in str(raised.value)


def test_the_command_writes_a_list_that_is_json_and_tells_notes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MQTT_BROKER", BROKER)
    app_in(tmp_path / "one", SHARED), app_in(tmp_path / "two", TIMER)
    output = tmp_path / "all.json"
    named = (f"one={tmp_path / 'one'}", f"two={tmp_path / 'two'}")
    assert run_kubernetes(MakeKubernetes(named, images=("r.io/{module}:1",), output=output)) == 0
    sets = [each for each in json.loads(output.read_text())["items"] if each["kind"] == "StatefulSet"]
    assert [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in sets] == ["r.io/one:1", "r.io/two:1"]
    assert "note: two: one replica, by function 'it'" in capsys.readouterr().err
    assert run_kubernetes(MakeKubernetes((named[0],), requests=("much",))) == 1
    assert "--request much: should be NAME=VALUE" in capsys.readouterr().err
