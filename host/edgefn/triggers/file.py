"""``fileTrigger``: a file that arrived in a folder, each once.

    folder -> whole files -> inbox, and noted as seen (one commit) -> function -> done, with its outputs (one commit)

The folder itself is the queue: only few files are in the inbox at a time. A file that changes, or comes again under its
name, is another one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import BeforeValidator, Field, model_validator

from edgefn.contracts import EdgeMessage, Emit, Event, Feed, Needs, Outcome, Services, Status, TriggerKind
from edgefn.errors import BindingError, EdgefnError, SpoolError
from edgefn.function import Binding, Options, Seconds, Truth, Word, named
from edgefn.hookspecs import hookimpl
from edgefn.spool import Subscription
from edgefn.spool.arrivals import Arrival, Arrivals
from edgefn.spool.inbox import MessageSettlement, Received
from edgefn.threads import Threads
from edgefn.triggers.file_forms import FITTING, FileChanged, converter_of, form_of, read
from edgefn.triggers.file_wishes import DELETE, MOVE, fulfil
from edgefn.triggers.folder import Folder, Found, Settling, is_unfinished
from edgefn.triggers.folder_watch import FolderWatch
from edgefn.workers import work

log = logging.getLogger("edgefn.files")

MIB = 1024 * 1024
AHEAD = 32
"""Files that are in the inbox at once, at most, for one function."""
AGAIN = 1.0
"""Seconds until it is tried again where nothing can be stored."""
SHARE = 20
"""A look at the whole folder takes at most so small a part of the time."""
TOLD = 10
"""Files that are named in the status and in the log where there are many."""


def _several(value: Any) -> Any:
    """Patterns with commas between them are several."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class FileTrigger(Options):
    """The options of ``fileTrigger``."""

    path: Annotated[str, named("a folder")]
    """The folder, relative to the app root. It may come later."""
    pattern: Annotated[list[str], BeforeValidator(_several)] = Field(default_factory=list)
    """Names, without regard to case, as ``*.jpg``; a list or with commas. Default: all."""
    subfolders: Annotated[bool, Truth] = False
    settle: Annotated[Seconds, Field(ge=0)] = 1.0
    """Seconds for which a file has not changed when it counts as whole."""
    interval: Annotated[Seconds, Field(gt=0)] = 5.0
    """Seconds between two looks at the whole folder, for what the system did not tell of."""
    on_done: Annotated[Literal["keep", "delete", "move"], Word] = "keep"
    """What becomes of a file when its function has run well."""
    move_to: str = ""
    """The folder for ``move``, relative to the app root."""
    max_concurrency: int = Field(default=1, ge=1)
    max_files: int = Field(default=100_000, ge=1)
    """Files that are remembered. Where so many are in the folder, no further one is taken."""
    max_bytes: int = Field(default=64 * MIB, ge=1)
    """Of a file that is read for the function."""

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        for pattern in self.pattern:
            if "/" in pattern or "\\" in pattern:
                raise ValueError(f"pattern '{pattern}' is for names; name the folder in path, and say subfolders")
            if is_unfinished(pattern):
                raise ValueError(f"pattern '{pattern}': files of such names are still being written, and never arrive")
        if (self.on_done == "move") != bool(self.move_to.strip()):
            raise ValueError("onDone move and moveTo, the folder, belong together; give both, or neither")
        return self


