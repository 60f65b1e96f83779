"""Each check of the doctor, with something wrong made for real where the machine allows it."""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import pytest

from edgefn.doctor import Line, State, Subject, examine, look_at, v4l2
from edgefn.doctor.brokers import check_brokers
from edgefn.doctor.clock import check_clock
from edgefn.doctor.collector import check_collector
from edgefn.doctor.devices import check_devices
from edgefn.doctor.folder import check_folder, room
from edgefn.doctor.functions import check_functions
from edgefn.doctor.heard import check_speech
from edgefn.doctor.hub import check_hub
from edgefn.doctor.memory import check_memory
from edgefn.doctor.models import check_models
from edgefn.doctor.nodes import may_use, refusal
from edgefn.doctor.ports import check_port
from edgefn.doctor.servers import check_servers
from edgefn.doctor.sizes import MB
from edgefn.doctor.software import check_packages, check_python
from edgefn.doctor.sources import check_sources
from edgefn.doctor.waiting import check_spool
from edgefn.spool import FILE, connect
from edgefn.spool.lock import FolderLock
from edgefn.spool.schema import VERSION, open_file
from tests.mqtt.mosquitto import broker_in
from tests.sessions.far_server import far_server
from tests.standin.hubs import HubProcess, running_hub

WATCH = """
import edgefn
app = edgefn.FunctionApp()
@app.video_frame_trigger("frame", "%SOURCE%")
@app.inference_session("model", "%MODEL%", device="%DEVICE%", fallback="%FALLBACK%")
def watch(frame, model):
    pass
"""
SETTINGS = {"SOURCE": "synthetic:", "MODEL": "m.xml", "DEVICE": "CPU", "FALLBACK": "none"}
KEY = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"

Subjects = Callable[..., Subject]


@pytest.fixture
def subject(folder: Callable[[Mapping[str, str]], Path]) -> Subjects:
    """An app with one function on a source and a model, settings, and a folder for its state."""

    def look(files: Mapping[str, str] | None = None, **settings: str) -> Subject:
        root = folder({"functions/watch.py": WATCH, **(files or {})})
        return look_at(root, root / "state", {**SETTINGS, **settings}, environment={})

    return look


def of(lines: Iterator[Line], state: State) -> list[Line]:
    return [line for line in lines if line.state is state]


def the_wrong(lines: Iterator[Line]) -> Line:
    """The only line that is wrong; it says what to do."""
    (line,) = of(lines, State.WRONG)
    assert line.remedy
    return line


# --- software and the app ----------------------------------------------------------------------------------------


def test_this_machine_has_the_packages_that_edgefn_needs() -> None:
    (line,) = check_packages()
    assert line.state is State.OK
    assert "azure-iot-device 2.15" in line.found


@pytest.mark.parametrize(
    ("requirement", "found"),
    [
        ("pluggy>=99", "is not >=99"),
        ("openvino>=2020,<2021", "is not >=2020,<2021"),
        ("azure-iot-device>=2.15,<2.16", "2.15.0rc1 is not >=2.15,<2.16"),
        ("no-such-package>=1", "no-such-package is not installed"),
    ],
)
def test_a_package_that_does_not_fit_comes_with_its_installation(requirement: str, found: str) -> None:
    line = the_wrong(check_packages([requirement]))
    assert found in line.found
    assert line.remedy == f"pip install '{requirement}'"


def test_a_python_that_is_too_old_is_wrong() -> None:
    assert (check_python().state, check_python((3, 10, 2)).state) == (State.OK, State.WRONG)


def test_errors_of_the_app_are_wrong_and_the_rest_is_counted(subject: Subjects) -> None:
    lines = list(check_functions(subject({"functions/broken.py": "def f(:\n"})))
    assert of(iter(lines), State.OK)[0].found.startswith("1 in ")
    assert the_wrong(iter(lines)).found.startswith("functions/broken.py:1")


