"""Apps of the tests' own, run by the real host over the real models and clips; a module may share one run."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from edgefn.host import Host
from edgefn.loader import App, load_app

LONGEST = 180.0  # seconds; only a time-out, as other work may share the processors
HEAD = "import asyncio, time\nimport edgefn\napp = edgefn.FunctionApp()\n"

Load = Callable[..., App]
Play = Callable[..., "Played"]


@dataclass(frozen=True, slots=True)
class Played:
    """An app that was run until its sources had ended: its status just before it stopped, and what went upstream."""

    app: App
    status: dict[str, Any]
    lines: list[dict[str, Any]]

    @property
    def functions(self) -> dict[str, Any]:
        return self.status["functions"]

    def bodies(self, output: str) -> list[Any]:
        """The messages of one output, in the order in which they left."""
        return [line["body"] for line in self.lines if line["output"] == output]


async def play_app(app: App, until: Callable[[Host], Any] = Host.wait_for_end) -> Played:
    """Runs an app until its sources have ended, or what ``until`` awaits is true."""
    host = Host(app)
    await host.start()
    try:
        async with asyncio.timeout(LONGEST):
            await until(host)
        status = host.status()
    finally:
        await host.stop()
    return Played(app, status, upstream(app.services.state))


def upstream(state: Path) -> list[dict[str, Any]]:
    """The messages that went to IoT Hub, oldest first."""
    paths = [state / "upstream.1.jsonl", state / "upstream.jsonl"]
    return [json.loads(line) for path in paths if path.exists() for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory, test_data: Path) -> Iterator[Load]:
    """Loads an app from files in a new folder (or ``folder``), ``%DATA%`` being the folder of models and clips."""
    before = sys.path[:]

    def load_files(files: Mapping[str, str], folder: Path | None = None, **settings: str) -> App:
        sys.path[:] = before  # functions/ is a namespace package: apps must not see each other's
        root = folder or tmp_path_factory.mktemp("app")
        for name, text in {"host.json": '{"version": "2.0"}', **files}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text((HEAD if name.startswith("functions/") else "") + dedent(text))
        return load_app(root, environment={}, given={"DATA": str(test_data), **settings})

    yield load_files
    sys.path[:] = before


@pytest.fixture(scope="module")
def play(load: Load) -> Play:
    """Loads an app from files and runs it until its sources have ended."""

    def run(files: Mapping[str, str], folder: Path | None = None, **settings: str) -> Played:
        return asyncio.run(play_app(load(files, folder, **settings)))

    return run


@pytest.fixture(scope="session")
def golden(test_data: Path) -> dict[str, Any]:
    """What the models give on the pictures and clips, at f32."""
    return json.loads((test_data / "GOLDEN.json").read_text())
