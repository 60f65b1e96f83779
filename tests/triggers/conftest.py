"""A host whose function has a folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edgefn.host import Host
from tests.conftest import AppIn
from tests.ticks import HEAD
from tests.triggers.files import NAMES, Site, Start


@pytest.fixture
def started(app_of: AppIn, tmp_path: Path) -> Start:
    @asynccontextmanager
    async def start(code: str = NAMES, *, folder: bool = True) -> AsyncIterator[Site]:
        if folder:
            (tmp_path / "in").mkdir(exist_ok=True)
        host = Host(app_of({"functions/f.py": HEAD + "from pathlib import Path\nimport numpy\n" + code}))
        assert [running.function.errors for running in host.running] == [[] for _ in host.running]
        await host.start()
        try:
            yield Site(host, tmp_path)
        finally:
            await host.stop()

    return start