def test_a_setting_that_is_missing_is_an_error_with_its_remedy(subject: Subjects) -> None:
    line = the_wrong(check_functions(subject({"functions/watch.py": WATCH.replace("SOURCE", "NOWHERE")})))
    assert "'%NOWHERE%' does not resolve" in line.found
    assert line.remedy.startswith("set NOWHERE in the environment")


def test_each_error_of_a_function_is_a_line(subject: Subjects) -> None:
    files = {"functions/watch.py": WATCH.replace("%MODEL%", "%NO%").replace("%DEVICE%", "%NONE%")}
    found = [line.found for line in of(check_functions(subject(files)), State.WRONG)]
    assert [text.endswith("does not resolve to a value") for text in found] == [True, True]


def test_an_app_without_functions_is_a_note(folder: Callable[[Mapping[str, str]], Path]) -> None:
    root = folder({})
    (line,) = check_functions(look_at(root, root / "state", {}, environment={}))
    assert (line.state, line.found) == (State.NOTE, f"{root}: holds no function")
    assert line.remedy == "put a module with a FunctionApp into functions/"


def test_where_host_json_is_broken_all_else_is_still_looked_at(subject: Subjects) -> None:
    lines = list(examine(subject({"host.json": '{"version": '})))
    assert "host.json:1: no valid JSON" in the_wrong(line for line in lines if line.check == "functions").found
    assert {"hub", "devices", "state folder", "disk", "spool", "port", "clock"} <= {line.check for line in lines}


# --- brokers -----------------------------------------------------------------------------------------------------

FORWARD = """
import edgefn
app = edgefn.FunctionApp()
@app.mqtt_trigger("m", "in")
@app.mqtt_output("$return", "out")
def forward(m):
    pass
"""


def test_a_broker_that_functions_name_is_asked_once(subject: Subjects, tmp_path: Path) -> None:
    with broker_in(tmp_path / "broker") as broker:
        there = subject({"functions/forward.py": FORWARD}, MQTT_BROKER=broker.address)
        (line,) = check_brokers(there)
    assert line.state is State.OK
    assert line.found.startswith(f"{broker.address} answers (")
    gone = the_wrong(check_brokers(there))
    assert gone.found == f"{broker.address}: nothing listens there"
    assert gone.remedy == "a broker should be running"


def test_a_broker_that_is_the_hub_is_named_and_asked(subject: Subjects) -> None:
    config = '{"version": "2.0", "extensions": {"edgeHub": {"broker": "mqtt://no.such.host", "topicPrefix": "box"}}}'
    there = subject({"host.json": config})
    (line,) = check_hub(there)
    assert line.found == "the broker mqtt://no.such.host:1883, under the topics box/..."
    assert "'no.such.host' has no address" in the_wrong(check_brokers(there)).found


def test_without_a_broker_there_is_no_line(subject: Subjects) -> None:
    assert list(check_brokers(subject())) == []


# --- the collector of traces -------------------------------------------------------------------------------------


