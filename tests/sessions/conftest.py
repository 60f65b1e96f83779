"""Sessions on the sample models of the repository and on the real models of the test data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from edgefn.contracts import Task
from edgefn.function import Binding, Direction
from edgefn.sessions.openvino import OpenVinoKind

ROOT = Path(__file__).resolve().parents[2]
Open = Callable[..., Any]


@pytest.fixture(scope="session")
def golden(test_data: Path) -> Any:
    return json.loads((test_data / "GOLDEN.json").read_text())


@pytest.fixture(scope="session")
def picture(test_data: Path) -> Callable[[str], Any]:
    """A picture of the test data as an H x W x 3 BGR array."""
    return lambda name: cv2.imread(str(test_data / name))


def declared(kind: Any, **options: Any) -> Binding:
    """A binding with these options, as the kind validates them."""
    return Binding("detect", "net", "inferenceSession", Direction.IN, options, kind.options.model_validate(options))


@pytest.fixture(scope="session", name="declared")
def declared_fixture() -> Callable[..., Binding]:
    return declared


@pytest.fixture(scope="module")
def kind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenVinoKind]:
    """Sessions of one host, its root being the repository."""
    kind = OpenVinoKind(ROOT, tmp_path_factory.mktemp("state"))
    yield kind
    kind.close()


@pytest.fixture(scope="module")
def opened(kind: OpenVinoKind) -> Open:
    """Opens a session: ``opened(model, task="raw", **options)``."""

    def open_session(model: Any, task: str = "raw", **options: Any) -> Any:
        return kind.open(declared(kind, model=str(model), **options), Task(task))

    return open_session
