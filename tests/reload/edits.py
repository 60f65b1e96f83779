"""Random edits of a running app, good and broken; in the end it is what a fresh start gives, and memory is flat.

    python -m tests.reload.edits --edits 500

Prints one line of JSON, and exits with 1 when the states differ, or memory grows by more than a few MiB.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgefn.contracts import EdgeMessage
from edgefn.host import Host
from edgefn.loader import load_app
from edgefn.reload import Reloader
from tests.spool.ports import until

NAMES = ("a", "b", "c")
FUNCTION = """
import edgefn
from functions._shared import suffix

app = edgefn.FunctionApp()

@app.edge_hub_trigger("m", "{name}")
@app.edge_hub_output("$return", "out")
def {name}(m):
    return {{"name": "{name}", "number": {number}, "suffix": suffix()}}
"""
SHARED = 'def suffix():\n    return "{number}"\n'
BROKEN = ("def broken(:\n", "raise RuntimeError('at import')\n", "import functions._not_there\n", "x = 1 /\n")
ALLOWED = 24.0
"""MiB that the process may grow over the second half of the edits: allocators keep some of what they had."""


class Files:
    """What is on disk, and random changes of it."""

    def __init__(self, root: Path, dice: random.Random) -> None:
        self.root = root
        self._dice = dice
        self._number = 0
        (root / "functions").mkdir(parents=True)
        (root / "host.json").write_text('{"version": "2.0"}')
        self.good()

    def _write(self, name: str, text: str) -> Path:
        path = self.root / f"functions/{name}.py"
        path.write_text(text)
        return path

    def good(self) -> set[Path]:
        """Every file as it should be."""
        self._number += 1
        saved = {self._write(name, FUNCTION.format(name=name, number=self._number)) for name in NAMES}
        return saved | {self._write("_shared", SHARED.format(number=self._number))}

    def edit(self) -> set[Path]:
        """One of the things that people do to files."""
        self._number += 1
        name, code = self._dice.choice(NAMES), FUNCTION
        whole = code.format(name=name, number=self._number)
        kind = self._dice.choice(
            ("good", "good", "broken", "option", "cycle", "delete", "helper", "bad helper", "rename")
        )
        if kind == "good":
            return {self._write(name, whole)}
        if kind == "broken":
            return {self._write(name, whole + self._dice.choice(BROKEN))}
        if kind == "option":
            return {self._write(name, whole.replace(f'"{name}")', f'"{name}", no_such_option=1)', 1))}
        if kind == "cycle":
            text = SHARED.format(number=self._number)
            return {self._write("_shared", f"from functions.{name} import {name}\n{text}")}
        if kind == "delete":
            path = self.root / f"functions/{name}.py"
            path.unlink(missing_ok=True)
            return {path}
        if kind == "rename":
            return {self._write(name, whole.replace(f"def {name}(", f"def {name}_{self._number}("))}
        text = SHARED.format(number=self._number)
        return {self._write("_shared", text if kind == "helper" else text + "def (:\n")}


async def edited(root: Path, edits: int, seed: int = 0) -> dict[str, Any]:
    """Runs the app through the edits; what differs from a fresh start, and how memory went."""
    files = Files(root, random.Random(seed))
    host = Host(load_app(root, environment={}))
    await host.start()
    reloader = Reloader(host)
    memory = []
    try:
        for number in range(edits):
            await reloader.reload(files.edit())
            if number in (edits // 2, edits - 1):
                gc.collect()
                memory.append(_resident())
        await reloader.reload(files.good())
        answers = await _answers(host)
    finally:
        await host.stop()
    fresh = Host(load_app(root, environment={}, state=root / "fresh"))
    await fresh.start()
    wanted = await _answers(fresh)
    await fresh.stop()
    return {
        "edits": edits,
        "reloads": reloader.count,
        "errors_left": reloader.errors,
        "same_as_fresh": answers == wanted,
        "grown_mib": round(memory[-1] - memory[0], 1),
    }


async def _answers(host: Host) -> dict[str, Any]:
    """What each function gives for a message now."""
    spool, answers = host.app.services.spool, {}
    path = host.app.services.state / "upstream.jsonl"
    for name in sorted(running.function.name for running in host.running):
        seen = path.read_text().count("\n") if path.exists() else 0
        await spool.inbox.on_input(EdgeMessage(b"x", input_name=name))
        await until(lambda seen=seen: path.exists() and path.read_text().count("\n") > seen)  # type: ignore[misc]
        answers[name] = json.loads(path.read_text().splitlines()[-1])["body"]
    return answers


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edits", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        told = asyncio.run(edited(Path(folder) / "app", asked.edits, asked.seed))
    print(json.dumps(told))  # noqa: T201
    sys.exit(0 if told["same_as_fresh"] and not told["errors_left"] and told["grown_mib"] < ALLOWED else 1)


if __name__ == "__main__":
    main()
