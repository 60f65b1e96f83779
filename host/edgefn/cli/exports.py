"""What Azure Custom Vision exports, as a zip or a folder: a model, its labels, and whether it classifies or detects.

Only the files that are wanted are read, and written under names of ours: no path of a zip counts.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from edgefn.cli.templates import Template, find
from edgefn.errors import EdgefnError, listing

MODELS = (".xml", ".onnx", ".pb", ".tflite")
"""In the order in which they are wanted, where an export has several."""
MOST = 1 << 30
"""Bytes of a file in a zip; more is no model of Custom Vision's."""
TASKS = {"classification": "Classification", "objectdetection": "Detection"}
TEMPLATE = "custom-vision-http"


@dataclass(frozen=True, slots=True)
class Export:
    """The files of an exported model by the names that they get, the model's first."""

    files: dict[str, bytes]
    task: str = "Classification"

    @property
    def model(self) -> str:
        return next(iter(self.files))


@dataclass(frozen=True, slots=True)
class Box:
    """Something with files in it."""

    where: str
    names: list[str]
    read: Callable[[str], bytes]

    def first(self, fits: Callable[[PurePosixPath], bool]) -> PurePosixPath | None:
        """The file that fits, the one nearest to the top of several."""
        paths = sorted(map(PurePosixPath, self.names), key=lambda path: (len(path.parts), str(path)))
        return next((path for path in paths if fits(path)), None)

    def ending(self, kind: str) -> PurePosixPath | None:
        return self.first(lambda path: path.suffix.lower() == kind)


def read_export(path: Path) -> Export:
    """The export in a zip or a folder; raises EdgefnError that says what was found instead."""
    if path.is_dir():
        return _in_folder(path)
    try:
        with zipfile.ZipFile(path) as archive:
            files = [info for info in archive.infolist() if not info.is_dir() and info.file_size <= MOST]
            by_name = {str(PurePosixPath(info.filename)): info for info in files}
            return _export(Box(str(path), list(by_name), lambda name: archive.read(by_name[name])))
    except FileNotFoundError:
        raise EdgefnError(f"{path}: is not there; name the zip or the folder of an export") from None
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise EdgefnError(f"{path}: can not be read as a zip: {error}; export the model again") from None


def _in_folder(path: Path) -> Export:
    try:
        names = [each.relative_to(path).as_posix() for each in path.rglob("*") if each.is_file()]
        return _export(Box(str(path), names, lambda name: (path / name).read_bytes()))
    except OSError as error:
        raise EdgefnError(f"{error.filename or path}: can not be read: {error.strerror or error}") from None


def _export(box: Box) -> Export:
    model = next((path for kind in MODELS if (path := box.ending(kind)) is not None), None)
    if model is None:
        found = listing(sorted({PurePosixPath(name).name for name in box.names})[:10])
        raise EdgefnError(f"{box.where}: holds no model ({', '.join(MODELS)}); it has {found}")
    labels = box.first(lambda path: path.name.lower() == "labels.txt")
    if labels is None:
        raise EdgefnError(f"{box.where}: has {model.name}, and no labels.txt beside it; export the model again")
    wanted: dict[str, PurePosixPath] = {f"model{model.suffix.lower()}": model, "labels.txt": labels}
    if model.suffix.lower() == ".xml":
        weights = box.first(lambda path: path == model.with_suffix(".bin"))
        if weights is None:
            raise EdgefnError(f"{box.where}: has {model.name}, and not its weights {model.stem}.bin; export it again")
        wanted["model.bin"] = weights
    return Export({name: box.read(str(path)) for name, path in wanted.items()}, _task(box))


def _task(box: Box) -> str:
    """What the manifest says, if there is one."""
    manifest = box.first(lambda path: path.name == "cvexport.manifest")
    try:
        domain = json.loads(box.read(str(manifest)))["DomainType"] if manifest else "Classification"
        return TASKS[domain.lower()]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise EdgefnError(
            f"{box.where}: {manifest} names no known DomainType; Classification or ObjectDetection would be right"
        ) from None


def as_template(export: Export, name: str) -> tuple[Template, dict[str, str], dict[str, bytes]]:
    """The template without its sample, the answers to its questions, and the files of the export by path in the app."""
    template = find(TEMPLATE)
    folder = f"models/{name}"
    answers = {"model": f"{folder}/{export.model}", "task": export.task}
    answers["resize"] = "custom-vision" if export.task == "Classification" else "stretch"
    files = {f"{folder}/{file}": content for file, content in export.files.items()}
    return replace(template, document={**template.document, "sample": ()}), answers, files
