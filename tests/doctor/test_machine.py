"""The doctor on the port, the clock and the memory, and on all of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import pytest

from edgefn.doctor import State, examine
from edgefn.doctor.clock import check_clock
from edgefn.doctor.memory import check_memory
from edgefn.doctor.ports import check_port
from edgefn.doctor.sizes import MB
from edgefn.spool.lock import FolderLock
from edgefn.spool.schema import open_file
from tests.doctor.subjects import KEY, Subjects, of, spool_in, the_wrong

# --- port, clock, memory ----------------------------------------------------------------------------------------------


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


# --- all of it --------------------------------------------------------------------------------------------------------


def test_every_line_that_is_not_ok_says_what_to_do_and_none_shows_a_secret(subject: Subjects) -> None:
    string = f"HostName=h.invalid;DeviceId=d;ModuleId=m;SharedAccessKey={KEY}"
    bad = {"functions/broken.py": dedent(f"raise ValueError('key is {KEY}')"), "local.settings.json": '{"Values": {}}'}
    lines = list(examine(subject(bad, EdgeHubConnectionString=string, DEVICE="GPU")))
    assert {line.check for line in of(iter(lines), State.WRONG)} >= {"functions", "gateway", "devices", "models"}
    assert [line for line in lines if (line.state is not State.OK) != bool(line.remedy)] == []
    assert KEY not in repr(lines)
