"""The doctor on packages, the app, and the brokers, collectors and voices that it names."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from edgefn.doctor import State, examine, look_at
from edgefn.doctor.brokers import check_brokers
from edgefn.doctor.collector import check_collector
from edgefn.doctor.functions import check_functions
from edgefn.doctor.heard import check_speech
from edgefn.doctor.hub import check_hub
from edgefn.doctor.software import check_packages, check_python
from tests.doctor.subjects import WATCH, Subjects, of, the_wrong
from tests.mqtt.mosquitto import broker_in

# --- software and the app ---------------------------------------------------------------------------------------------


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


# --- brokers ----------------------------------------------------------------------------------------------------------

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


# --- the collector of traces ------------------------------------------------------------------------------------------


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


# --- speech -----------------------------------------------------------------------------------------------------------

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
