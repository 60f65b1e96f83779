"""``file``: what a function gives becomes a file in a folder that never holds more than so many of them.

A value is encoded and written in a thread, whole or not at all. While that is slower than the function, values are
dropped as declared; the function does not wait.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from edgefn.bindings.backlog import Backlog, WhenFull
from edgefn.bindings.edge_hub import JSON, body_of
from edgefn.bindings.patterns import Pattern, pattern
from edgefn.bindings.shelf import Shelf
from edgefn.contracts import Event, Needs, OutputKind, Services, VideoFrame
from edgefn.errors import BindingError, listing
from edgefn.function import Binding, Options, named
from edgefn.hookspecs import hookimpl
from edgefn.images import ENDINGS, encoded, image_of, is_array
from edgefn.threads import Threads

if TYPE_CHECKING:
    from edgefn.images import Image

log = logging.getLogger("edgefn.files")

MIB = 1024 * 1024
LAST_WISH = 3.0
"""Seconds that what waits gets to be written when the host stops."""
ILLEGAL = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff]')
"""What no name may hold on Windows."""
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$", re.IGNORECASE)
ENDING = re.compile(r"\.\w+$")
LONGEST_VALUE, LONGEST_NAME = 60, 240
"""Bytes of a value inside of a name, and of a name: file systems count these, of which a letter may have several."""
WIDTHS = {"": 0, "id": 36, "timestamp": 30, "frame_id": 30}
"""Characters of values that are usually shorter."""
USUAL = (".jpg", ".json", ".txt", ".bin")
"""Endings of names without one: of pictures, JSON, text, and other bytes."""
NOT_SET = ("", "none", "null")


class FileOutputOptions(Options):
    """The options of ``file``."""

    path: str
    """The folder, relative to the app root. Empty, or ``none``: nothing is written."""
    file_name: Annotated[str, named("a name such as {timestamp}-{id}.jpg")] = "{timestamp}-{id}"
    """The name, with values in braces; without an ending it gets that of what is written."""
    quality: int = Field(default=90, ge=1, le=100)
    """Of pictures in JPEG and WebP."""
    max_files: int = Field(default=1000, ge=1)
    max_bytes: int = Field(default=1024 * MIB, ge=1)
    """Bounds of the files of this output in the folder: the oldest go."""
    max_waiting: int = Field(default=4, ge=1)
    """Values that wait to be written."""
    when_full: WhenFull = "drop_oldest"

    @model_validator(mode="after")
    def _legal(self) -> Self:
        for literal in self.pattern.literals:
            if found := ILLEGAL.search(literal):
                raise ValueError(
                    f"fileName '{self.file_name}': {found[0]!r} can not be in the name of a file on every system; "
                    'leave out < > : " / \\ | ? * (path names the folder)'
                )
        if self.file_name.endswith((".", " ")):
            raise ValueError(f"fileName '{self.file_name}': a name can not end so on every system; name an ending")
        longest = sum(
            len(literal.encode(errors="replace")) + WIDTHS.get(name, LONGEST_VALUE)
            for literal, name, _ in self.pattern.parts
        )
        if longest > LONGEST_NAME:
            raise ValueError(f"fileName '{self.file_name}' can become {longest} bytes long; at most {LONGEST_NAME}")
        return self

    @property
    def pattern(self) -> Pattern:
        return pattern(self.file_name)

    @property
    def ending(self) -> str:
        """The ending that the name has whatever is written; empty when that depends on it."""
        literal, field, _ = self.pattern.parts[-1]
        found = None if field else ENDING.search(literal)
        return found[0].lower() if found else ""

    @property
    def is_off(self) -> bool:
        return self.path.strip().lower() in NOT_SET


def legal(text: str) -> str:
    """A value as it may stand in the name of a file on every system; a long one is cut, and stays apart from others."""
    text = ILLEGAL.sub("_", text)
    content = text.encode()
    if len(content) <= LONGEST_VALUE:
        return text
    mark = hashlib.blake2b(content, digest_size=4).hexdigest()
    return f"{content[: LONGEST_VALUE - len(mark) - 1].decode(errors='ignore')}~{mark}"


def legal_name(name: str) -> str:
    """A name as it may be on every system: no reserved and no hidden one."""
    return f"_{name}" if RESERVED.match(name) or name.startswith(".") else name


@dataclass(frozen=True, slots=True)
class Page:
    """What a function set, as far as it can be prepared without taking time."""

    content: bytes | Image
    ending: str


class FileOutput:
    """The files of one function's output."""

    def __init__(self, binding: Binding, folder: Path | None, counters: Counters) -> None:
        options = _options(binding)
        self._function = binding.function
        self._options = options
        self._folder = folder
        self._pattern = options.pattern
        self._ending = options.ending
        endings = "" if self._ending else f"({'|'.join(map(re.escape, USUAL))})"
        own = re.compile(f"_?{self._pattern.made_here(binding.function)}{endings}")
        self._shelf = Shelf(folder or Path(), own, options.max_files, options.max_bytes)
        self._threads = Threads(1)
        self._backlog: Backlog[tuple[str, Page]] = Backlog(
            options.max_waiting, options.when_full, self._write, self._drop
        )
        self._counters = counters
        self._written = 0
        self._dropped: Counter[str] = Counter()
        self._fault = ""

    def encode(self, value: Any) -> Page:
        """Takes what was set as it is now: a picture is copied, unless it is a VideoFrame; all else is small.

        Raises TypeError for what can not be written with the ending that is declared.
        """
        if self._folder is None:
            return Page(b"", "")
        image = value.image if isinstance(value, VideoFrame) else value if is_array(type(value)) else None
        if image is None:
            body, kind = body_of(value)
            usual = USUAL[1] if kind == JSON else USUAL[2] if isinstance(value, str) else USUAL[3]
            if self._ending in ENDINGS and not isinstance(value, bytes | bytearray):
                raise TypeError(f"a {type(value).__name__} is no picture, and can not be written as {self._ending}")
            return Page(body, usual)
        if self._ending and self._ending not in ENDINGS:
            raise TypeError(f"a picture can not be written as {self._ending}; one of {listing(ENDINGS)} would do")
        image = image_of(image)
        return Page(image if isinstance(value, VideoFrame) else image.copy(), USUAL[0])

    async def send(self, encoded: Page, event: Event) -> None:
        if self._folder is None:
            return
        name = self._pattern.made_for(event, self._function, legal)
        await self._backlog.put((legal_name(name + ("" if self._ending else encoded.ending)), encoded))

    def status(self) -> Mapping[str, Any]:
        if self._folder is None:
            return {"state": "off"}
        return {
            "state": "failing" if self._fault else "on",
            **({"fault": self._fault} if self._fault else {}),
            "path": str(self._folder),
            "written": self._written,
            "dropped": dict(self._dropped),
            "waiting": self._backlog.depth,
            "files": self._shelf.files,
            "bytes": self._shelf.bytes,
        }

    async def close(self) -> None:
        """Writes what waits, for a limited time."""
        await self._backlog.close(LAST_WISH)
        self._threads.close()

    async def _write(self, item: tuple[str, Page]) -> None:
        name, page = item
        try:
            await self._threads.run(lambda: self._put(name, page)).future
        except (OSError, ValueError) as error:
            self._fail(error)
            return
        if self._fault:
            log.info("%s can be written to again", self._folder)
        self._fault = ""
        self._written += 1
        self._counters.written(self._function)

    def _put(self, name: str, page: Page) -> None:
        content = page.content
        if not isinstance(content, bytes):
            content = encoded(content, self._ending or page.ending, self._options.quality)
        if len(content) > self._options.max_bytes:
            raise ValueError(f"{name}: {len(content)} bytes are more than maxBytes, {self._options.max_bytes}")
        self._shelf.put(name, content)

    def _fail(self, error: OSError | ValueError) -> None:
        """Counts what could not be written; said once, until one could be."""
        self._drop("failed")
        text = f"{self._folder}: a file can not be written: {error}"
        if not self._fault:
            log.warning("%s; function '%s' goes on without, and it is tried for each", text, self._function)
        self._fault = text

    def _drop(self, cause: str) -> None:
        self._dropped[cause] += 1
        self._counters.dropped(self._function, cause)


