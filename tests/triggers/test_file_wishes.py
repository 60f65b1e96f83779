"""What becomes of files that were worked off: kept, deleted or moved, also where the process is killed meanwhile."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from edgefn.spool.arrivals import Arrival
from edgefn.triggers import file_finder
from edgefn.triggers.file_wishes import DELETE, MOVE, fulfil
from edgefn.triggers.folder import Folder, Found
from tests.faults.disks import small_disk
from tests.spool.ports import until
from tests.triggers.files import NAMES, QUICK, Start


@pytest.mark.parametrize("on_done", ['on_done="delete"', 'on_done="move", move_to="done"'])
async def test_a_file_that_was_worked_off_goes_as_declared(started: Start, on_done: str) -> None:
    code = f"""
@app.file_trigger("file", {QUICK}, {on_done}, subfolders=True)
@app.edge_hub_output("$return", "out")
def f(file: str):
    return file
"""
    async with started(code) as site:
        for turn in ("one", "two"):
            site.put("sub/a.txt", turn)
            await until(lambda: not (site.folder / "sub/a.txt").exists())
        await until(lambda: site.sent == ["one", "two"] and site.status["remembered"] == 0)
    moved = {path.name: path.read_text() for path in (site.folder.parent / "done").rglob("*.txt")}
    assert moved == ({"a.txt": "one", "a-2.txt": "two"} if "move" in on_done else {})


async def test_what_was_to_be_done_with_a_file_when_the_process_was_killed_is_done(started: Start) -> None:
    async with started() as site:
        spool, path = site.host.app.services.spool, site.put("a", "text")
        await until(lambda: site.sent == ["a"])
        known = (await spool.arrivals.known("f"))[str(path)]
        other = site.put("b", "text")
        await until(lambda: site.sent == ["a", "b"])
        for each in (known, (await spool.arrivals.known("f"))[str(other)]):
            wished = Arrival(each.path, each.size, each.modified, DELETE)
            await spool._store.run(spool.arrivals.noted("f", wished))  # as the end of its message does
    other.write_text("another one")
    async with started() as site:
        await until(lambda: site.sent == ["a", "b", "b"] and not path.exists())
        assert other.exists()


async def test_what_is_being_done_with_a_file_is_not_begun_a_second_time(
    started: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long copy by one worker, while another one looks: the second would end with the next file of that name."""
    go, begun, looks = threading.Event(), [], []

    def slowly(arrival: Arrival) -> None:
        begun.append(arrival)
        assert go.wait(20)
        fulfil(arrival)

    def files(folder: Folder, look: Callable[[Folder], list[Found]] = Folder.files) -> list[Found]:
        looks.append(len(begun))
        return look(folder)

    monkeypatch.setattr(file_finder, "fulfil", slowly)
    monkeypatch.setattr(Folder, "files", files)
    code = NAMES.replace("interval=0.05", 'interval=0.05, max_concurrency=2, on_done="delete"')
    async with started(code) as site:
        path = site.put("a")
        await until(lambda: len(begun) > 1 or looks.count(1) == 3)
        go.set()
        await until(lambda: not path.exists())
        assert len(begun) == 1


async def test_wishes_that_fail_hold_up_no_file_that_arrives(started: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder on a share that is away: each attempt may take as long as that needs to say so."""
    seen = []

    def fail(arrival: Arrival) -> None:
        seen.append("wish")
        raise OSError("the share is away")

    def files(folder: Folder, look: Callable[[Folder], list[Found]] = Folder.files) -> list[Found]:
        seen.append("look")
        return look(folder)

    monkeypatch.setattr(file_finder, "fulfil", fail)
    code = NAMES.replace("interval=0.05", 'interval=0.01, on_done="delete"')
    async with started(code) as site:
        for name in "abcdefgh":
            site.put(name)
        await until(lambda: len(site.sent) == 8)
        monkeypatch.setattr(Folder, "files", files)
        seen.clear()
        await until(lambda: seen.count("wish") > 30)
        assert seen.count("look") * 2 > seen.count("wish")
        monkeypatch.setattr(file_finder, "fulfil", fulfil)
        await until(lambda: not any(site.folder.iterdir()))


def test_a_file_is_moved_over_no_other_one_and_only_once(tmp_path: Path) -> None:
    target = tmp_path / "done" / "a.txt"
    for content in ("one", "two"):
        (tmp_path / "a.txt").write_text(content)
        known = (tmp_path / "a.txt").stat()
        arrival = Arrival(str(tmp_path / "a.txt"), known.st_size, known.st_mtime_ns, f"{MOVE}{target}")
        fulfil(arrival)
        fulfil(arrival)
    assert {path.name: path.read_text() for path in target.parent.iterdir()} == {"a.txt": "one", "a-2.txt": "two"}
    (tmp_path / "a.txt").write_bytes((target.parent / "a-2.txt").read_bytes())
    os.utime(tmp_path / "a.txt", ns=(arrival.modified, arrival.modified))
    fulfil(arrival)
    assert not (tmp_path / "a.txt").exists(), "it had been copied, when the process was killed"
    assert len(list(target.parent.iterdir())) == 2


def test_a_file_of_equal_size_and_time_is_another_one_by_what_is_in_it(tmp_path: Path) -> None:
    """FAT and FTP know whole seconds, and a camera may write each picture in the same size."""
    for content in ("one", "two"):
        path = tmp_path / "a"
        path.write_text(content)
        os.utime(path, ns=(0, 10**18))
        fulfil(Arrival(str(path), 3, 10**18, f"{MOVE}{tmp_path / 'done' / 'a'}"))
        assert not path.exists()
    assert {path.name: path.read_text() for path in (tmp_path / "done").iterdir()} == {"a": "one", "a-2": "two"}


def test_a_file_that_comes_while_another_one_is_copied_keeps_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the border of a disk, which takes its time: the name was free when the copy began."""
    path, target = tmp_path / "a", tmp_path / "done" / "a"
    path.write_text("mine")
    known = path.stat()

    def copy(source: Path, part: Path, do: Callable[[Path, Path], Any] = shutil.copy2) -> None:
        target.write_text("of another function")
        do(source, part)

    with small_disk(tmp_path / "done"):
        monkeypatch.setattr(shutil, "copy2", copy)
        fulfil(Arrival(str(path), known.st_size, known.st_mtime_ns, f"{MOVE}{target}"))
        found = {path.name: path.read_text() for path in target.parent.iterdir()}
    assert found == {"a": "of another function", "a-2": "mine"}
    assert not path.exists()


KILLED = """
import os, shutil, sys
from edgefn.spool.arrivals import Arrival
from edgefn.triggers.file_wishes import fulfil
def copy(source, part):
    part.write_text("half")
    os.kill(os.getpid(), 9)
shutil.copy2 = copy
fulfil(Arrival(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
"""


def test_a_kill_in_the_middle_of_a_copy_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("whole")
    known = path.stat()
    arrival = Arrival(str(path), known.st_size, known.st_mtime_ns, f"{MOVE}{tmp_path / 'done' / 'a'}")
    with small_disk(tmp_path / "done"):
        subprocess.run([sys.executable, "-c", KILLED, *(str(each) for each in astuple(arrival))], check=False)
        assert len(list((tmp_path / "done").iterdir())) == 1
        fulfil(arrival)
        assert [(each.name, each.read_text()) for each in (tmp_path / "done").iterdir()] == [("a", "whole")]
    assert not path.exists()
