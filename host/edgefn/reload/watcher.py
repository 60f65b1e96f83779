"""Tells which files of an app were saved, some 30 ms after the last of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent

log = logging.getLogger("edgefn.reload")

QUIET = 0.03
"""Seconds without a further event after which what was saved counts as whole."""
LONGEST = 0.5
"""Seconds after the first event at the latest."""
READS = ("opened", "closed_no_write")
"""Kinds of events that tell of reading: what the reload itself does."""
SKIPPED = ("__pycache__", "node_modules", "venv", "site-packages")


class Watcher:
    """Watches an app's folder, and other files that it uses; tells on the event loop that ``start`` was called on."""

    def __init__(self, root: Path, told: Callable[[set[Path]], Awaitable[None]]) -> None:
        self._root = root
        self._told = told
        self._saved: set[Path] = set()
        self._due: asyncio.TimerHandle | None = None
        self._first = 0.0
        self._folders: dict[Path, Any] = {}
        """The folders that are watched, each with watchdog's name for it."""
        self._task: asyncio.Task[None] | None = None
        self._observer: Any = None

    def start(self, others: Collection[Path] = ()) -> None:
        """Watches from now on; ``others`` are files outside of the app's folder."""
        from watchdog.observers import Observer

        self._loop = asyncio.get_running_loop()
        try:
            self._observer = Observer()
            self._observer.daemon = True
            self._observer.start()  # first: what can not be watched is told folder by folder
        except OSError as error:
            self._observer = None
            log.warning("%s can not be watched (%s): changes in it need a new start", self._root, error)
            return
        self._watch(self._root, recursive=False)
        for folder in self._root.iterdir():
            if folder.is_dir() and not _is_skipped(folder.name):
                self._watch(folder, recursive=True)
        for folder in {other.parent for other in others if not other.is_relative_to(self._root)}:
            self._watch(folder, recursive=False)

    async def stop(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            await asyncio.to_thread(self._observer.join, 2.0)
        if self._due is not None:
            self._due.cancel()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _watch(self, folder: Path, *, recursive: bool) -> None:
        if folder in self._folders:
            return
        handler = _Handler(lambda event: self._loop.call_soon_threadsafe(self._came, event))
        try:
            self._folders[folder] = self._observer.schedule(handler, str(folder), recursive=recursive)
        except OSError as error:
            log.warning("%s can not be watched (%s): changes in it need a new start", folder, error)

    def _came(self, event: FileSystemEvent) -> None:
        if event.event_type in READS:
            return
        paths = [path for path in _paths(event) if not self._is_ignored(path)]
        if event.is_directory:
            paths = [found for path in paths for found in self._in_folder(path)]
        if not paths:
            return
        self._saved.update(paths)
        now = self._loop.time()
        if self._due is None:
            self._first = now
        else:
            self._due.cancel()
        self._due = self._loop.call_at(min(now + QUIET, self._first + LONGEST), self._tell)

    def _in_folder(self, folder: Path) -> Iterator[Path]:
        """What a folder that came or went says beside its files; one that changed says nothing of those in it.

        One that came is looked through, since its files may be older than the watch on it.
        """
        if not folder.is_dir():
            if (watch := self._folders.pop(folder, None)) is not None:
                self._observer.unschedule(watch)
            yield folder
        elif folder not in self._folders and folder.parent == self._root and not _is_skipped(folder.name):
            self._watch(folder, recursive=True)
            yield from folder.rglob("*.py")

    def _is_ignored(self, path: Path) -> bool:
        if not path.is_relative_to(self._root):
            return False
        return any(_is_skipped(part) for part in path.relative_to(self._root).parts[:-1]) or path.name.startswith(".")

    def _tell(self) -> None:
        self._due = None
        if self._task is not None and not self._task.done():
            self._due = self._loop.call_later(QUIET, self._tell)
            return
        saved, self._saved = self._saved, set()
        self._task = asyncio.create_task(self._run(saved), name="reload")

    async def _run(self, saved: set[Path]) -> None:
        try:
            await self._told(saved)
        except Exception:
            log.exception("Reloading failed in a way that was not foreseen; the last good state goes on")


class _Handler:
    """What watchdog calls, in its own thread."""

    def __init__(self, came: Callable[[FileSystemEvent], Any]) -> None:
        self._came = came

    def dispatch(self, event: FileSystemEvent) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._came(event)


def _is_skipped(name: str) -> bool:
    return name.startswith(".") or name in SKIPPED


def _paths(event: FileSystemEvent) -> Iterator[Path]:
    for place in (event.src_path, getattr(event, "dest_path", "")):
        if place:
            yield Path(place.decode() if isinstance(place, bytes) else place)
