"""The doctor on the state folder and the spool in it."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path

import pytest

from edgefn.doctor import State, look_at
from edgefn.doctor.folder import check_folder, room
from edgefn.doctor.sizes import MB
from edgefn.doctor.waiting import check_spool
from edgefn.spool import FILE, connect
from edgefn.spool.lock import FolderLock
from edgefn.spool.schema import VERSION, open_file
from tests.doctor.subjects import SETTINGS, Subjects, of, spool_in, the_wrong


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
