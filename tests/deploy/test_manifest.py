"""The manifest of an app: environment, create options, twin; whole and layered."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edgefn.deploy.create_options import in_pieces
from edgefn.deploy.module import Box, module_of
from edgefn.errors import EdgefnError
from edgefn.loader import load_app
from edgefn.standin.manifest import read_manifest
from tests.deploy.apps import CAMERA, COUNTER, HTTP, SAMPLE, agent, app_in, host_config, made, module, options
from tests.deploy.schemas import LAYERED, WHOLE

GOLDEN = Path(__file__).parent / "golden"
CPU = {"INPUT": "rtsp://cam/1", "DEVICE": "CPU"}


def site(folder: Path) -> Path:
    """An app with a camera, a GPU, an FPGA card and a loudspeaker."""
    code = CAMERA + CAMERA.replace("see", "look").replace("%DEVICE%", "HETERO:FPGA,CPU").replace("frames", "looks")
    settings = {"INPUT": "cam", "DEVICE": "AUTO:GPU,CPU", "API_KEY": "0123456789abcdef", "Threshold": "0.7"}
    live = """
        @app.timer_trigger("timer", "0 * * * * *")
        @app.setting("threshold", "Threshold", default=0.9)
        def check(timer: func.TimerRequest, threshold: float) -> None: ...

        @app.edge_hub_trigger("m", "names")
        @app.speech_output("$return", player="aplay", map={"car": "a car"})
        def say(m: str) -> str:
            return m
    """
    app_in(folder, code + HTTP + dedent(live), settings)
    (folder / "models").mkdir()
    (folder / "models" / "net.xml").write_text("<net/>")
    return folder


@pytest.mark.parametrize("form", ["whole", "layered"])
@pytest.mark.parametrize("name", ["sample", "site"])
def test_manifests_are_as_the_golden_files_and_as_azure_takes_them(tmp_path: Path, name: str, form: str) -> None:
    folder = SAMPLE if name == "sample" else site(tmp_path / "site")
    document = made(module(folder, image="registry.example/edgefn:1.0"), layered=form == "layered").document
    path = GOLDEN / f"{name}-{form}.json"
    assert document == json.loads(path.read_text()), f"write it anew: {path}"
    Draft202012Validator(WHOLE if form == "whole" else LAYERED).validate(document)
    assert read_manifest(path).warnings == ()


# --- the environment ---------------------------------------------------------------------------------------------


def env(folder: Path, **given: str) -> dict[str, Any]:
    found = agent(made(module(folder, **given)).document)["edgefn"].get("env", {})
    return {name: value["value"] for name, value in found.items()}


def test_settings_become_the_environment_and_secrets_references(tmp_path: Path) -> None:
    settings = {
        "INPUT": "rtsp://admin:hunter2secret@cam/1",
        "DEVICE": "CPU",
        "API_KEY": "0123456789abcdef",
        "PASSWORD": "abc",
        "FILLED_KEY": "$FROM_VAULT",
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "CONNECTIONSTRING": "HostName=h;DeviceId=d;SharedAccessKey=MDEyMzQ1Njc4OQ==",
        "AzureWebJobs.see.Disabled": "true",
    }
    assert env(app_in(tmp_path / "a", CAMERA, settings), LATER="more") == {
        "API_KEY": "$API_KEY",
        "AzureWebJobs_see_Disabled": "true",
        "DEVICE": "CPU",
        "FILLED_KEY": "$FROM_VAULT",
        "INPUT": "$INPUT",
        "LATER": "more",
        "PASSWORD": "$PASSWORD",
    }


def test_a_name_that_no_twin_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgefnError, match=r"setting 'a\.b': a deployment takes no name with"):
        module(app_in(tmp_path / "a", COUNTER, {"a.b": "1"}))


def test_the_files_and_settings_of_a_broker_are_there(tmp_path: Path) -> None:
    code = """
        @app.mqtt_trigger("m", "a/b")
        def take(m: str) -> None: ...
    """
    folder = app_in(tmp_path / "a", dedent(code))
    (folder / "ca.pem").write_text("x")
    given = {"MQTT_BROKER": "mqtts://me:0123456789@broker?ca=ca.pem&cert=/etc/mqtt/me.pem&key=/etc/mqtt/me.key"}
    app = load_app(folder, environment=given)
    found = module_of(app, "edgefn", "x", Box())
    assert found.environment == {"MQTT_BROKER": "$MQTT_BROKER"}
    assert host_config(found)["Binds"] == ["edgefn-state:/state", "/etc/mqtt:/etc/mqtt:ro"]
    assert any("the broker mqtts://me@broker:8883 should be reached" in note for note in found.notes)


# --- create options ----------------------------------------------------------------------------------------------


def mapped(*paths: str) -> list[dict[str, str]]:
    return [{"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"} for path in paths]


@pytest.mark.parametrize(
    ("source", "device", "devices", "groups"),
    [
        ("rtsp://cam/1", "CPU", [], []),
        ("cam", "CPU", ["/dev/video0"], ["44"]),
        ("3", "CPU", ["/dev/video3"], ["44"]),
        ("/dev/v4l/by-id/usb-cam", "CPU", ["/dev/v4l/by-id/usb-cam"], ["44"]),
        ("rtsp://cam/1", "GPU", ["/dev/dri/renderD128"], ["109"]),
        ("rtsp://cam/1", "AUTO:GPU.1,CPU", ["/dev/dri/renderD129"], ["109"]),
        ("rtsp://cam/1", "AUTO:-GPU", [], []),
        ("rtsp://cam/1", "NPU", ["/dev/accel/accel0"], ["109"]),
        ("0", "MULTI:NPU,GPU", ["/dev/video0", "/dev/accel/accel0", "/dev/dri/renderD128"], ["44", "109"]),
    ],
)
def test_devices_and_their_groups_follow_from_source_and_device(
    tmp_path: Path, source: str, device: str, devices: list[str], groups: list[str]
) -> None:
    found = host_config(module(app_in(tmp_path / "a", CAMERA, {"INPUT": source, "DEVICE": device})))
    assert sorted(item["PathOnHost"] for item in found.get("Devices", [])) == sorted(devices)
    assert sorted(found.get("GroupAdd", [])) == sorted(groups)
    assert all(item in mapped(*devices) for item in found.get("Devices", []))


def test_the_group_of_a_render_node_is_said_to_differ_from_box_to_box(tmp_path: Path) -> None:
    folder = app_in(tmp_path / "a", CAMERA, {**CPU, "DEVICE": "GPU"})
    assert any("stat -c %g /dev/dri/renderD128" in note for note in module(folder).notes)
    box = Box(groups={"render": "993"})
    told = module(folder, box=box)
    assert not any("stat" in note for note in told.notes)
    assert host_config(told, box)["GroupAdd"] == ["993"]


def test_devices_whose_drivers_are_for_another_processor_are_said(tmp_path: Path) -> None:
    folder = app_in(tmp_path / "a", CAMERA, {**CPU, "DEVICE": "GPU"})
    assert any("drivers for amd64 only; on arm64" in note for note in module(folder, box=Box("arm64")).notes)
    assert not any("amd64" in note for note in module(folder, box=Box("amd64")).notes)


def test_a_container_has_a_state_volume_a_read_only_root_and_no_more_rights(tmp_path: Path) -> None:
    found = host_config(module(app_in(tmp_path / "a", COUNTER), "count"))
    assert found["Binds"] == ["count-state:/state"]
    assert found["ReadonlyRootfs"] is True
    assert found["Tmpfs"] == {"/tmp": "rw,nosuid,nodev,size=64m"}
    assert found["CapDrop"] == ["ALL"]
    assert "Privileged" not in found


def test_a_port_is_there_for_http_functions_the_page_and_served_models_only_and_each_module_has_its_own(
    tmp_path: Path,
) -> None:
    http = app_in(tmp_path / "a", HTTP)
    page = app_in(tmp_path / "b", COUNTER, page={"enabled": True})
    quiet = app_in(tmp_path / "c", COUNTER)
    server = app_in(tmp_path / "d", COUNTER, serving={"http": True, "grpcPort": 9000})
    names = {"quiet": quiet, "http": http, "page": page, "server": server}
    modules = agent(made(*(module(folder, name) for name, folder in names.items()), first_port=80).document)
    ports = {name: options(found["settings"])["HostConfig"].get("PortBindings") for name, found in modules.items()}
    assert ports == {
        "quiet": None,
        "http": {"8080/tcp": [{"HostPort": "80"}]},
        "page": {"8080/tcp": [{"HostPort": "81"}]},
        "server": {"8080/tcp": [{"HostPort": "82"}], "9000/tcp": [{"HostPort": "9000"}]},
    }


def test_the_ports_of_served_models_are_there(tmp_path: Path) -> None:
    served = module(app_in(tmp_path / "a", COUNTER, serving={"http": True, "grpcPort": 50051}), "served")
    found = options(agent(made(served).document)["served"]["settings"])["HostConfig"]["PortBindings"]
    assert {inner: outer[0]["HostPort"] for inner, outer in found.items()} == {
        "8080/tcp": "8080",
        "50051/tcp": "50051",
    }


def test_models_and_clips_outside_of_the_app_folder_are_bound_where_they_are(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in ("clip.mp4", "net.xml"):
        (data / name).write_text("x")
    code = CAMERA.replace("models/net.xml", str(data / "net.xml"))
    found = module(app_in(tmp_path / "a", code, {"INPUT": "../data/clip.mp4", "DEVICE": "CPU"}))
    assert host_config(found)["Binds"] == ["edgefn-state:/state", f"{data}:{data}:ro", f"{data}:/data:ro"]
    assert any("the box needs" in note for note in found.notes)


def test_a_model_that_is_not_here_is_expected_on_the_box_and_said(tmp_path: Path) -> None:
    found = module(app_in(tmp_path / "a", CAMERA.replace("models/", "/opt/model/"), CPU))
    assert "/opt/model:/opt/model:ro" in host_config(found)["Binds"]
    assert any(note.startswith("edgefn: /opt/model/net.xml is not here") for note in found.notes)


@pytest.mark.parametrize(
    ("path", "bind"),
    [("/state/pictures", None), ("pictures", "edgefn-pictures:/app/pictures"), ("/srv/out", "/srv/out:/srv/out")],
)
def test_folders_that_are_written_to_are_binds_but_below_the_state(tmp_path: Path, path: str, bind: str | None) -> None:
    code = COUNTER.replace("@app.edge_hub_output", f"@app.file_output('pages', '{path}')\n@app.edge_hub_output")
    found = module(app_in(tmp_path / "a", code.replace("(m: dict)", "(m: dict, pages: edgefn.Out[dict])")))
    assert host_config(found)["Binds"] == ["edgefn-state:/state", *([bind] if bind else [])]
    assert any("belong to user 1000" in note for note in found.notes) is (bind is not None)


@pytest.mark.parametrize("length", [0, 60, 83, 84, 85, 1_000, 8_000])
def test_create_options_are_cut_into_pieces_of_512_characters_that_are_one_again(length: int) -> None:
    whole = {"Env": ["ä" * length]}
    pieces = in_pieces(whole)
    assert options(pieces) == whole
    assert max(map(len, pieces.values())) <= 512
    assert list(pieces)[:3] == ["createOptions", "createOptions01", "createOptions02"][: len(pieces)]


def test_create_options_that_need_more_than_100_pieces_are_refused() -> None:
    with pytest.raises(EdgefnError, match="101 pieces"):
        in_pieces({"Env": ["x" * 512 * 100]})


# --- what is asked for -------------------------------------------------------------------------------------------


def test_an_app_in_error_has_no_manifest(tmp_path: Path) -> None:
    folder = app_in(tmp_path / "a", CAMERA, {"INPUT": "cam"})
    with pytest.raises(EdgefnError, match="'%DEVICE%' does not resolve"):
        module(folder)


def test_a_registry_that_asks_who_you_are_gets_references(tmp_path: Path) -> None:
    found = module(app_in(tmp_path / "a", COUNTER))
    document = made(found, registry="me.azurecr.io").document
    Draft202012Validator(WHOLE).validate(document)
    runtime = document["modulesContent"]["$edgeAgent"]["properties.desired"]["runtime"]["settings"]
    assert runtime["registryCredentials"]["registry"] == {
        "address": "me.azurecr.io",
        "username": "$CONTAINER_REGISTRY_USERNAME",
        "password": "$CONTAINER_REGISTRY_PASSWORD",
    }
    with pytest.raises(EdgefnError, match="a layer can not say it"):
        made(found, registry="me.azurecr.io", layered=True)


def test_the_metrics_collector_asks_the_runtime_and_our_modules(tmp_path: Path) -> None:
    folder = app_in(tmp_path / "a", COUNTER)
    document = made(module(folder, "count"), collector="azure-monitor").document
    Draft202012Validator(WHOLE).validate(document)
    environment = agent(document)["IoTEdgeMetricsCollector"]["env"]
    assert environment["MetricsEndpointsCSV"]["value"].split(",") == [
        "http://edgeHub:9600/metrics",
        "http://edgeAgent:9600/metrics",
        "http://count:8080/metrics",
    ]
    assert environment["LogAnalyticsSharedKey"]["value"] == "$LOG_ANALYTICS_SHARED_KEY"


def test_a_layer_keeps_messages_by_its_routes_and_may_say_for_which_devices(tmp_path: Path) -> None:
    folder = app_in(tmp_path / "a", COUNTER)
    layer = made(module(folder), layered=True, time_to_live=60, target_condition="tags.site='north'").document
    assert layer["targetCondition"] == "tags.site='north'"
    Draft202012Validator(LAYERED).validate(layer["content"])
    hub = layer["content"]["modulesContent"]["$edgeHub"]
    assert hub["properties.desired.routes.edgefnCountsToCloud"]["timeToLiveSecs"] == 60


# --- the cards of the first seed ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bitstream", "device", "board"),
    [
        ("/opt/intel/computer_vision_sdk/bitstreams/a10_devkit_bitstreams/4-0_x.aocx", "/dev/acla10_ref0", "a10_ref"),
        ("/opt/b/a10_vision_design_bitstreams/4-0_y.aocx", "/dev/aclhddlf_1150_sg10", "hddlf_1150_sg1"),
        ("", "/dev/acla10_ref0", "a10_ref"),
    ],
)
def test_an_fpga_card_gets_its_device_its_folders_and_its_environment(
    tmp_path: Path, bitstream: str, device: str, board: str
) -> None:
    settings = {"INPUT": "cam", "DEVICE": "HETERO:FPGA,CPU"}
    folder = app_in(tmp_path / "a", CAMERA, settings | ({"DLA_AOCX": bitstream} if bitstream else {}))
    found = module(folder)
    host = host_config(found)
    assert host["Devices"] == mapped("/dev/video0", device) or host["Devices"] == mapped(device, "/dev/video0")
    for bound in ("/opt/altera", "/etc/OpenCL/vendors", "/opt/Intel/OpenCL/Boards"):
        assert f"{bound}:{bound}:ro" in host["Binds"]
    environment = found.environment
    assert environment["CL_CONTEXT_COMPILER_MODE_INTELFPGA"] == "3"
    assert environment["DLA_AOCX"] == bitstream or (not bitstream and "a10_devkit" in environment["DLA_AOCX"])
    assert f"/board/{board}/linux64/lib" in environment["LD_LIBRARY_PATH"]
    assert f"{environment['DLA_AOCX'].rpartition('/')[0]}:" in "".join(host["Binds"])
    assert any("OpenVINO no longer supports it" in note for note in found.notes)
