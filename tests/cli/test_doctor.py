"""The doctor from the command line: a table, a list of objects, and the exit code."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import ENDLESS, app_in, command, edgefn, environment, started

FIELDS = ["state", "check", "found", "remedy"]
FREE = {"Host": {"LocalHttpPort": 0}}


def app(folder: Path, source: str = ENDLESS) -> Path:
    """An app whose port is any that is free, so that tests may run side by side."""
    values = {"IsEncrypted": False, "Values": {"SOURCE": source}, **FREE}
    (app_in(folder, source) / "local.settings.json").write_text(json.dumps(values))
    return folder


def test_an_app_that_is_well_ends_with_0_and_a_line_a_check(tmp_path: Path) -> None:
    told = edgefn("doctor", cwd=app(tmp_path))
    assert told.returncode == 0, told.stdout + told.stderr
    lines = told.stdout.splitlines()
    assert f"ok     functions     1 in {tmp_path}" in lines
    assert lines[-1].endswith(" 0 wrong")
    assert list(tmp_path.glob(".edgefn*")) == []


def test_what_is_wrong_is_followed_by_what_to_do(tmp_path: Path) -> None:
    told = edgefn("doctor", cwd=app(tmp_path, "clip.mp4"))
    assert told.returncode == 1
    wrong = next(number for number, line in enumerate(told.stdout.splitlines()) if line.startswith("wrong  functions"))
    assert told.stdout.splitlines()[wrong + 1].strip().startswith("-> there are no clips beside it")


def test_json_is_a_list_of_objects(tmp_path: Path) -> None:
    told = edgefn("doctor", "--json", "--set", "SOURCE=clip.mp4", cwd=app(tmp_path))
    lines = json.loads(told.stdout)
    assert told.returncode == 1
    assert [list(line) for line in lines] == [FIELDS] * len(lines)
    assert [line["check"] for line in lines if line["state"] == "wrong"] == ["functions"]


def test_a_folder_that_is_no_app_is_wrong_and_the_machine_is_looked_at(tmp_path: Path) -> None:
    told = edgefn("doctor", "--json", "--script-root", str(tmp_path), cwd=tmp_path)
    lines = json.loads(told.stdout)
    assert "is no app" in next(line["found"] for line in lines if line["state"] == "wrong")
    assert {"packages", "devices", "disk", "memory"} <= {line["check"] for line in lines}


def test_beside_a_host_that_runs_it_names_it_and_does_not_disturb_it(tmp_path: Path) -> None:
    folder = app(tmp_path)
    with started("start", "--max-seconds", "60", cwd=folder) as host:
        told = edgefn("doctor", cwd=folder)
        assert told.returncode == 0, told.stdout
        assert f"a host runs on the state folder: process {host.process.pid}" in told.stdout
        assert host.process.poll() is None


def test_half_an_environment_of_iot_edge_is_wrong(tmp_path: Path) -> None:
    told = edgefn("doctor", cwd=app(tmp_path), IOTEDGE_MODULEID="cam")
    assert told.returncode == 1
    assert "wrong  hub           the environment of IoT Edge: IOTEDGE_IOTHUBHOSTNAME, " in told.stdout


def test_a_state_folder_that_is_mounted_read_only_is_wrong(tmp_path: Path) -> None:
    """For root too, whom no mode of a folder keeps out."""
    folder, state = app(tmp_path), tmp_path / "state"
    state.mkdir()
    mount = f'mount -t tmpfs -o ro none "{state}" && exec "$@"'
    alone = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("no mounts in a namespace of one's own here")
    asked = [*alone, *command("doctor", "--state", str(state))]
    told = subprocess.run(asked, cwd=folder, env=environment({}), capture_output=True, text=True)
    assert told.returncode == 1
    assert f"wrong  state folder  {state} can not be written: Read-only file system" in told.stdout
    assert "-> it is mounted read-only: mount a volume there" in told.stdout


def test_a_setting_that_is_given_wrongly_is_one_line(tmp_path: Path) -> None:
    told = edgefn("doctor", "--set", "SOURCE", cwd=app(tmp_path))
    assert (told.returncode, told.stderr) == (1, "--set SOURCE: should be NAME=VALUE\n")
