"""How a hub starts and ends, and what it says when it can not."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

import pytest

from edgefn.standin.folder import Folder
from tests.standin.hubs import HubProcess, free_address, running_hub
from tests.standin.mqtt import module


def refused(hub: HubProcess, *options: str) -> str:
    """What a hub says that does not start."""
    hub.spawn(*options)
    assert hub.wait_for_end() == 1
    assert "Traceback" not in hub.log
    return hub.log


@pytest.fixture
def idle(tmp_path: Path) -> HubProcess:
    return HubProcess(tmp_path / "hub")


def test_the_ready_line_is_json_when_asked_for(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path / "hub", "--json")
    hub.spawn()
    try:
        said = json.loads(hub.wait_for_line('"ready"'))
        assert said["ready"] is True
        assert (said["host"], said["port"], said["device"]) == (hub.address, 8883, "edge")
        assert said["workload"] == f"unix://{hub.folder}/workload.sock"
        assert all(json.loads(line) for line in hub.log.splitlines())
    finally:
        hub.close()


def test_sigterm_ends_it_with_0_and_leaves_no_socket(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub, module(hub, "cam") as client:
        assert hub.stop() == 0
        client.wait_until_lost()
        assert [path.name for path in hub.folder.glob("*.sock")] == []


def test_sigterm_does_not_wait_for_who_waits_for_it(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        hub.control.fault("workload-hang")
        with socket.socket(socket.AF_UNIX) as waiting, socket.socket(socket.AF_UNIX) as tailing:
            waiting.connect(str(hub.folder / "workload.sock"))
            waiting.sendall(b"GET /trust-bundle HTTP/1.1\r\nHost: x\r\n\r\n")
            tailing.connect(str(hub.folder / "control.sock"))
            tailing.sendall(b"GET /upstream?wait=60 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert hub.stop() == 0
        assert "Traceback" not in hub.log


def test_the_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        hub.env("cam")
        assert stat.S_IMODE(hub.folder.stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in hub.folder.iterdir()}
        assert {"root.pem", "server.pem", "authority.pem", "hub.db", "lock"} <= modes.keys()
        others = {name: mode for name, mode in modes.items() if mode != 0o600}
        assert others == {"workload.sock": 0o666}  # as IoT Edge's: a module may be any user of its container


def test_sockets_that_lie_outside_of_a_folder_with_a_long_name_are_not_left_there(tmp_path: Path) -> None:
    """By a hub that ends; after one that was killed they are removed when another one starts, but not those of one that
    lives.
    """
    ended, killed, lives = (Folder(tmp_path / name / ("x" * 100)) for name in ("ended", "killed", "lives"))
    listening = {}
    for folder in (ended, killed, lives):
        folder.open()
        listening[folder] = made = socket.socket(socket.AF_UNIX)
        made.bind(str(folder.workload_socket))
        made.listen()
        os.utime(folder.workload_socket.parent, (1, 1))
    for folder in (ended, killed):
        listening[folder].close()
    ended.workload_socket.unlink()
    ended.close()
    assert not ended.workload_socket.parent.exists()
    Folder(tmp_path / "another").open()
    assert [folder.workload_socket.parent.exists() for folder in (killed, lives)] == [False, True]
    listening[lives].close()
    lives.workload_socket.unlink()
    lives.close()


def test_a_second_hub_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        assert hub.process is not None
        said = refused(HubProcess(hub.folder))
        assert f"{hub.folder}: process {hub.process.pid} runs a hub there; stop it, or name another folder" in said
        assert hub.control.status()["pid"] == hub.process.pid


def test_a_port_that_is_taken_is_said(idle: HubProcess) -> None:
    with socket.socket() as taken:
        taken.bind((idle.address, 8883))
        taken.listen()
        assert f"{idle.address}:8883: the port is taken; stop who has it, or name another --host" in refused(idle)


def test_an_address_of_another_machine_is_said(idle: HubProcess) -> None:
    assert "192.0.2.1:8883: not an address of this machine" in refused(idle, "--host", "192.0.2.1")


def test_a_host_that_is_no_address_is_said(idle: HubProcess) -> None:
    assert "--host nowhere.invalid: " in refused(idle, "--host", "nowhere.invalid")


def test_a_folder_that_can_not_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "file/hub: can not be written: Not a directory" in refused(HubProcess(tmp_path / "file" / "hub"))


def test_a_wrong_manifest_and_a_wrong_fault_are_said(idle: HubProcess, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{\n"modulesContent": }')
    assert f"{tmp_path}/broken.json:2: no valid JSON" in refused(idle, "-d", str(tmp_path / "broken.json"))
    assert f"{tmp_path}/gone.json: can not be read" in refused(idle, "-d", str(tmp_path / "gone.json"))
    assert "fault 'lose-puback': there is none of that name; did you mean 'lose-pubacks'?" in refused(
        idle, "--fault", "lose-puback"
    )


def test_a_long_folder_gets_its_sockets_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 20) / ("longer" * 10)
    with running_hub(folder) as hub:
        uri = hub.env("cam")["IOTEDGE_WORKLOADURI"]
        assert len(uri.removeprefix("unix://").encode()) <= 107
        assert not uri.startswith(f"unix://{tmp_path}")
        assert Path(uri.removeprefix("unix://")).is_socket()
        hub.restart()
        assert hub.control.environment("cam")["IOTEDGE_WORKLOADURI"] == uri


def test_keys_and_certificates_stay_and_the_certificate_names_a_new_address(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        before, root = hub.env("cam"), (hub.folder / "root.pem").read_bytes()
        hub.restart()
        assert hub.control.environment("cam") == before
        hub.kill()
        hub.address = free_address()
        hub.start()
        assert (hub.folder / "root.pem").read_bytes() == root
        with module(hub, "cam") as client:
            client.publish("out", "x")


def test_a_broken_certificate_is_said(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        hub.kill()
        (hub.folder / "authority.pem").write_text("nothing")
        (hub.folder / "server.pem").write_text("nothing")
        assert f"{hub.folder}: a certificate can not be read: " in refused(hub)


def test_clients_may_find_it_by_another_name(tmp_path: Path) -> None:
    with running_hub(tmp_path, "--gateway", "edgehub.example", "--device-id", "box") as hub:
        variables = hub.env("cam")
        assert variables["IOTEDGE_GATEWAYHOSTNAME"] == "edgehub.example"
        assert variables["IOTEDGE_DEVICEID"] == "box"
        with module(hub, "cam") as client:
            client.publish("out", "x")
        assert hub.control.upstream()[0].device == "box"


def test_another_port_may_be_taken(tmp_path: Path) -> None:
    with running_hub(tmp_path, "--port", "0", "--json") as hub:
        assert hub.control.status()["port"] not in (0, 8883)
