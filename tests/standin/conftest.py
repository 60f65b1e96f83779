"""One hub for all tests of a file that leave it as it is; each takes modules of its own name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.standin.hubs import HubProcess, running_hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with running_hub(tmp_path_factory.mktemp("shared")) as shared:
        yield shared
