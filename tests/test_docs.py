"""The guides do what they say: their blocks that are marked are run, in order, in a folder of their own.

Each block of Python or a console is marked behind its language:

- ``console run``: lines with ``$`` are commands, which have to succeed; what follows is what they print, with ``...``
  for any text, and a line ``...`` for any lines;
- ``console replay``: the commands have to succeed, whatever they print now; ``console fails``: they have to fail;
- ``python file=functions/x.py``: the file, of any language, is written in the folder where the last command was run;
- ``python run``: the program has to succeed;
- ``python app``: it is a module of functions, which start without an error, on the models and the video of the sample;
- ``python decorators``: they are taken over a function of video, and are without an error;
- ``python tested by tests/x.py``: that test runs it; ``console shown: why``: nothing does, and why not.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgefn import cli
from edgefn.host import Host
from edgefn.loader import load_app
from tests import forks

ROOT = Path(__file__).parents[1]
PACKAGE = str(Path(cli.__file__).parents[2])
PLAIN = {"COLUMNS": "100", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""A terminal of usual width, and pytest as it is without what happens to be installed here."""
LONGEST = 120
"""Seconds that a command may take."""
FROM_DISK = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_QUIET": "1"}
"""What pip installs in a guide comes from nowhere else."""
BLOCK = re.compile(r"^```(\w+) (run|replay|fails|file=\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DECORATORS = re.compile(r"^```python decorators\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VIDEO = 'import edgefn\napp = edgefn.FunctionApp()\n@app.video_frame_trigger("frame", "synthetic:")\n'
APP = re.compile(r"^```python app\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LITERAL = re.compile(r"""'[^']*'|"[^"$`\\]*"|\{\w+\}""")
SHELL = re.compile(r"""[^\w\s./:=,@%+'-]""")
"""What a shell might take for its own."""
ANY = re.compile(r"^```(?:python|console)[^\S\n]*(.*)\n", re.MULTILINE)
MARK = re.compile(r"run|replay|fails|file=\S+|app|decorators|tested by (?P<test>tests/\S+\.py)|shown: .{10,}")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GUIDES = [path for path in PAGES if BLOCK.search(path.read_text())]
APPS = [(path.stem, block) for path in PAGES for block in APP.findall(path.read_text())]
SAMPLE = {
    "INPUT": "synthetic:",
    "DEVICE": "CPU",
    "MODEL_XML_PATH": str(ROOT / "sample/street-detector.xml"),
    "LIGHT_MODEL": str(ROOT / "sample/light-classifier.xml"),
    "CLASSIFIER_XML_PATH": str(ROOT / "sample/light-classifier.xml"),
    "OUTPUT_DIR": "out",
    "MQTT_BROKER": "mqtt://localhost:1",
    "SPEECH_PROVIDER": "espeak",
    "SPEECH_KEY": "none",
    "SPEECH_REGION": "none",
    "SPEECH_PLAYER": "none",
    "SPEECH_VOICE": "en",
    "SPEECH_MAP": "{}",
}


@dataclass(slots=True)
class Reader:
    """Somebody who does what a guide says, in a folder that is new."""

    folder: Path
    path: str
    site: Path
    """Where the packages are that a guide installs."""

    def read(self, text: str) -> None:
        for language, mark, block in BLOCK.findall(text):
            if mark.startswith("file="):
                path = self.folder / mark.removeprefix("file=")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block)
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
        with forks.Process(
            plain(command) or ["bash", "-c", command],
            cwd=self.folder,
            env={
                **os.environ,
                **PLAIN,
                **FROM_DISK,
                "PATH": self.path,
                "PYTHONPATH": f"{PACKAGE}{os.pathsep}{self.site}",
                "PIP_TARGET": str(self.site),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                printed, _ = process.communicate(timeout=LONGEST)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        assert (process.returncode != 0) is fails, f"$ {command}\n{printed}"
        return printed


def plain(command: str) -> list[str]:
    """The words of a call of edgefn that needs no shell; else none."""
    command = command.replace("\\\n", " ")
    is_plain = command.startswith("edgefn ") and not SHELL.search(LITERAL.sub("", command))
    return [sys.executable, "-m", *shlex.split(command)] if is_plain else []


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


def reader_in(folder: Path, home: Path) -> Reader:
    """A reader at home, with the commands edgefn, python and pip: those of here, installed or not."""
    home.mkdir(exist_ok=True)
    return Reader(home, programs_in(folder / "bin"), folder / "site")


def programs_in(folder: Path) -> str:
    """A PATH that begins with this folder, in which the programs are."""
    folder.mkdir()
    python = f'"{sys.executable}"'
    for name, command in {"edgefn": f"{python} -m edgefn", "python": python, "pip": f"{python} -m pip"}.items():
        (folder / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    yield reader_in(tmp_path, tmp_path / "work")
    for left in tmp_path.rglob("start.pid"):  # a host that a guide has started, where it could not end it itself
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(left.read_text()), signal.SIGKILL)


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="the guides are written for a POSIX shell")
@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_guide_does_what_it_says(reader: Reader, guide: Path) -> None:
    reader.read(guide.read_text())


@pytest.mark.parametrize(("guide", "block"), APPS, ids=[guide for guide, _ in APPS])
async def test_the_functions_of_a_guide_start_without_an_error(
    folder: Callable[[Mapping[str, str]], Path], guide: str, block: str
) -> None:
    host = Host(load_app(folder({"functions/example.py": block}), environment={}, given=SAMPLE))
    await host.start()
    try:
        states = host.status()["functions"].values()
        assert [each["errors"] for each in states] == [[] for _ in states]
        assert states
    finally:
        await host.stop()


@pytest.mark.parametrize(
    "block", [block for path in PAGES for block in DECORATORS.findall(path.read_text())], ids=lambda block: block[:60]
)
def test_the_decorators_of_a_guide_are_without_an_error(
    folder: Callable[[Mapping[str, str]], Path], block: str
) -> None:
    parameters = ", ".join(["frame", *re.findall(r'arg_name="(\w+)"', block)])
    code = f"{VIDEO}{block}def example({parameters}): ..."
    (function,) = load_app(folder({"functions/example.py": code}), environment={}, given=SAMPLE).functions
    assert function.errors == []


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


def test_each_figure_of_the_readme_names_the_benchmark_that_gives_it() -> None:
    figures = (ROOT / "README.md").read_text().partition("## Figures")[2].partition("## ")[0]
    lines = [line for line in figures.splitlines() if line.startswith("| ")][1:]
    named = [re.search(r"\(`(\w+\.py)`\)", line.split("|")[1]) for line in lines]
    assert [line for line, found in zip(lines, named, strict=True) if found is None] == []
    assert [found[1] for found in named if found and not (ROOT / "benchmarks" / found[1]).exists()] == []


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("edgefn check", ["check"]),
        (
            'edgefn send people \'{"a": ["$b"]}\' --to "two words"',
            ["send", "people", '{"a": ["$b"]}', "--to", "two words"],
        ),
        (
            "edgefn manifest make \\\n  --image registry/{module}:1.0",
            ["manifest", "make", "--image", "registry/{module}:1.0"],
        ),
        ('edgefn deploy --set "KEY=$KEY"', []),
        ("edgefn check lost.json || true", []),
        ("edgefn new *.json", []),
        ("edgefn start &", []),
        ("KEY=1 edgefn list", []),
    ],
)
def test_only_a_call_that_needs_no_shell_goes_without_one(command: str, words: list[str]) -> None:
    assert plain(command)[3:] == words
