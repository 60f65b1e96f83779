"""The files of a model, where they are looked for."""

from __future__ import annotations

import os
from pathlib import Path

from edgefn.errors import ModelError, listing, nearest

FORMATS = (".xml", ".onnx", ".pb", ".tflite", ".pdmodel")


def find_model(declared: str, root: Path) -> Path:
    """The model's file, relative to the app root, else to the working folder; the error lists models that lie there.

    ``os.path`` takes what no file can be called, such as a name that is too long, for one that is not there.
    """
    places = list(dict.fromkeys((root / declared, Path.cwd() / declared)))
    found = next((place for place in places if os.path.exists(place)), None)
    if found is not None:
        return found.resolve()
    looked = " or ".join(f"'{place}'" for place in places)
    beside = sorted({path.name for place in places for path in _models_in(place.parent)})
    raise ModelError(
        f"model '{declared}' is not there (looked for {looked}){nearest(Path(declared).name, beside)};"
        f" models beside it: {listing(beside)}"
    )


def find_labels(declared: str | None, model: Path, root: Path) -> Path | None:
    """The labels file that is declared, also when it is not there; else the one beside the model, if any.

    That is ``<model>.labels.txt``, or ``labels.txt``, as Custom Vision exports it, where no other model lies there.
    """
    if declared is None:
        alone = len({path.stem for path in _models_in(model.parent)}) == 1
        beside = [model.with_name(f"{model.stem}.labels.txt"), *([model.with_name("labels.txt")] if alone else [])]
        return next((path for path in beside if path.exists()), None)
    places = (root / declared, Path.cwd() / declared)
    return next((place for place in places if os.path.exists(place)), places[0])


def _models_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix.lower() in FORMATS] if os.path.isdir(folder) else []
