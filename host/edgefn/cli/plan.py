"""Files that a command is about to make: all or none, and over one that is there only when it is told so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import typer

from edgefn.errors import EdgefnError, listing


@dataclass(slots=True)
class Plan:
    """What is to be written below ``root``, by path from there."""

    root: Path
    force: bool = False
    made: dict[str, bytes] = field(default_factory=dict)
    """New files, which may not be there yet."""
    shared: dict[str, bytes] = field(default_factory=dict)
    """New files that are as good when they are there already."""
    changed: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    """Files of the app that are written anew, and what is new in them."""

    def make(self, path: str, text: str) -> None:
        self.made[path] = text.encode()

    def write(self) -> list[str]:
        """Writes it all, and gives a line for each file; raises EdgefnError before anything was written."""
        taken = [path for path in self.made if (self.root / path).exists()]
        if taken and not self.force:
            is_one = len(taken) == 1
            raise EdgefnError(
                f"{self.root}: {listing(taken)} {'is' if is_one else 'are'} there already; "
                f"choose another name, or write over {'it' if is_one else 'them'} with --force"
            )
        try:
            return list(self._written())
        except OSError as error:
            where = f"{error.filename}: can not be written: {error.strerror}"
            raise EdgefnError(f"{where}; choose another folder") from None

    def _written(self) -> Iterator[str]:
        for path, content in self.made.items():
            self._put(path, content)
            yield f"made     {path}"
        for path, content in self.shared.items():
            if (self.root / path).exists() and not self.force:
                yield f"kept     {path}"
                continue
            self._put(path, content)
            yield f"made     {path}"
        for path, (content, news) in self.changed.items():
            self._put(path, content)
            yield f"changed  {path}: {news}"

    def _put(self, path: str, content: bytes) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def tell(lines: list[str]) -> None:
    """Prints what was done."""
    for line in lines:
        typer.echo(f"  {line}")
