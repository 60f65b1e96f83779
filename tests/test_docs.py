"""The guides do what they say: their blocks that are marked are run, in order, in a folder of their own.

A block of a guide is marked behind its language:

- ``console run``: lines with ``$`` are commands, which have to succeed; what follows is what they print, with ``...``
  for any text, and a line ``...`` for any lines;
- ``console replay``: the commands have to succeed, whatever they print now; ``console fails``: they have to fail;
- ``python file=functions/x.py``: the file is written, in the folder where the last command was run;
- ``python run``: the program has to succeed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgefn import cli

ROOT = Path(__file__).parents[1]
PACKAGE = str(Path(cli.__file__).parents[2])
PLAIN = {"COLUMNS": "100", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""A terminal of usual width, and pytest as it is without what happens to be installed here."""
BLOCK = re.compile(r"^```(console|python) (run|replay|fails|file=\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GUIDES = [
    path for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))] if BLOCK.search(path.read_text())
]


@dataclass(slots=True)
class Reader:
    """Somebody who does what a guide says, in a folder that is new."""

    folder: Path
    path: str

    def read(self, text: str) -> None:
        for language, mark, block in BLOCK.findall(text):
            if mark.startswith("file="):
                (self.folder / mark.removeprefix("file=")).write_text(block)
            elif language == "python":
                self.run(f"python - <<'END'\n{block}END")
            else:
                for command, shown in steps(block):
                    printed = self.run(command, fails=mark == "fails")
                    assert mark != "run" or matches(printed, shown), f"$ {command}\n{printed}\nis not\n{shown}"

    def run(self, command: str, *, fails: bool = False) -> str:
        """What a command prints; it has to succeed, or to fail."""
        if command.startswith("cd "):
            self.folder = self.folder / command.removeprefix("cd ")
            return ""
        ended = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env={**os.environ, **PLAIN, "PATH": self.path, "PYTHONPATH": PACKAGE},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert (ended.returncode != 0) is fails, f"$ {command}\n{ended.stdout}"
        return ended.stdout


def steps(block: str) -> Iterator[tuple[str, str]]:
    """The commands of a block, each with what it prints."""
    for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, shown = step.partition("\n")
        if "<<'END'" in command:
            typed, _, shown = shown.partition("END\n")
            command = f"{command}\n{typed}END"
        yield command, shown


def matches(printed: str, shown: str) -> bool:
    """Whether a text is what the guide shows, but for its ellipses."""
    parts = [r"(?:.*\n)*?" if line.strip() == "..." else _line(line) for line in shown.splitlines()]
    return not shown or re.fullmatch("".join(parts), printed) is not None


def _line(line: str) -> str:
    return r"[^\n]*".join(re.escape(part) for part in line.split("...")) + r"[^\S\n]*\n"


def programs_in(folder: Path) -> str:
    """A PATH that begins with this folder, in which are the commands edgefn and python: this one, installed or not."""
    folder.mkdir()
    for name, command in {"edgefn": f'"{sys.executable}" -m edgefn', "python": f'"{sys.executable}"'}.items():
        (folder / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    folder = tmp_path / "work"
    folder.mkdir()
    return Reader(folder, programs_in(tmp_path / "bin"))


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="the guides are written for a POSIX shell")
@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_guide_does_what_it_says(reader: Reader, guide: Path) -> None:
    reader.read(guide.read_text())


def test_the_tutorial_and_the_transcript_are_run() -> None:
    assert {"tutorial", "transcript"} <= {guide.stem for guide in GUIDES}


@pytest.mark.parametrize(
    ("shown", "is_right"),
    [
        ("", True),
        ("one\ntwo 17\nthree\n", True),
        ("one\n...\n", True),
        ("...\nthree\n", True),
        ("one\ntwo ...\nthree\n", True),
        ("one\n", False),
        ("two ...\n", False),
        ("one\ntwo 18\n...\n", False),
    ],
)
def test_an_ellipsis_stands_for_any_text(shown: str, is_right: bool) -> None:
    assert matches("one\ntwo 17\nthree\n", shown) is is_right