def test_the_collector_that_traces_go_to_is_asked(subject: Subjects) -> None:
    traced = {"host.json": '{"version": "2.0", "telemetryMode": "OpenTelemetry"}'}
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
        there = subject(traced, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://user:hunter2@{place}/x")
        (line,) = check_collector(there)
        assert (line.state, line.found) == (State.OK, f"{place} answers; traces go there")
    gone = the_wrong(check_collector(there))
    assert gone.found == f"{place} does not answer (Connection refused)"
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in gone.remedy
    assert "is no address" in the_wrong(check_collector(subject(traced, OTEL_EXPORTER_OTLP_ENDPOINT="http://"))).found
    assert list(check_collector(subject(traced, OTEL_TRACES_EXPORTER="console"))) == []
    assert list(check_collector(subject({"host.json": '{"version": "2.0"}'}))) == []


# --- the hub -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with running_hub(tmp_path_factory.mktemp("doctor")) as process:
        yield process


def test_without_an_environment_the_hub_is_the_local_one(subject: Subjects) -> None:
    (line,) = check_hub(subject())
    assert line.state is State.OK
    assert line.found.startswith("the local one")


def test_half_an_environment_names_what_is_missing_and_the_functions_are_looked_at(subject: Subjects) -> None:
    half = subject(IOTEDGE_DEVICEID="edge", IOTEDGE_MODULEID="cam")
    line = the_wrong(check_hub(half))
    assert "IOTEDGE_WORKLOADURI" in line.found
    assert line.remedy.startswith("edgeAgent sets all seven")
    assert [each.name for each in half.functions] == ["watch"]
    assert of(check_functions(half), State.WRONG) == []


def test_a_module_of_iot_edge_that_is_well_says_so(subject: Subjects, hub: HubProcess) -> None:
    lines = list(check_hub(subject(**hub.env("cam"))))
    assert [(line.check, line.state) for line in lines] == [
        (name, State.OK) for name in ("hub", "credentials", "gateway", "hub port")
    ]
    assert lines[-1].found.startswith(f"{hub.address}:8883 answers TLSv1.3")


def test_a_connection_string_that_is_well_shows_no_key(subject: Subjects, hub: HubProcess) -> None:
    given = hub.debug_env("cam")
    lines = list(check_hub(subject(**given)))
    assert {line.state for line in lines} == {State.OK}
    key = given["EdgeHubConnectionString"].partition("SharedAccessKey=")[2].partition(";")[0]
    assert key
    assert key not in repr(lines)


def test_a_workload_socket_that_is_not_there_is_wrong_and_the_port_is_tried(subject: Subjects, hub: HubProcess) -> None:
    lines = list(check_hub(subject(**hub.env("cam") | {"IOTEDGE_WORKLOADURI": "unix:///nowhere.sock"})))
    line = the_wrong(iter(lines))
    assert (line.check, line.remedy.partition(",")[0]) == ("credentials", "edgeAgent mounts the socket")
    assert (lines[-1].check, lines[-1].state) == ("hub port", State.NOTE)


def test_another_generation_than_the_runtimes_is_wrong(subject: Subjects, hub: HubProcess) -> None:
    line = the_wrong(check_hub(subject(**hub.env("cam") | {"IOTEDGE_MODULEGENERATIONID": "of-another-time"})))
    assert line.check == "credentials"
    assert "IOTEDGE_MODULEGENERATIONID should be" in line.remedy


def test_a_gateway_that_has_no_address_is_wrong(subject: Subjects, hub: HubProcess) -> None:
    line = the_wrong(check_hub(subject(**hub.env("cam") | {"IOTEDGE_GATEWAYHOSTNAME": "no-such-host.invalid"})))
    assert (line.check, "'no-such-host.invalid' has no address" in line.found) == ("gateway", True)


def test_a_gateway_where_nothing_listens_is_wrong(subject: Subjects, hub: HubProcess) -> None:
    line = the_wrong(check_hub(subject(**hub.env("cam") | {"IOTEDGE_GATEWAYHOSTNAME": "127.63.1.9"})))
    assert (line.check, "nothing listens at 127.63.1.9:8883" in line.found) == ("hub port", True)


def test_variables_beside_a_connection_string_that_do_nothing_are_a_note(subject: Subjects, hub: HubProcess) -> None:
    (line,) = of(check_hub(subject(IOTEDGE_MODULEID="cam", **hub.debug_env("cam"))), State.NOTE)
    assert line.found.startswith("IOTEDGE_MODULEID set, but not all")


# --- devices and models ------------------------------------------------------------------------------------------


def test_openvino_finds_the_processor(subject: Subjects) -> None:
    first, asked = check_devices(subject())
    assert first.found.startswith("CPU (")
    assert asked.found.endswith("CPU is CPU")


def test_a_gpu_that_is_not_there_is_wrong_with_its_missing_device_file(subject: Subjects, tmp_path: Path) -> None:
    gpu, node = of(check_devices(subject(DEVICE="GPU"), {"CPU": "x"}, tmp_path), State.WRONG)
    assert "device 'GPU' is not there" in gpu.found
    assert node.found == f"GPU: there is no {tmp_path}/dri"
    assert '"Devices"' in node.remedy


def test_a_gpu_with_a_fallback_is_a_note(subject: Subjects, tmp_path: Path) -> None:
    lines = list(check_devices(subject(DEVICE="GPU", FALLBACK="CPU"), {"CPU": "x"}, tmp_path))
    assert [line.state for line in lines] == [State.OK, State.NOTE, State.NOTE]
    assert lines[1].remedy.startswith("nothing, if the fallback 'CPU' will do, or declare another device; this machine")


def test_a_device_file_without_a_driver_above_it_names_the_driver(subject: Subjects, tmp_path: Path) -> None:
    (tmp_path / "accel").mkdir()
    (tmp_path / "accel/accel0").touch()
    _, node = of(check_devices(subject(DEVICE="NPU"), {"CPU": "x"}, tmp_path), State.WRONG)
    assert "intel-level-zero-npu" in node.remedy


def test_auto_that_has_to_leave_something_out_is_a_note(subject: Subjects, tmp_path: Path) -> None:
    lines = list(check_devices(subject(DEVICE="AUTO:GPU,CPU"), {"CPU": "x"}, tmp_path))
    assert lines[1].found.endswith("GPU of AUTO:GPU,CPU is not there")
    assert (lines[1].state, lines[1].remedy) == (State.NOTE, "add it, or declare 'CPU', which is used")


def test_a_device_file_of_another_group_says_how_to_join_it(tmp_path: Path) -> None:
    node = tmp_path / "renderD128"
    node.touch()
    node.chmod(0o660)
    found, remedy = refusal(node)
    assert "mode 660" in found
    assert f'"GroupAdd": ["{node.stat().st_gid}"]' in remedy
    assert may_use(node)


def test_a_model_that_is_missing_lists_those_beside_it(subject: Subjects) -> None:
    line = the_wrong(check_models(subject({"other.onnx": "x"})))
    assert "model 'm.xml' is not there" in line.found
    assert line.remedy == "put it there, or name another one in 'model'; models beside it: other.onnx"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"m.xml": "<net/>"}, "m.bin is not there"),
        ({"m.xml": "", "m.bin": "x"}, "m.xml is empty"),
        ({"m.xml": "<net/>", "m.bin": "version https://git-lfs.github.com/spec/v1\n"}, "only points to a file of Git"),
        ({"m.xml": "<net/>", "m.bin": "x", "m.labels.txt": "[1"}, "begins like JSON and is not"),
    ],
)
def test_the_files_of_a_model_are_looked_at(subject: Subjects, files: Mapping[str, str], found: str) -> None:
    assert found in the_wrong(check_models(subject(files))).found


