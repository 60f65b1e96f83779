"""``fileTrigger``: a file that arrived in a folder, each once.

    folder -> whole files -> inbox, and noted as seen (one commit) -> function -> done, with its outputs (one commit)

The folder itself is the queue: only few files are in the inbox at a time. A file that changes, or comes again under its
name, is another one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from edgefn.contracts import Copies, Emit, Event, Feed, Needs, Origin, Outcome, Services, Status, TriggerKind
from edgefn.errors import BindingError, EdgefnError, SpoolError, why
from edgefn.function import Binding
from edgefn.hookspecs import hookimpl
from edgefn.spool import Subscription
from edgefn.spool.arrivals import Arrivals
from edgefn.spool.settlement import MessageSettlement
from edgefn.spool.subscription import Received
from edgefn.threads import Threads
from edgefn.triggers.file_finder import AGAIN, Finder, arrival_of, found_of
from edgefn.triggers.file_forms import FITTING, FileChanged, converter_of, form_of, read
from edgefn.triggers.file_options import FileTrigger, beside, folder_of
from edgefn.triggers.file_report import Counters, FileReport
from edgefn.triggers.file_wishes import DELETE, MOVE
from edgefn.triggers.folder import Found, changed
from edgefn.workers import work


class FileListener:
    """Runs one function for its files.

    A worker that has nothing to do looks for files; while all are busy nobody looks, and files wait where they are.
    """

    feed = Feed.ENDLESS

    def __init__(
        self, binding: Binding, root: Path, subscription: Subscription, arrivals: Arrivals, counters: Counters
    ) -> None:
        self._options = options = _options(binding)
        self._form = form_of(binding.annotation)
        self._root = root
        self._folder = folder_of(root, options)
        self._workers = options.max_concurrency
        self._subscription = subscription
        self._arrivals = arrivals
        self._report = FileReport(binding.function, counters)
        self._finder = Finder(subscription, arrivals, self._report, self._folder, options)
        self._turn = asyncio.Lock()
        self._threads = Threads(1 + self._workers)

    def adopt(self, binding: Binding) -> Callable[[], None] | None:
        """All but the folder, and how many files are worked on at once, changes in place."""
        options = _options(binding)
        there = folder_of(self._root, options)
        same = (there.path, there.subfolders) == (self._folder.path, self._folder.subfolders)
        if not same or options.max_concurrency != self._workers:
            return None
        return partial(self._change, binding)

    def _change(self, binding: Binding) -> None:
        self._options = _options(binding)
        self._form = form_of(binding.annotation)
        self._finder.change(folder_of(self._root, self._options), self._options)

    async def listen(self, emit: Emit) -> None:
        async def handle(row: Received) -> None:
            settlement = self._subscription.settlement([row])
            try:
                await self._handle(row, settlement, emit)
            except BaseException:
                settlement.back()
                raise

        self._subscription.listen(listening=True)
        self._threads = Threads(1 + self._workers)
        try:
            await self._finder.begin(self._run)
            await work(self._workers, self._take, handle)
        finally:
            self._subscription.listen(listening=False)
            self._finder.end()
            self._threads.close()

    async def worked_off(self) -> bool:
        """Returns when the files that are there have been taken, but for those behind one that is to be tried later."""
        return False if self._subscription.is_waiting else await self._finder.rest()

    async def _run(self, call: Callable[[], Any]) -> Any:
        return await self._threads.run(call).future

    def status(self) -> Mapping[str, Any]:
        return {**self._finder.status(), **self._report.status()}

    # --- taking --------------------------------------------------------------------------------------------------

    async def _take(self) -> Received:
        """The next file, as the message that it became; looks for files where there is none."""
        async with self._turn:
            while (row := await self._stored()) is None:
                await self._finder.find()
        if self._subscription.is_early(row):
            self._finder.rested.set()
        await self._subscription.due(row)
        return row

    async def _stored(self) -> Received | None:
        try:
            return await self._subscription.next(self._workers)
        except SpoolError:
            await asyncio.sleep(AGAIN)
            return None

    # --- working off ---------------------------------------------------------------------------------------------

    async def _handle(self, row: Received, settlement: MessageSettlement, emit: Emit) -> None:
        file = found_of(row.message)
        try:
            value = await self._read(file, row.id)
        except FileChanged:
            self._report.skipped("changed")  # what it is now is another arrival
            await settlement.end(Outcome(Status.OK))
        except FileNotFoundError:
            self._report.skipped("gone")
            await self._unseen(file, settlement)
        except OSError as error:
            self._report.unreadable(file.path, error.strerror or str(error))
            await self._unseen(file, settlement)
        except EdgefnError as error:
            self._report.unfit(file.name, error)
            await settlement.end(Outcome(Status.FAILED, error=error))
        else:
            reason = f"File {file.name} arrived in {self._options.path}"
            await self._end(file, settlement, await emit(Event(value, reason, _about(file), settlement)))

    async def _read(self, file: Found, number: int) -> Any:
        """What the function wants of a file as it is declared at the moment at which it runs."""
        while True:
            form, options = self._form, self._options
            value = await self._run(partial(read, form, file, number, options))
            if form is self._form:
                return value

    async def _end(self, file: Found, settlement: MessageSettlement, outcome: Outcome) -> None:
        wish = self._wish(file)
        if not outcome.ok or not wish:
            await settlement.end(outcome)
            return
        arrival = arrival_of(file, wish)
        await settlement.end(outcome, self._arrivals.noted(self._subscription.function, arrival))
        await self._finder.fulfil(arrival)

    def _wish(self, file: Found) -> str:
        if self._options.on_done == "move":
            return f"{MOVE}{beside(self._root, self._options.move_to) / file.name}"
        return DELETE if self._options.on_done == "delete" else ""

    async def _unseen(self, file: Found, settlement: MessageSettlement) -> None:
        """Ends the message of a file that is not there, or not to be read: when it is, it arrives."""
        arrival = arrival_of(file)
        forgotten = self._arrivals.forgotten(self._subscription.function, [arrival])
        await settlement.end(Outcome(Status.OK), forgotten)
        self._finder.forget(arrival)


def _about(file: Found) -> Mapping[str, Any]:
    return {"name": file.name, "path": file.path, "size": file.size}


class FileTriggerKind:
    """The binding type ``fileTrigger``."""

    type = "fileTrigger"
    options = FileTrigger
    level = logging.INFO

    def __init__(self, services: Services) -> None:
        self._root = services.root
        self._inbox = services.spool.inbox
        self._arrivals = services.spool.arrivals
        self._counters = Counters(services)

    def check(self, binding: Binding) -> None:
        self.convert(binding)
        options = _options(binding)
        folder = beside(self._root, options.path)
        if folder.exists() and not folder.is_dir():
            raise BindingError(f"{binding.where()}: path '{options.path}' is a file; name a folder")
        if options.on_done == "move":
            target = beside(self._root, options.move_to)
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
        return FileListener(binding, self._root, subscription, self._arrivals, self._counters)

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
        file = Found(str(path.resolve()), path.name, known.st_size, changed(known))
        try:
            value = read(form_of(binding.annotation), file, 0, options)
        except (OSError, FileChanged) as error:
            raise BindingError(f"{binding.where()}: {path} can not be read: {why(error)}") from None
        return Event(value, metadata=_about(file))

    def origin(self, binding: Binding) -> Callable[[Event], Origin]:
        """The folder, and the name of the file in it."""
        folder = _options(binding).path

        def origin(event: Event) -> Origin:
            name = str(event.metadata.get("name", ""))
            about: dict[str, str | int] = {"faas.document.collection": folder, "faas.document.name": name}
            return Origin("datasource", attributes={**about, "faas.document.operation": "insert"})

        return origin

    def needs(self, binding: Binding) -> Needs:
        """The folders that files arrive in and go to."""
        options = _options(binding)
        return Needs(writes=tuple(filter(None, (options.path.strip(), options.move_to.strip()))))

    def copies(self, binding: Binding) -> Copies:
        """Which files were seen is in the state folder of a host."""
        return Copies("each host would take each file that comes to its folder")

    async def close(self) -> None:
        """Shares nothing."""


def _options(binding: Binding) -> FileTrigger:
    assert isinstance(binding.options, FileTrigger)
    return binding.options


@hookimpl
def edgefn_triggers(services: Services) -> Sequence[TriggerKind]:
    return [FileTriggerKind(services)]