class Counters:
    """What is counted of all outputs of this kind."""

    def __init__(self, services: Services) -> None:
        self._written = services.metrics.counter("edgefn_files_written", "Files written", ("function",))
        self._dropped = services.metrics.counter(
            "edgefn_files_dropped", "Values that became no file, by cause", ("function", "cause")
        )

    def written(self, function: str) -> None:
        self._written.labels(function).inc()

    def dropped(self, function: str, cause: str) -> None:
        self._dropped.labels(function, cause).inc()


class FileOutputKind:
    """The binding type ``file``."""

    type = "file"
    options = FileOutputOptions

    def __init__(self, services: Services) -> None:
        self._root = services.root
        self._counters = Counters(services)

    def check(self, binding: Binding) -> None:
        """Any annotation will do: what can not be written is said when it is set."""
        options = _options(binding)
        folder = self._folder(options)
        if folder is not None and folder.exists() and not folder.is_dir():
            raise BindingError(f"{binding.where()}: path '{options.path}' is a file; name a folder")

    async def open(self, binding: Binding) -> FileOutput:
        return FileOutput(binding, self._folder(_options(binding)), self._counters)

    def needs(self, binding: Binding) -> Needs:
        """The folder that it fills."""
        options = _options(binding)
        return Needs() if options.is_off else Needs(writes=(options.path.strip(),))

    async def close(self) -> None:
        """Shares nothing."""

    def _folder(self, options: FileOutputOptions) -> Path | None:
        return None if options.is_off else self._root / Path(options.path.strip()).expanduser()


def _options(binding: Binding) -> FileOutputOptions:
    assert isinstance(binding.options, FileOutputOptions)
    return binding.options


@hookimpl
def edgefn_outputs(services: Services) -> Sequence[OutputKind]:
    return [FileOutputKind(services)]