def test_a_model_that_is_whole_is_fine_and_so_are_its_labels(subject: Subjects) -> None:
    lines = list(check_models(subject({"m.xml": "<net/>", "m.bin": "x" * 1000, "m.labels.txt": "car\nbus"})))
    assert [line.state for line in lines] == [State.OK, State.OK]
    assert [line.found.partition(", ")[2] for line in lines] == ["1 kB", "2 labels"]


def test_models_of_a_function_that_is_disabled_are_not_asked_for(subject: Subjects) -> None:
    disabled = subject(**{"AzureWebJobs.watch.Disabled": "true"})
    assert list(check_models(disabled)) == []


REMOTE = """
import edgefn
app = edgefn.FunctionApp()
@app.direct_method_trigger("payload", "ask")
@app.inference_session("net", "%ADDRESS%", kind="%KIND%")
def ask(payload, net):
    pass
"""


def test_a_model_on_another_server_is_asked_for(subject: Subjects) -> None:
    with far_server() as server:
        port = {"name": "image", "datatype": "UINT8", "shape": [1, 64, 64, 3]}
        server.documents = {"/v2/models/net": {"inputs": [port], "outputs": [{**port, "name": "same"}]}, "/": {}}

        def lines(**settings: str) -> list[Line]:
            return list(check_servers(subject({"functions/ask.py": REMOTE}, **settings)))

        for address, kind, found in (
            (server.url, "kserve", "image [1,64,64,3] u8 -> same [1,64,64,3] u8"),
            (server.url, "custom-vision", "answers, with 200 at /"),
        ):
            (line,) = lines(ADDRESS=address, KIND=kind)
            assert (line.state, line.found) == (State.OK, f"{address}: {found}")
        server.mood = "404"
        (line,) = lines(ADDRESS=server.url, KIND="kserve")
        assert "answered 404: as it was told" in line.found
        assert line.remedy == "correct the name of the model, or its 'headers'"
    for kind in ("kserve", "custom-vision"):
        (line,) = lines(ADDRESS=server.url, KIND=kind)
        assert (line.state, "Connection refused" in line.found) == (State.WRONG, True)
        assert line.remedy.startswith("start it, or correct 'model'")


