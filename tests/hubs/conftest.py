"""The iotedge hub over the stand-in: one process for all tests of a worker, a module of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from tests.hubs.edges import Edge, edge_on
from tests.standin.hubs import HubProcess, running_hub


@pytest.fixture(scope="session")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """For faults that hit one module; what hits the process needs one of its own, ``own_hub``."""
    with running_hub(tmp_path_factory.mktemp("edge")) as process:
        yield process


@pytest.fixture
def own_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with running_hub(tmp_path_factory.mktemp("edge")) as process:
        yield process


@pytest.fixture
async def edge(shared_hub: HubProcess) -> AsyncIterator[Edge]:
    async with edge_on(shared_hub) as edge:
        yield edge


@pytest.fixture
def quiet_log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The lines that the hub has written."""
    return lambda: [record.getMessage() for record in caplog.records if record.name == "edgefn.hub"]
