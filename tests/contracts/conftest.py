"""The stand-in that hubs with another side talk to; it is started when the first test needs it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.standin.hubs import HubProcess, running_hub


@pytest.fixture(scope="session")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with running_hub(tmp_path_factory.mktemp("edge")) as process:
        yield process