# --- speech ------------------------------------------------------------------------------------------------------

SPEAK = """
import edgefn
app = edgefn.FunctionApp()
@app.edge_hub_trigger("m", "in")
@app.speech_output("$return", player="{player}", path="spoken")
def speak(m):
    return m
"""


def test_what_is_missing_to_speak_is_told_where_a_function_speaks(
    subject: Subjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(check_speech(subject())) == []
    looked = subject({"functions/speak.py": SPEAK.format(player="auto")})
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    maker, player = check_speech(looked)
    assert (maker.state, maker.remedy) == (State.WRONG, "apt install espeak-ng")
    assert (player.state, "looked for pw-play, paplay" in player.found) == (State.NOTE, True)
    (tmp_path / "bin").mkdir()
    for name in ("espeak-ng", "aplay"):
        (tmp_path / "bin" / name).touch(0o755)
    assert [line.state for line in check_speech(looked)] == [State.OK, State.OK]
    (silent,) = check_speech(subject({"functions/speak.py": SPEAK.format(player="file")}))
    assert silent.found == f"sounds are made by {tmp_path}/bin/espeak-ng"


# --- cameras and sources -----------------------------------------------------------------------------------------


def test_no_camera_is_fine_where_none_is_asked_for(subject: Subjects, tmp_path: Path) -> None:
    cameras, source = check_sources(subject(), tmp_path)
    assert (cameras.state, cameras.found) == (State.OK, f"none: there is no {tmp_path}/video*")
    assert source.state is State.OK


def test_a_camera_that_is_asked_for_and_not_there_is_wrong(subject: Subjects, tmp_path: Path) -> None:
    line = the_wrong(check_sources(subject(SOURCE="/dev/video63"), tmp_path))
    assert line.found.endswith("/dev/video63: there is no /dev/video63")


def test_a_file_that_is_no_camera_does_not_answer_as_one(subject: Subjects, tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    (line,) = of(check_sources(subject(), tmp_path), State.NOTE)
    assert line.found.startswith(f"{tmp_path}/video0 does not answer as a camera")


def camera(request: int, about: bytearray) -> None:
    """A camera with two formats, as the kernel would answer."""
    index, second = struct.unpack_from("<II", about)
    yuyv, mjpg = struct.unpack("<II", b"YUYVMJPG")
    if request == v4l2.QUERYCAP:
        about[:] = v4l2.CAPABILITY.pack(b"uvcvideo", b"HD Cam", b"usb", 0, 0x84200001, 0x04200001)
    elif request == v4l2.ENUM_FMT and index < 2 and second == 1:
        about[:] = v4l2.FORMAT.pack(index, 1, 0, b"a format", (yuyv, mjpg)[index], 0)
    elif request == v4l2.ENUM_FRAMESIZES and second == mjpg and index < 2:
        about[:] = v4l2.FRAME_SIZE.pack(index, mjpg, 1, *((1920, 1080), (640, 480))[index], *[0] * 4)
    elif request == v4l2.ENUM_FRAMESIZES and second == yuyv and index == 0:
        about[:] = v4l2.FRAME_SIZE.pack(0, yuyv, 3, 32, 1280, 8, 24, 720, 8)
    else:
        raise OSError(errno.EINVAL, "Invalid argument")


def test_a_camera_tells_its_formats_and_sizes() -> None:
    found = v4l2.describe(camera)
    assert (found.name, found.formats) == ("HD Cam", ("YUYV 32x24..1280x720", "MJPG 1920x1080 640x480"))


def test_the_numbers_of_the_ioctls_hold_the_sizes_of_their_structures() -> None:
    sizes = [(number >> 16) & 0x3FFF for number in (v4l2.QUERYCAP, v4l2.ENUM_FMT, v4l2.ENUM_FRAMESIZES)]
    assert sizes == [v4l2.CAPABILITY.size, v4l2.FORMAT.size, v4l2.FRAME_SIZE.size]


def test_a_clip_that_is_not_there_is_an_error_of_its_function(subject: Subjects) -> None:
    line = the_wrong(check_functions(subject(SOURCE="clip.mp4")))
    assert "clip.mp4: there is no such file or folder" in line.found


def test_a_clip_that_vanished_since_then_is_wrong(subject: Subjects, tmp_path: Path) -> None:
    looked = subject({"clip.mp4": "frames"}, SOURCE="clip.mp4")
    assert of(check_sources(looked), State.WRONG) == []
    (tmp_path / "clip.mp4").unlink()
    assert "clip.mp4: there is no such file or folder" in the_wrong(check_sources(looked)).found


def test_a_clip_that_is_empty_is_wrong(subject: Subjects) -> None:
    assert "clip.mp4 is empty" in the_wrong(check_sources(subject({"clip.mp4": ""}, SOURCE="clip.mp4"))).found


def test_a_folder_without_pictures_is_wrong(subject: Subjects) -> None:
    assert "functions holds no pictures" in the_wrong(check_sources(subject(SOURCE="functions"))).found


def test_a_stream_that_does_not_answer_is_wrong_without_its_password(subject: Subjects) -> None:
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))  # nobody listens
        port = bound.getsockname()[1]
        line = the_wrong(check_sources(subject(SOURCE=f"rtsp://admin:hunter2xyz@127.0.0.1:{port}/1")))
    assert f"127.0.0.1:{port} does not answer" in line.found
    assert "hunter2xyz" not in repr(line)


