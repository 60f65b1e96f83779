"""Which files are told of: those that were saved, and no others."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edgefn.reload import Watcher
from tests.faults.disks import use_up_watches

Folder = Callable[[Mapping[str, str]], Path]
APP = {"functions/a.py": "A = 1", "functions/b.py": "B = 1"}


class Watched:
    """What a watcher tells of a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.told: set[str] = set()
        self._came = asyncio.Event()

    async def take(self, saved: set[Path]) -> None:
        self.told |= {path.relative_to(self.root).as_posix() for path in saved}
        self._came.set()

    async def until_told_of(self, name: str) -> None:
        async with asyncio.timeout(30):
            while name not in self.told:
                self._came.clear()
                await self._came.wait()


@asynccontextmanager
async def watched(root: Path) -> AsyncIterator[Watched]:
    there = Watched(root)
    watcher = Watcher(root, there.take)
    watcher.start()
    try:
        yield there
    finally:
        await watcher.stop()


async def test_a_save_tells_of_its_file_and_not_of_those_beside_it(folder: Folder) -> None:
    async with watched(folder(APP)) as there:
        (there.root / "functions/a.py").write_text("A = 2")
        await there.until_told_of("functions/a.py")
        (there.root / "functions/a.py.new").write_text("A = 3")
        (there.root / "functions/a.py.new").replace(there.root / "functions/a.py")
        await there.until_told_of("functions/a.py.new")
        assert "functions/b.py" not in there.told


async def test_a_folder_that_comes_later_is_watched_and_again_when_it_comes_back(folder: Folder) -> None:
    async with watched(folder({})) as there:
        for _ in range(2):
            folder(APP)
            await there.until_told_of("functions/b.py")
            there.told.clear()
            (there.root / "functions/a.py").write_text("A = 2")
            await there.until_told_of("functions/a.py")
            shutil.rmtree(there.root / "functions")
            await there.until_told_of("functions")
            there.told.clear()


async def test_where_the_system_watches_no_more_folders_that_is_said_and_all_else_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use_up_watches(monkeypatch)
    (tmp_path / "functions").mkdir()

    async def told(saved: set[Path]) -> None:
        """Nothing comes."""

    watcher = Watcher(tmp_path, told)
    watcher.start()
    await watcher.stop()
    assert f"{tmp_path} can not be watched (" in caplog.text
    assert "changes in it need a new start" in caplog.text
