"""The doctor on devices and models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from edgefn.doctor import Line, State
from edgefn.doctor.devices import check_devices
from edgefn.doctor.models import check_models
from edgefn.doctor.nodes import may_use, refusal
from edgefn.doctor.servers import check_servers
from tests.doctor.subjects import Subjects, of, the_wrong
from tests.sessions.far_server import far_server


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
