"""The options of ``fileTrigger``, and the folder that they name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from edgefn.function import Options, Seconds, Truth, Word, named
from edgefn.picture_heads import MOST_PIXELS
from edgefn.triggers.folder import Folder, is_unfinished

MIB = 1024 * 1024


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
    max_pixels: int = Field(default=MOST_PIXELS, ge=1)
    """Of a picture that is decoded for the function: three bytes each."""

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


def folder_of(root: Path, options: FileTrigger) -> Folder:
    patterns = tuple(pattern.lower() for pattern in options.pattern)
    return Folder(beside(root, options.path), patterns, options.subfolders)


def beside(root: Path, path: str) -> Path:
    """A path as declared, from the app root."""
    return Path(os.path.normpath(root / Path(path.strip()).expanduser()))
