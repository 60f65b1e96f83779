"""Live pictures: of each function that somebody watches the newest frame that it worked on, and what it found."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from edgefn.metrics import Metrics
from edgefn.pacing import Spacing
from edgefn.sight import Sight, Sights
from edgefn.web.page.encoding import encoded

RATE = 10.0
"""Pictures a second of a function, at most."""


class Film:
    """The newest picture of one function, encoded once for all who want it, and only if somebody does."""

    def __init__(self, films: Films) -> None:
        self._films = films
        self._spacing = Spacing(RATE)
        self._sight: Sight | None = None
        self._record: asyncio.Task[bytes] | None = None
        self.number = 0
        self.watchers = 0

    def take(self, sight: Sight) -> None:
        """Takes what was seen of an invocation, unless the last picture is too new."""
        if self._spacing.wants(time.monotonic(), 1 / RATE):
            self._sight, self._record = sight, None
            self.number += 1
            self._films.tell()

    async def record(self) -> bytes:
        """The newest picture, as it goes to a browser."""
        assert self._sight is not None
        if self._record is None:
            self._films.count(self._sight.function)
            self._record = asyncio.create_task(asyncio.to_thread(encoded, self._sight), name="page picture")
        return await asyncio.shield(self._record)


class Films:
    """The films of one host, each for as long as somebody watches it."""

    def __init__(self, sights: Sights, metrics: Metrics) -> None:
        self._sights = sights
        self._films: dict[str, Film] = {}
        self._pictures = metrics.counter("edgefn_page_pictures", "Pictures encoded for the page", ("function",))
        self.news = asyncio.Event()

    def tell(self) -> None:
        """Wakes those who wait for a picture."""
        self.news.set()
        self.news = asyncio.Event()

    def count(self, function: str) -> None:
        self._pictures.labels(function).inc()

    @contextmanager
    def watch(self, functions: Sequence[str]) -> Iterator[list[Film]]:
        """The films of functions, which run meanwhile."""
        if not functions:
            yield []
            return
        name, *others = functions
        with self._run(name) as film, self.watch(others) as rest:
            yield [film, *rest]

    @contextmanager
    def _run(self, function: str) -> Iterator[Film]:
        film = self._films.setdefault(function, Film(self))
        film.watchers += 1
        try:
            with self._sights.look(function, film.take) if film.watchers == 1 else self._as_it_is():
                yield film
        finally:
            film.watchers -= 1
            if not film.watchers:
                del self._films[function]

    @contextmanager
    def _as_it_is(self) -> Iterator[None]:
        yield
