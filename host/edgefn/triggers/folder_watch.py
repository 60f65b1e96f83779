"""Tells where in a folder something happens, as soon as the system says so. Nobody relies on it: a share tells nothing
of what others write to it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent

log = logging.getLogger("edgefn.files")

TOGETHER = 0.05
"""Seconds after the first event in which others are waited for."""
MANY = 10_000
"""Paths that are kept in mind; where there are more the whole folder is to be looked at."""
CHANGES = ("created", "modified", "moved", "closed", "deleted")
"""Kinds of events that tell of files; others tell of reading."""


class FolderWatch:
    """Belongs to the event loop that it was made on."""

    def __init__(self, folder: Path, *, subfolders: bool) -> None:
        self._folder = folder
        self._subfolders = subfolders
        self._loop = asyncio.get_running_loop()
        self._observer: Any = None
        self._watched: tuple[int, int] | None = None
        self._happened = asyncio.Event()
        self._paths: set[str] = set()
        self._everywhere = False
        self._said = False
        self._lock = threading.Lock()
        self._closed = False

    async def wait(self, seconds: float) -> set[str] | None:
        """The paths at which something happened, after at most so many seconds; None for anywhere."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._happened.wait()
                await asyncio.sleep(TOGETHER)
        self._happened.clear()
        paths, everywhere = self._paths, self._everywhere
        self._paths, self._everywhere = set(), False
        return None if everywhere else paths

    def look_everywhere(self) -> None:
        """Has the whole folder looked at."""
        self._everywhere = True
        self._happened.set()

    def follow(self) -> None:
        """Watches the folder that is there now, which may be another one than before. For a thread."""
        try:
            known = self._folder.stat()
            there = (known.st_dev, known.st_ino)
        except OSError:
            there = None
        with self._lock:
            if there != self._watched and not self._closed:
                self._stop()
                self._watched = there
                if there is not None:
                    self._start()

    def close(self) -> None:
        """Watches no longer."""
        with self._lock:
            self._closed = True
            self._stop()

    def _start(self) -> None:
        from watchdog.observers import Observer

        logging.getLogger("watchdog.observers.inotify").setLevel(
            logging.CRITICAL
        )  # what comes while it stops is no error
        try:
            observer = Observer()
            observer.daemon = True
            observer.schedule(self, str(self._folder), recursive=self._subfolders)  # type: ignore[arg-type]
            observer.start()
            self._observer = observer
        except OSError as error:
            if not self._said:
                log.info("%s can not be watched (%s): it is looked through now and then", self._folder, error)
            self._said = True

    def _stop(self) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()

    def dispatch(self, event: FileSystemEvent) -> None:
        """What watchdog calls, in its own thread."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._take, event)

    def _take(self, event: FileSystemEvent) -> None:
        if event.event_type not in CHANGES or (event.is_directory and event.event_type == "modified"):
            return
        for place in (event.src_path, event.dest_path):
            if place:
                self._paths.add(place.decode(errors="surrogateescape") if isinstance(place, bytes) else place)
        if event.is_directory or len(self._paths) > MANY:
            self._everywhere = True
            self._paths.clear()
        self._happened.set()
