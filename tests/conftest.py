"""What all tests share: the real models and clips, apps in folders, and the services of a host that is not started."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import NoReturn

import pytest

from edgefn.contracts import Services
from edgefn.loader import App, load_app

DATA = Path(os.environ.get("EDGEFN_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
ON_CI = os.environ.get("CI", "").lower() == "true"

AppIn = Callable[..., App]


def absent(text: str) -> NoReturn:
    """What a test needs is not there: on CI, where it is installed, that is a failure."""
    pytest.fail(text) if ON_CI else pytest.skip(text)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each worker begins with its share of the long tests, so that none of them is what all wait for in the end; those
    of the image come last, since it is built meanwhile.
    """
    image = [item for item in items if "tests/image/" in item.nodeid]
    long = [item for item in items if item.get_closest_marker("long") and item not in image]
    others = [item for item in items if not item.get_closest_marker("long") and item not in image]
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    share = -(-len(others) // workers)
    items[:] = [
        item
        for number in range(workers)
        for item in (*long[number::workers], *others[number * share : (number + 1) * share])
    ] + image


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder with real models, clips and pictures; see its README."""
    if not DATA.is_dir():
        absent(f"no test data in {DATA}; name its folder in EDGEFN_TEST_DATA")
    return DATA


@pytest.fixture(autouse=True)
def _own_import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apps put their root on ``sys.path``; no test sees that of another."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[Mapping[str, str]], Path]:
    """Writes files, named by their path in the app; host.json is there unless it is given."""

    def write(files: Mapping[str, str]) -> Path:
        for name, text in {"host.json": '{"version": "2.0"}', **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))
        return tmp_path

    return write


@pytest.fixture
def app_of(folder: Callable[[Mapping[str, str]], Path]) -> AppIn:
    """Loads an app from files, with settings."""

    def load(files: Mapping[str, str], **settings: str) -> App:
        return load_app(folder(files), environment={}, given=settings)

    return load


@pytest.fixture
def services(app_of: AppIn) -> Services:
    """The services of an app without functions."""
    return app_of({"functions/nothing.py": ""}).services


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests have measured, by ``record_property``."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")
