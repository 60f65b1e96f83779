"""Finds the files of one function that are whole and new, and makes messages of them."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from edgefn.contracts import EdgeMessage
from edgefn.errors import SpoolError
from edgefn.spool import Subscription
from edgefn.spool.arrivals import Arrival, Arrivals
from edgefn.triggers.file_options import FileTrigger
from edgefn.triggers.file_report import FileReport
from edgefn.triggers.file_wishes import DELETE, fulfil
from edgefn.triggers.folder import Folder, Found, Settling, opened
from edgefn.triggers.folder_watch import FolderWatch

AHEAD = 32
"""Files that become messages at once, at most; further ones wait where they are."""
AGAIN = 1.0
"""Seconds until it is tried again where nothing can be stored."""
PATIENCE = 5.0
"""Seconds that a look waits for something to happen: the inbox may have got a message by other ways, a replay say."""
SHARE = 20
"""A look at the whole folder takes at most so small a part of the time."""

Run = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Calls something that takes its time, in a thread."""


class Finder:
    """What one function has had of a folder, and what there is for it. ``find`` is for one task at a time."""

    def __init__(
        self, subscription: Subscription, arrivals: Arrivals, report: FileReport, folder: Folder, options: FileTrigger
    ) -> None:
        self._function = subscription.function
        self._subscription = subscription
        self._arrivals = arrivals
        self._report = report
        self._folder = folder
        self._options = options
        self._settling = Settling()
        self._seen: dict[str, Arrival] = {}
        self._whole: deque[Found] = deque()
        self._wishes: dict[str, Arrival] = {}
        self._fulfilling: set[str] = set()
        """The files of wishes that are being fulfilled."""
        self._look_due = 0.0
        self._arrived = 0
        self._is_asked = False
        """Whether a look at the whole folder was asked for that has not begun yet."""
        self.rested = asyncio.Event()
        """Set where there is no file that is about to arrive."""
        self._here = 0
        self._watch: FolderWatch | None = None
        self._run: Run

    async def begin(self, run: Run) -> None:
        """Begins, or begins again, with what the function has had; raises SpoolError."""
        self._run = run
        self._seen = await self._arrivals.known(self._function)
        self._whole.clear()
        self._look_due = 0.0
        self._watch = FolderWatch(self._folder.path, subfolders=self._folder.subfolders)

    def end(self) -> None:
        if self._watch is not None:
            self._watch.close()

    def change(self, folder: Folder, options: FileTrigger) -> None:
        """Goes on with other names and times in the same folder, at once."""
        self._folder, self._options = folder, options
        if self._watch is not None:
            self._watch.look_everywhere()

    def status(self) -> Mapping[str, Any]:
        return {
            "folder": str(self._folder.path),
            "files": self._here,
            "settling": len(self._settling),
            "waiting": len(self._whole) + self._subscription.depth,
            "remembered": len(self._seen),
        }

    async def rest(self) -> bool:
        """Returns when a look at the whole folder finds nothing that is to arrive; whether any file has since the call.

        Files that are still written are waited for; not those that can not be read, or for which there is no room.
        """
        before = self._arrived
        self._is_asked = True
        self.rested.clear()
        if self._watch is not None:
            self._watch.look_everywhere()
        await self.rested.wait()
        return self._arrived > before

    # --- looking -------------------------------------------------------------------------------------------------

    async def find(self) -> None:
        """Makes messages of the next few files, or waits a while for some.

        One wish that fails is enough at a time: it may have taken long.
        """
        if self._wishes and await self._fulfil(self._wishes.pop(next(iter(self._wishes)))):
            return
        if self._whole:
            for _ in range(AHEAD):
                if self._whole:  # where there is no room all of them are left for another look
                    await self._arrive(self._whole.popleft())
        else:
            await self._look()

    async def _look(self) -> None:
        """Waits until there may be files, and finds those that are whole."""
        assert self._watch is not None
        quiet = self._options.settle
        if not self._is_asked and self._settling.due(quiet) == math.inf:
            self.rested.set()
        pause = min(self._settling.due(quiet), self._look_due - time.monotonic(), PATIENCE)
        told = await self._watch.wait(max(0.0, pause))
        everywhere = told is None or time.monotonic() >= self._look_due
        paths = None if told is None or everywhere else told | self._settling.ripe(quiet)
        if paths is not None and not paths:
            return
        if paths is None:
            self._is_asked = False
        found = await self._run(partial(self._found, paths, self._watch))
        new = [file for file in found if self._is_new(file)]
        for file, fault in await self._run(partial(_readable, self._settling.settled(new, paths, quiet))):
            if fault:
                self._report.unreadable(file.path, fault)
            else:
                self._report.readable(file.path)
                self._whole.append(file)

    def _found(self, paths: set[str] | None, watch: FolderWatch) -> list[Found]:
        """What is there now; in a thread."""
        if paths is not None:
            return self._folder.those_of(paths)
        began = time.monotonic()
        watch.follow()  # before the look, so that nothing comes unseen in between
        try:
            found = self._folder.files()
            self._report.fault("folder", "")
        except OSError as error:
            found = []
            self._report.fault("folder", f"{self._folder.path} can not be read: {error.strerror or error}")
        self._here = len(found)
        self._report.only({file.path for file in found})
        ended = time.monotonic()
        self._look_due = ended + max(self._options.interval, (ended - began) * SHARE)
        return found

    def _is_new(self, file: Found) -> bool:
        known = self._seen.get(file.path)
        if known is None or (known.size, known.modified) != (file.size, file.modified):
            return True
        if known.wish and known.path not in self._fulfilling:
            self._wishes[known.path] = known
        return False

    # --- arriving ------------------------------------------------------------------------------------------------

    async def _arrive(self, file: Found) -> None:
        """Stores the message of a file, and that it has been seen, in one transaction."""
        arrival = arrival_of(file)
        forgotten = await self._room()
        if forgotten is None:
            return  # it is found again when there is room
        noted = self._arrivals.noted(self._function, arrival)
        gone = self._arrivals.forgotten(self._function, forgotten)
        message = message_of(file, self._options.path)
        try:
            await self._subscription.store(message, lambda connection: (gone(connection), noted(connection)))
        except SpoolError:
            self._whole.appendleft(file)
            await asyncio.sleep(AGAIN)
            return
        for each in (arrival, *forgotten):
            self._seen.pop(each.path, None)
        self._seen[file.path] = arrival
        self._arrived += 1
        self._report.arrived()

    async def _room(self) -> list[Arrival] | None:
        """What is to be forgotten so that one more file can be remembered; None where all of it is still there."""
        most = self._options.max_files
        if len(self._seen) < most:
            return []
        known = list(self._seen.values())
        excess = max(most // 10, len(known) + 1 - most)
        gone: list[Arrival] = await self._run(partial(_gone, self._folder.path, known, excess))
        if len(known) - len(gone) < most:
            self._report.fault("room", "")
            return gone
        full = f"{self._folder.path} holds {most} files that were taken; remove some, or raise maxFiles"
        self._report.fault("room", full)
        self._whole.clear()
        return None

    # --- what became of a file -----------------------------------------------------------------------------------

    async def fulfil(self, arrival: Arrival) -> None:
        """Takes over that there is something to be done with a file, which is noted, and does it."""
        self._seen[arrival.path] = arrival
        await self._fulfil(arrival)

    async def _fulfil(self, arrival: Arrival) -> bool:
        """Does what is still to be done with a file; where that can not be, it is tried with each look. Whether it is
        done.
        """
        self._fulfilling.add(arrival.path)
        try:
            await self._run(partial(fulfil, arrival))
        except OSError as error:
            verb = "deleted" if arrival.wish == DELETE else "moved"
            self._report.fault("wish", f"{arrival.path} can not be {verb}: {error.strerror or error}")
            return False
        finally:
            self._fulfilling.discard(arrival.path)
        self._report.fault("wish", "")
        self.forget(arrival)
        self._arrivals.forget(self._function, [arrival])
        return True

    def forget(self, arrival: Arrival) -> None:
        """A file has not been seen after all, or is not there any more: when it is there, it arrives."""
        if self._seen.get(arrival.path) == arrival:
            del self._seen[arrival.path]


def _readable(files: Sequence[Found]) -> list[tuple[Found, str]]:
    """Files with why they can not be read, or nothing; in a thread."""
    tried = []
    for file in files:
        fault = ""
        try:
            file.path.encode()
            opened(file.path).close()
        except FileNotFoundError:
            continue
        except UnicodeEncodeError:
            fault = "its name is no text in UTF-8"
        except OSError as error:
            fault = error.strerror or str(error)
        tried.append((file, fault))
    return tried


def _gone(folder: Path, known: Sequence[Arrival], most: int) -> list[Arrival]:
    """Files that are not there any more, the oldest of them; none where the folder itself is not there; in a thread."""
    gone: list[Arrival] = []
    for each in known if folder.is_dir() else ():
        if len(gone) == most:
            break
        if not os.path.lexists(each.path):
            gone.append(each)
    return gone


# --- a file as a message -------------------------------------------------------------------------------------------


def arrival_of(file: Found, wish: str = "") -> Arrival:
    """A file as it is noted."""
    return Arrival(file.path, file.size, file.modified, wish)


def message_of(file: Found, source: str) -> EdgeMessage:
    """A file as the inbox keeps it."""
    body = {"path": file.path, "name": file.name, "size": file.size, "modified": file.modified}
    return EdgeMessage(orjson.dumps(body), input_name=source, is_json=True)


def found_of(message: EdgeMessage) -> Found:
    return Found(**message.json())
