"""What makes one compiled model differ from another: the key by which they are shared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgefn.sessions.options import OpenVinoOptions

SAME = ("precision", "hint", "streams", "requests", "prepare", "input_name", "input_size", "layout")
FOLDED = ("color_order", "mean", "scale")


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a model is compiled from; what only concerns its results is not in it."""

    path: Path
    stamp: tuple[tuple[int, int], ...]
    """Times of change and sizes of the model's files: an exchanged model is another model."""
    device: str
    cache: Path | None
    precision: str | None
    hint: str
    streams: int | None
    requests: int | None
    prepare: bool
    input_name: str | None
    input_size: tuple[int, int] | None
    layout: str | None
    color_order: str
    mean: tuple[float, ...] | None
    scale: tuple[float, ...] | None


def recipe_of(options: OpenVinoOptions, path: Path, device: str, root: Path, state: Path) -> Recipe:
    """The recipe for a model file on a device; a cache folder that is declared starts at the app root."""
    folder = state / "model-cache" if options.cache is True else options.cache and root / options.cache
    values = {name: getattr(options, name) for name in (*SAME, *FOLDED)}
    return Recipe(path=path, stamp=_stamp(path), device=device, cache=folder or None, **values)


def _stamp(path: Path) -> tuple[tuple[int, int], ...]:
    files = [file for file in (path, path.with_suffix(".bin")) if file.is_file()]
    return tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in files)
