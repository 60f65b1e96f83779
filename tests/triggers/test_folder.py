"""Which files of a folder are wanted, and which of them are whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgefn.triggers.folder import Folder, Found, Settling


def folder(path: Path, *patterns: str, subfolders: bool = False) -> Folder:
    return Folder(path, patterns, subfolders)


def names(found: list[Found]) -> list[str]:
    return [file.name for file in found]


@pytest.mark.parametrize(
    ("name", "is_wanted"),
    [
        ("a.jpg", True),
        ("A.JPG", True),
        ("b.png", False),
        (".a.jpg", False),
        (".a.jpg.Xy12", False),
        ("a.jpg.part", False),
        ("a.jpg.TMP", False),
        ("a.jpg~", False),
        ("a.jpg.crdownload", False),
        ("[1].jpg", True),
    ],
)
def test_names_match_patterns_without_regard_to_case_and_those_of_unfinished_files_never_do(
    tmp_path: Path, name: str, is_wanted: bool
) -> None:
    (tmp_path / name).write_text("x")
    assert folder(tmp_path, "*.jpg").wants(name) is is_wanted
    assert names(folder(tmp_path, "*.jpg").files()) == [name] * is_wanted
    assert names(folder(tmp_path, "*.jpg").those_of([str(tmp_path / name)])) == [name] * is_wanted


def test_files_are_found_oldest_first_and_nothing_but_files(tmp_path: Path) -> None:
    for at, name in enumerate(("c", "a", "b")):
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (at, at))
    (tmp_path / "folder").mkdir()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    found = folder(tmp_path).files()
    assert names(found) == ["c", "a", "b"]
    assert folder(tmp_path).those_of(str(path) for path in tmp_path.iterdir()) == found


@pytest.mark.parametrize("subfolders", [True, False])
def test_files_of_folders_count_where_that_is_said(tmp_path: Path, subfolders: bool) -> None:
    wanted = folder(tmp_path, subfolders=subfolders)
    for name in ("top", "one/two/deep", ".hidden/no"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (1, 1))
    (tmp_path / "one" / "loop").symlink_to(tmp_path)
    expected = ["one/two/deep", "top"] if subfolders else ["top"]
    assert names(wanted.files()) == expected
    paths = [str(tmp_path / name) for name in ("top", "one/two/deep", ".hidden/no", "../outside")]
    assert names(wanted.those_of(paths)) == expected


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_file_is_whole_when_it_has_not_changed_for_a_while() -> None:
    clock = Clock()
    settling = Settling(clock)
    assert settling.settled([Found("a", "a", 10, 1)], None, 2.0) == []
    clock.now += 1.5
    assert settling.due(2.0) == 0.5
    grown = Found("a", "a", 20, 2)
    assert settling.settled([grown], None, 2.0) == [], "a slow copy goes on"
    clock.now += 1.5
    assert settling.settled([grown], None, 2.0) == []
    assert settling.ripe(2.0) == set()
    clock.now += 0.5
    assert settling.ripe(2.0) == {"a"}
    assert settling.settled([grown], {"a"}, 2.0) == [grown]
    assert len(settling) == 0


def test_an_empty_file_is_never_whole_and_one_that_went_is_forgotten() -> None:
    clock = Clock()
    settling = Settling(clock)
    empty, other = Found("a", "a", 0, 1), Found("b", "b", 5, 1)
    settling.settled([empty, other], None, 1.0)
    clock.now += 60
    assert settling.settled([empty], {"a"}, 1.0) == []
    assert settling.due(1.0) == 0.0, "that of the other one"
    assert settling.settled([empty], None, 1.0) == []
    assert settling.due(1.0) == float("inf")
    assert len(settling) == 1
