"""The real command in a process of its own, and small apps for it to run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

from edgefn import cli
from tests import forks

LONGEST = 120.0
READY = "Worker process started and initialized."

SHORT = "synthetic:?width=64&height=48&frames=5"
ENDLESS = "synthetic:?width=64&height=48"

COUNT = """
import edgefn
app = edgefn.FunctionApp()
@app.video_frame_trigger("frame", "%SOURCE%")
@app.edge_hub_output("$return", "frames")
def count(frame):
    return frame.id
"""
LIVE = COUNT.replace('"%SOURCE%"', '"%SOURCE%", real_time=True')
"""At the pace of a camera: without an end and a pace it would take a processor."""


def app_in(folder: Path, source: str = SHORT, **functions: str) -> Path:
    """Writes an app of these functions by name, or of one that sends the ids of its frames; gives its folder."""
    counting = LIVE if source == ENDLESS else COUNT
    (folder / "functions").mkdir(parents=True, exist_ok=True)
    (folder / "host.json").write_text('{"version": "2.0"}')
    (folder / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, "Values": {"SOURCE": source}}))
    for name, code in (functions or {"count": counting}).items():
        (folder / f"functions/{name}.py").write_text(dedent(code))
    return folder


def command(*arguments: str) -> list[str]:
    """The command line; hosts take a free port where none is given, so that tests may run side by side."""
    free = ("--port", "0") if arguments[0] == "start" and "--port" not in arguments else ()
    return [sys.executable, "-m", "edgefn", *arguments, *free]


def edgefn(*arguments: str, cwd: Path, stdin: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    return forks.run(command(*arguments), cwd=cwd, env=environment(variables), input=stdin, timeout=LONGEST)


def environment(more: dict[str, str]) -> dict[str, str]:
    """The variables that the command gets: ours, without an app root."""
    known = {name: value for name, value in os.environ.items() if name != "AzureWebJobsScriptRoot"}
    package = str(Path(cli.__file__).parents[2])  # also where the package is not installed, but on a relative path
    return {**known, "COLUMNS": "200", "PYTHONPATH": package, **more}


class Running:
    """The command while it runs; ``log`` is what it has printed so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log = ""

    def wait_for(self, text: str) -> None:
        """Returns when a line that holds the text was printed."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log += line
            if text in line:
                return
        raise AssertionError(f"ended without {text!r}:\n{self.log}")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Waits for the end; the exit code."""
        assert self.process.stdout is not None
        self.log += self.process.stdout.read()
        return self.process.wait()


@contextmanager
def started(*arguments: str, cwd: Path, ready: str = READY, **variables: str) -> Iterator[Running]:
    """The command, when it has printed that it is ready; it is killed after two minutes, whatever it does."""
    pipe, out = subprocess.PIPE, subprocess.STDOUT
    with forks.Process(
        command(*arguments), cwd=cwd, env=environment(variables), stdout=pipe, stderr=out, text=True
    ) as process:
        alarm = threading.Timer(LONGEST, process.kill)
        alarm.start()
        try:
            running = Running(process)
            running.wait_for(ready)
            yield running
        finally:
            alarm.cancel()
            process.kill()


def sent(state: Path, output: str) -> list[Any]:
    """What went to IoT Hub by an output, oldest first."""
    lines = [json.loads(line) for line in (state / "upstream.jsonl").read_text().splitlines()]
    return [line["body"] for line in lines if line["output"] == output]