def test_a_stream_whose_server_answers_is_fine(subject: Subjects) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = f"http://127.0.0.1:{server.getsockname()[1]}/video"
        assert of(check_sources(subject(SOURCE=source)), State.WRONG) == []


# --- the state folder and the spool ------------------------------------------------------------------------------


def test_a_state_folder_that_can_not_be_made_is_wrong(subject: Subjects, tmp_path: Path) -> None:
    made = subject({"state": "a file"})
    line = the_wrong(check_folder(made))
    assert (line.check, line.remedy) == (
        "state folder",
        f"{tmp_path}/state is a file: move it away, or name another folder with --state",
    )


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")
def test_a_state_folder_where_nobody_may_write_is_wrong(subject: Subjects, tmp_path: Path) -> None:
    subject()
    nowhere = look_at(tmp_path, Path("/proc/edgefn"), SETTINGS, environment={})
    assert the_wrong(line for line in check_folder(nowhere) if line.check == "state folder").found.startswith(
        "/proc/edgefn can not be written"
    )


def test_a_lock_that_is_held_names_the_process_and_stays_held(subject: Subjects, tmp_path: Path) -> None:
    looked = subject()
    lock = FolderLock(tmp_path / "state")
    lock.take()
    (line,) = of(check_folder(looked), State.NOTE)
    assert line.found == f"a host runs on the state folder: process {os.getpid()}"
    lock.release()
    assert "free" in next(line for line in check_folder(looked) if line.check == "lock").found


