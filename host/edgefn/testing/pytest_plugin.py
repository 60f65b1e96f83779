"""The pytest plugin ``edgefn``: fixtures for the tests of an app. Imports nothing of weight before one is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from edgefn.testing.clock import Clock
    from edgefn.testing.kit import Kit

PICTURE = 40
"""The frame of the drawn street that ``edgefn_picture`` is: by day, with somebody in it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("edgefn_root", "The folder of the app, with host.json, relative to the ini-file.", default="")


@pytest.fixture
def edgefn_root(request: pytest.FixtureRequest) -> Path:
    """The folder of the app: the ini option ``edgefn_root``, else the nearest above the test with a host.json."""
    from edgefn.testing.roots import app_root_of

    if named := request.config.getini("edgefn_root"):
        base = request.config.inipath.parent if request.config.inipath else request.config.rootpath
        return base / str(named)
    return app_root_of(request.path.parent)


@pytest.fixture
def edgefn_settings() -> dict[str, str]:
    """Settings over those of local.settings.json: none; a test module that needs some has a fixture of this name."""
    return {}


@pytest.fixture
def edgefn_sessions() -> dict[str, Any]:
    """Recorded answers in place of models: none; a test module that has some has a fixture of this name."""
    return {}


@pytest.fixture
def edgefn_clock() -> Clock:
    """The time of ``edgefn_app``, which passes when it is told to."""
    from edgefn.testing.clock import Clock

    return Clock()


@pytest.fixture
def edgefn_app(
    edgefn_root: Path, edgefn_settings: dict[str, str], edgefn_sessions: dict[str, Any], edgefn_clock: Clock
) -> Iterator[Kit]:
    """The app, loaded anew for each test, and closed after it."""
    from edgefn.testing.kit import load

    with load(edgefn_root, settings=edgefn_settings, sessions=edgefn_sessions, clock=edgefn_clock) as kit:
        yield kit


@pytest.fixture
def edgefn_picture() -> Any:
    """A picture of the drawn street: a numpy array, 360 x 640 x 3, uint8, BGR."""
    from edgefn.scene import Scene

    return Scene().frame(PICTURE)[0]