class FileListener:
    """Finds the files of one function and runs it for each.

    A worker that has nothing to do looks for files; while all are busy nobody looks, and files wait where they are.
    """

    feed = Feed.ENDLESS

    def __init__(
        self, binding: Binding, root: Path, subscription: Subscription, arrivals: Arrivals, tell: Told
    ) -> None:
        options = _options(binding)
        self._function = binding.function
        self._root = root
        self._subscription = subscription
        self._arrivals = arrivals
        self._tell = tell
        self._workers = options.max_concurrency
        self._options = options
        self._form = form_of(binding.annotation)
        self._folder = folder_of(root, options)
        self._settling = Settling()
        self._seen: dict[str, Arrival] = {}
        self._whole: deque[Found] = deque()
        self._wishes: deque[Arrival] = deque()
        self._look_due = 0.0
        self._here = 0
        self._arrived = 0
        self._skipped: Counter[str] = Counter()
        self._unreadable: dict[str, str] = {}
        self._faults: dict[str, str] = {}
        self._turn = asyncio.Lock()
        self._watch = FolderWatch(self._folder.path, subfolders=options.subfolders)
        self._threads = Threads(1 + self._workers)

    def _change(self, binding: Binding) -> None:
        self._options = _options(binding)
        self._form = form_of(binding.annotation)
        self._folder = folder_of(self._root, self._options)
        self._watch.look_everywhere()

    def adopt(self, binding: Binding) -> Callable[[], None] | None:
        """All but the folder, and how many files are worked on at once, changes in place."""
        options = _options(binding)
        there = folder_of(self._root, options)
        same = (there.path, there.subfolders) == (self._folder.path, self._folder.subfolders)
        if not same or options.max_concurrency != self._workers:
            return None
        return partial(self._change, binding)

    async def listen(self, emit: Emit) -> None:
        async def handle(row: Received) -> None:
            try:
                await self._handle(row, emit)
            except BaseException:
                self._subscription.back([row])
                raise

        self._subscription.listen(listening=True)
        self._seen = await self._arrivals.known(self._function)
        self._watch = FolderWatch(self._folder.path, subfolders=self._folder.subfolders)
        self._threads = Threads(1 + self._workers)
        self._whole.clear()
        self._look_due = 0.0
        try:
            await work(self._workers, self._take, handle)
        finally:
            self._subscription.listen(listening=False)
            self._watch.close()
            self._threads.close()

    # --- taking --------------------------------------------------------------------------------------------------

    async def _take(self) -> Received:
        """The next file, as the message that it became; looks for files where there is none."""
        async with self._turn:
            while (row := await self._stored()) is None:
                await self._find()
        await self._subscription.due(row)
        return row

    async def _stored(self) -> Received | None:
        try:
            return await self._subscription.next(self._workers)
        except SpoolError:
            await asyncio.sleep(AGAIN)
            return None

    async def _find(self) -> None:
        """Makes messages of the next few files, or looks for some."""
        if self._wishes:
            await self._fulfil(self._wishes.popleft())
        elif self._whole:
            for _ in range(min(AHEAD, len(self._whole))):
                await self._arrive(self._whole.popleft())
        else:
            await self._look()

    async def _look(self) -> None:
        """Waits until there may be files, and finds those that are whole."""
        quiet = self._options.settle
        pause = min(self._settling.due(quiet), self._look_due - time.monotonic())
        told = await self._watch.wait(max(0.0, pause))
        everywhere = told is None or time.monotonic() >= self._look_due
        paths = None if told is None or everywhere else told | self._settling.ripe(quiet)
        found = await self._run(partial(self._found, paths))
        new = [file for file in found if self._is_new(file)]
        whole = self._settling.settled(new, paths, quiet)
        readable = await self._run(partial(_readable, whole))
        for file, fault in readable:
            if fault:
                self._say_unreadable(file, fault)
            else:
                self._unreadable.pop(file.path, None)
                self._whole.append(file)

    def _found(self, paths: set[str] | None) -> list[Found]:
        """What is there now; in a thread."""
        if paths is not None:
            return self._folder.those_of(paths)
        began = time.monotonic()
        self._watch.follow()  # before the look, so that nothing comes unseen in between
        try:
            found = self._folder.files()
            self._say("folder", "")
        except OSError as error:
            found = []
            self._say("folder", f"{self._folder.path} can not be read: {error.strerror or error}")
        self._here = len(found)
        self._unreadable = {file.path: self._unreadable[file.path] for file in found if file.path in self._unreadable}
        ended = time.monotonic()
        self._look_due = ended + max(self._options.interval, (ended - began) * SHARE)
        return found

    def _is_new(self, file: Found) -> bool:
        known = self._seen.get(file.path)
        if known is None or (known.size, known.modified) != (file.size, file.modified):
            return True
        if known.wish and known not in self._wishes:
            self._wishes.append(known)
        return False

    async def _arrive(self, file: Found) -> None:
        """Stores the message of a file, and that it has been seen, in one transaction."""
        arrival = Arrival(file.path, file.size, file.modified)
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
        self._tell.arrived(self._function)

    async def _room(self) -> list[Arrival] | None:
        """What is to be forgotten so that one more file can be remembered; None where all of it is still there."""
        most = self._options.max_files
        if len(self._seen) < most:
            return []
        known = list(self._seen.values())
        excess = max(most // 10, len(known) + 1 - most)
        gone: list[Arrival] = await self._run(partial(_gone, self._folder.path, known, excess))
        if len(known) - len(gone) < most:
            self._say("room", "")
            return gone
        self._say("room", f"{self._folder.path} holds {most} files that were taken; remove some, or raise maxFiles")
        self._whole.clear()
        return None

    # --- working off ---------------------------------------------------------------------------------------------

    async def _handle(self, row: Received, emit: Emit) -> None:
        file = found_of(row.message)
        settlement = self._subscription.settlement([row])
        try:
            value = await self._read(file, row.id)
        except FileChanged:
            self._skip("changed")  # what it is now is another arrival
            await settlement.end(Outcome(Status.OK))
        except FileNotFoundError:
            self._skip("gone")
            await self._unseen(file, settlement)
        except OSError as error:
            self._say_unreadable(file, error.strerror or str(error))
            await self._unseen(file, settlement)
        except EdgefnError as error:
            self._skip("unfit")
            self._tell.failed(self._function, str(error))
            log.error("Function '%s' does not get %s, which is a dead letter: %s", self._function, file.name, error)
            await settlement.end(Outcome(Status.FAILED, error=error))
        else:
            reason = f"File {file.name} arrived in {self._options.path}"
            metadata = {"name": file.name, "path": file.path, "size": file.size}
            outcome = await emit(Event(value, reason, metadata, settlement))
            await self._end(file, settlement, outcome)

    async def _read(self, file: Found, number: int) -> Any:
        """What the function wants of a file as it is declared at the moment at which it runs."""
        while True:
            form, options = self._form, self._options
            value = await self._run(partial(read, form, file, number, options.path, options.max_bytes))
            if form is self._form:
                return value

    async def _end(self, file: Found, settlement: MessageSettlement, outcome: Outcome) -> None:
        wish = self._wish(file)
        if not outcome.ok or not wish:
            await settlement.end(outcome)
            return
        arrival = Arrival(file.path, file.size, file.modified, wish)
        await settlement.end(outcome, self._arrivals.noted(self._function, arrival))
        self._seen[file.path] = arrival
        await self._fulfil(arrival)

    def _wish(self, file: Found) -> str:
        if self._options.on_done == "move":
            return f"{MOVE}{_beside(self._root, self._options.move_to) / file.name}"
        return DELETE if self._options.on_done == "delete" else ""

    async def _fulfil(self, arrival: Arrival) -> None:
        """Does what is still to be done with a file; where that can not be, it is tried with each look."""
        try:
            await self._run(partial(fulfil, arrival))
        except OSError as error:
            verb = "deleted" if arrival.wish == DELETE else "moved"
            self._say("wish", f"{arrival.path} can not be {verb}: {error.strerror or error}")
            return
        self._say("wish", "")
        if self._seen.get(arrival.path) == arrival:
            del self._seen[arrival.path]
        self._arrivals.forget(self._function, [arrival])

    async def _unseen(self, file: Found, settlement: MessageSettlement) -> None:
        """Ends the message of a file that is not there, or not to be read: when it is, it arrives."""
        arrival = Arrival(file.path, file.size, file.modified)
        await settlement.end(Outcome(Status.OK), self._arrivals.forgotten(self._function, [arrival]))
        if self._seen.get(file.path) == arrival:
            del self._seen[file.path]

    async def _run(self, call: Callable[[], Any]) -> Any:
        return await self._threads.run(call).future

    # --- telling -------------------------------------------------------------------------------------------------

    def _skip(self, cause: str) -> None:
        self._skipped[cause] += 1
        self._tell.skipped(self._function, cause)

    def _say_unreadable(self, file: Found, fault: str) -> None:
        """Said once of a file, and of the first few; each is tried again with each look."""
        if file.path in self._unreadable:
            return
        self._skip("unreadable")
        if len(self._unreadable) < TOLD:
            path = _as_text(file.path)
            log.warning("%s can not be read: %s; function '%s' gets it when it can", path, fault, self._function)
        self._unreadable[file.path] = fault

    def _say(self, about: str, fault: str) -> None:
        """Said once, until it is over."""
        known = self._faults.pop(about, "")
        if fault:
            self._faults[about] = fault
        if fault and not known:
            log.warning("%s; function '%s' waits, and it is tried again", fault, self._function)
        elif known and not fault:
            log.info("Function '%s' waits no longer: this is over: %s", self._function, known)

    def status(self) -> Mapping[str, Any]:
        return {
            "folder": str(self._folder.path),
            "state": "waiting" if self._faults else "watching",
            **({"fault": "; ".join(self._faults.values())} if self._faults else {}),
            "files": self._here,
            "arrived": self._arrived,
            "settling": len(self._settling),
            "waiting": len(self._whole) + self._subscription.depth,
            "remembered": len(self._seen),
            "skipped": dict(self._skipped),
            **({"unreadable": self._some_unreadable()} if self._unreadable else {}),
        }

    def _some_unreadable(self) -> dict[str, str]:
        return {_as_text(path): fault for path, fault in islice(self._unreadable.items(), TOLD)}


def _as_text(path: str) -> str:
    """A path as it may be shown, whatever bytes its name is made of."""
    return path.encode(errors="replace").decode()


def _readable(files: Sequence[Found]) -> list[tuple[Found, str]]:
    """Files with why they can not be read, or nothing; in a thread."""
    tried = []
    for file in files:
        fault = ""
        try:
            file.path.encode()
            with open(file.path, "rb"):
                pass
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


def message_of(file: Found, source: str) -> EdgeMessage:
    """A file as the inbox keeps it."""
    body = {"path": file.path, "name": file.name, "size": file.size, "modified": file.modified}
    return EdgeMessage(orjson.dumps(body), input_name=source, is_json=True)


def found_of(message: EdgeMessage) -> Found:
    return Found(**message.json())


def folder_of(root: Path, options: FileTrigger) -> Folder:
    patterns = tuple(pattern.lower() for pattern in options.pattern)
    return Folder(_beside(root, options.path), patterns, options.subfolders)


def _beside(root: Path, path: str) -> Path:
    return Path(os.path.normpath(root / Path(path.strip()).expanduser()))


class Told:
    """What is counted of all triggers of this kind."""

    def __init__(self, services: Services) -> None:
        self._metrics = services.metrics
        counter, labels = services.metrics.counter, ("function", "cause")
        self._arrived = counter("edgefn_files_arrived", "Files that became messages", ("function",))
        self._skipped = counter("edgefn_files_skipped", "Files that a function did not get, by cause", labels)

    def arrived(self, function: str) -> None:
        self._arrived.labels(function).inc()

    def skipped(self, function: str, cause: str) -> None:
        self._skipped.labels(function, cause).inc()

    def failed(self, function: str, fault: str) -> None:
        self._metrics.function(function).last_error = fault


class FileTriggerKind:
    """The binding type ``fileTrigger``."""

    type = "fileTrigger"
    options = FileTrigger
    level = logging.INFO

    def __init__(self, services: Services) -> None:
        self._root = services.root
        self._inbox = services.spool.inbox
        self._arrivals = services.spool.arrivals
        self._told = Told(services)

    def check(self, binding: Binding) -> None:
        self.convert(binding)
        options = _options(binding)
        folder = _beside(self._root, options.path)
        if folder.exists() and not folder.is_dir():
            raise BindingError(f"{binding.where()}: path '{options.path}' is a file; name a folder")
        if options.on_done == "move":
            target = _beside(self._root, options.move_to)
            if target == folder or (options.subfolders and target.is_relative_to(folder)):
                raise BindingError(
                    f"{binding.where()}: moveTo '{options.move_to}' is in the folder itself, where files would arrive "
                    "again; name another folder"
                )

    def convert(self, binding: Binding) -> Callable[[Any], Any] | None:
        try:
            return converter_of(binding.annotation)
        except TypeError as error:
            raise BindingError(f"{binding.where()}: {error}; what fits is {FITTING}") from None

    def subscribe(self, binding: Binding) -> None:
        """Keeps what waits for the function, and nothing of the hub's."""
        self._inbox.subscribe(binding.function, "")

    def listener(self, binding: Binding) -> FileListener:
        subscription = self._inbox.subscribe(binding.function, "")
        return FileListener(binding, self._root, subscription, self._arrivals, self._told)

    def manual(self, binding: Binding, text: str) -> Event:
        """The text as the path of a file: in the folder, or relative to the app root or the working directory."""
        options = _options(binding)
        folder = folder_of(self._root, options).path
        places = [place / Path(text.strip()).expanduser() for place in (folder, self._root, Path.cwd())]
        path = next((place for place in places if place.is_file()), None)
        if not text.strip() or path is None:
            looked = ", ".join(dict.fromkeys(str(place) for place in places))
            raise BindingError(f"{binding.where()}: '{text}' is no file; looked for {looked}")
        known = path.stat()
        file = Found(str(path), path.name, known.st_size, known.st_mtime_ns)
        try:
            value = read(form_of(binding.annotation), file, 0, options.path, options.max_bytes)
        except (OSError, FileChanged) as error:
            raise BindingError(f"{binding.where()}: {path} can not be read: {error}") from None
        return Event(value, metadata={"name": file.name, "path": file.path, "size": file.size})

    def needs(self, binding: Binding) -> Needs:
        """The folders that files arrive in and go to."""
        options = _options(binding)
        return Needs(writes=tuple(filter(None, (options.path.strip(), options.move_to.strip()))))

    async def close(self) -> None:
        """Shares nothing."""


def _options(binding: Binding) -> FileTrigger:
    assert isinstance(binding.options, FileTrigger)
    return binding.options


@hookimpl
def edgefn_triggers(services: Services) -> Sequence[TriggerKind]:
    return [FileTriggerKind(services)]