@pytest.mark.parametrize(
    ("free", "share", "state"),
    [
        (900 * MB, 0.5, State.OK),
        (400 * MB, 0.5, State.NOTE),
        (9000 * MB, 0.04, State.NOTE),
        (1 * MB, 0.5, State.WRONG),
    ],
)
def test_little_room_is_a_note_and_none_is_wrong(free: int, share: float, state: State) -> None:
    assert room(Path("/"), free, share).state is state


def spool_in(folder: Path, *rows: tuple[str, int]) -> None:
    """A spool with messages of these sizes, by box."""
    connection, _ = open_file(folder, power=False)
    with closing(connection):
        for box, size in rows:
            extra = {"outbox": ("output, expires", "'o', 9e9"), "inbox": ("function, input", "'f', 'i'")}
            names, values = extra.get(
                box, ("box, function, name, died, attempts, reason, traceback", "'outbox', '', 'o', 0, 1, 'r', ''")
            )
            connection.execute(
                f"INSERT INTO {box} (size, stored, head, body, {names}) VALUES (?, ?, '', '', {values})",
                (size, time.time()),
            )


def test_a_spool_tells_how_full_it_is(subject: Subjects, tmp_path: Path) -> None:
    bounds = {"inbox": {"maxBytes": 1024}, "outbox": {"maxBytes": 1024}}
    looked = subject({"host.json": json.dumps({"version": "2.0", "extensions": {"spool": bounds}})})
    spool_in(tmp_path / "state", ("inbox", 850), ("outbox", 1000), ("dead", 10))
    lines = list(check_spool(looked))
    assert [line.state for line in lines] == [State.NOTE, State.WRONG, State.NOTE]
    assert "83% full" in lines[0].found
    assert "the hub be reached" in lines[1].remedy
    assert "edgefn dead-letter list" in lines[2].remedy


ALARM = """
import edgefn
app = edgefn.FunctionApp()
@app.timer_trigger("timer", "0 * * * * *")
@app.mqtt_output("$return", "alarms", broker="mqtt://site")
def alarm(timer): ...
"""


def test_what_waits_for_a_broker_is_told_by_itself_and_noted_where_nobody_sends_to_that(
    subject: Subjects, tmp_path: Path
) -> None:
    looked = subject({"functions/alarm.py": ALARM})
    spool_in(tmp_path / "state", ("outbox", 10_000), ("outbox", 20_000), ("outbox", 30_000))
    with closing(connect(tmp_path / "state" / FILE)) as connection:
        names = [("mqtt://site:1883", 1), ("mqtt://gone:1883", 2)]
        connection.executemany("UPDATE outbox SET destination = ? WHERE id = ?", names)
    _, hub, gone, site, _ = check_spool(looked)
    assert hub.found.startswith("outbox: 1 messages, 30 kB")
    assert site.found.startswith("outbox for mqtt://site:1883: 1 messages, 10 kB")
    assert gone.state is State.NOTE
    assert gone.found == "outbox: 1 messages wait for mqtt://gone:1883, to which no function that runs sends"


def test_looking_at_a_spool_leaves_no_files(subject: Subjects, tmp_path: Path) -> None:
    looked = subject()
    spool_in(tmp_path / "state")
    assert {line.state for line in check_spool(looked)} == {State.OK}
    assert [path.name for path in (tmp_path / "state").iterdir()] == [FILE]


def test_a_damaged_spool_is_wrong(subject: Subjects, tmp_path: Path) -> None:
    looked = subject({f"state/{FILE}": "no database at all, " * 100})
    line = the_wrong(check_spool(looked))
    assert "not a database" in line.found
    assert "sets it aside" in line.remedy


def test_a_spool_of_a_later_version_is_wrong(subject: Subjects, tmp_path: Path) -> None:
    looked = subject()
    connection, _ = open_file(tmp_path / "state", power=False)
    with closing(connection):
        connection.execute(f"PRAGMA user_version={VERSION + 1}")
    assert "written by a later edgefn" in the_wrong(check_spool(looked)).found


def test_damaged_files_that_were_set_aside_are_a_note(subject: Subjects) -> None:
    (line,) = of(check_spool(subject({"state/spool.damaged-20261120T120000.db": "x"})), State.NOTE)
    assert line.found.endswith("spool.damaged-20261120T120000.db")


# --- port, clock, memory -----------------------------------------------------------------------------------------


LISTEN = """
import socket, sys
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    sys.stdin.read()
"""


def test_a_port_that_is_taken_names_the_process(subject: Subjects) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", LISTEN], stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        port = other.stdout.readline().strip()
        named = {"local.settings.json": json.dumps({"IsEncrypted": False, "Host": {"LocalHttpPort": int(port)}})}
        line = check_port(subject(named))
        assert other.stdin is not None
        other.stdin.close()
    assert line.state is State.WRONG
    assert f"port {port} is taken by process {other.pid} (python" in line.found
    assert "--port" in line.remedy


def test_a_port_of_the_host_that_runs_here_is_fine(subject: Subjects, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = {"LocalHttpPort": server.getsockname()[1]}
        looked = subject({"local.settings.json": json.dumps({"IsEncrypted": False, "Host": host})})
        lock = FolderLock(tmp_path / "state")
        lock.take()
        line = check_port(looked)
        lock.release()
    assert (line.state, f"process {os.getpid()}" in line.found) == (State.OK, True)


def test_an_address_that_is_not_here_is_wrong(subject: Subjects) -> None:
    host = {"LocalHttpAddress": "192.0.2.1", "LocalHttpPort": 7071}
    line = check_port(subject({"local.settings.json": json.dumps({"IsEncrypted": False, "Host": host})}))
    assert (line.state, line.remedy) == (State.WRONG, "choose others with --address and --port")


@pytest.mark.parametrize(("now", "found"), [(0.0, "1970"), (7e9, "2191"), (1_770_000_000.0, "is before")])
def test_a_clock_that_can_not_be_right_is_wrong(subject: Subjects, tmp_path: Path, now: float, found: str) -> None:
    looked = subject()
    os.utime(tmp_path / "host.json", (1_780_000_000, 1_780_000_000))
    assert found in the_wrong(check_clock(looked, now)).found


def test_a_clock_behind_the_last_run_is_wrong(subject: Subjects, tmp_path: Path) -> None:
    looked = subject()
    spool_in(tmp_path / "state")
    connection, _ = open_file(tmp_path / "state", power=False)
    with closing(connection):
        later = time.time() + 3600
        connection.execute("INSERT INTO meta VALUES ('last', ?)", (later,))
    assert "the last run on" in the_wrong(check_clock(looked)).found


def test_a_clock_that_is_right_is_fine(subject: Subjects) -> None:
    assert of(check_clock(subject()), State.WRONG) == []


@pytest.mark.parametrize(("used", "state"), [(100, State.OK), (700, State.NOTE), (950, State.WRONG)])
def test_the_limit_of_a_container_counts(tmp_path: Path, used: int, state: State) -> None:
    files = {"memory.max": 1000 * MB, "memory.current": used * MB, "memory.stat": "anon 1\ninactive_file 0"}
    for name, text in files.items():
        (tmp_path / name).write_text(f"{text}\n")
    (line,) = check_memory(tmp_path / "nowhere", tmp_path)
    assert (line.state, "of the container's 1.0 GB" in line.found) == (state, True)


# --- all of it ---------------------------------------------------------------------------------------------------


def test_every_line_that_is_not_ok_says_what_to_do_and_none_shows_a_secret(subject: Subjects) -> None:
    string = f"HostName=h.invalid;DeviceId=d;ModuleId=m;SharedAccessKey={KEY}"
    bad = {"functions/broken.py": dedent(f"raise ValueError('key is {KEY}')"), "local.settings.json": '{"Values": {}}'}
    lines = list(examine(subject(bad, EdgeHubConnectionString=string, DEVICE="GPU")))
    assert {line.check for line in of(iter(lines), State.WRONG)} >= {"functions", "gateway", "devices", "models"}
    assert [line for line in lines if (line.state is not State.OK) != bool(line.remedy)] == []
    assert KEY not in repr(lines)
