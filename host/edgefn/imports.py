"""The modules of an app: which there are, how they are imported, and what is said when one fails.

Three layouts, the first that is there counts: ``function_app.py`` (Azure, model v2), ``functions/*.py`` and
``functions/<package>/`` (edgefn), ``<Function>/function.json`` (Azure, model v1).
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from edgefn.errors import EdgefnError, Place, SettingError, listing
from edgefn.places import shown
from edgefn.settings import read_json

SCRIPT = "function_app.py"
FOLDER = "functions"
V1_PACKAGE = "__app__"


@dataclass(frozen=True, slots=True)
class AppModule:
    """One module of an app: imported, or with the reason why it could not be."""

    name: str
    path: Path
    module: ModuleType | None = None
    error: str = ""
    function_json: Mapping[str, Any] | None = None
    """The document of a function.json (model v1), whose function this module holds."""


def has_functions(root: Path) -> bool:
    """Whether the folder looks like an app at all."""
    return any(((root / SCRIPT).exists(), (root / FOLDER).is_dir(), *root.glob("*/function.json")))


def import_app(root: Path, script: str = SCRIPT) -> list[AppModule]:
    """Imports all modules of the app, each on its own: one that fails does not keep the others out."""
    _forget(Path(script).stem)
    for folder in (root / ".python_packages" / "lib" / "site-packages", root):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    if (root / script).exists():
        return [_imported(Path(script).stem, root / script, root)]
    if (root / FOLDER).is_dir():
        return [_imported(f"{FOLDER}.{path.stem}", path, root) for path in _function_files(root / FOLDER)]
    return list(_v1_modules(root))


def mixed_models(root: Path, script: str = SCRIPT) -> bool:
    """Whether folders with function.json lie beside a script of model v2, and are ignored therefore."""
    return (root / script).exists() and any(root.glob("*/function.json"))


def _function_files(folder: Path) -> list[Path]:
    """Modules and packages whose names do not begin with an underscore or a dot, by name."""
    files = list(folder.glob("*.py"))
    packages = [path.parent for path in folder.glob("*/__init__.py")]
    return sorted(path for path in files + packages if path.name[0] not in "_.")


def _v1_modules(root: Path) -> Iterator[AppModule]:
    package = ModuleType(V1_PACKAGE)
    package.__path__ = [str(root)]
    sys.modules[V1_PACKAGE] = package
    for path in sorted(root.glob("*/function.json"), key=lambda path: path.parent.name.lower()):
        try:
            document = read_json(path)
            script = _v1_script(path.parent, document)
        except EdgefnError as error:
            yield AppModule(path.parent.name, path, error=str(error))
            continue
        name = f"{V1_PACKAGE}.{path.parent.name}" + ("" if script.stem == "__init__" else f".{script.stem}")
        imported = _imported(name, script, root)
        yield AppModule(path.parent.name, path, imported.module, imported.error, document)


def _v1_script(folder: Path, document: Mapping[str, Any]) -> Path:
    """The file of a v1 function: ``scriptFile``, else the only one there, else run.py, else __init__.py."""
    if declared := document.get("scriptFile"):
        path = (folder / str(declared)).resolve()
        if path.is_file():
            return path
        raise SettingError(f"{folder.name}/function.json: scriptFile names {declared}, which is not there")
    files = sorted(folder.glob("*.py"))
    for choice in (files if len(files) == 1 else []), [folder / "run.py"], [folder / "__init__.py"]:
        if choice and choice[0].is_file():
            return choice[0]
    raise SettingError(
        f"{folder.name}/function.json: Invalid script file name configuration: no scriptFile is named, and of the "
        f"files {listing(path.name for path in files)} none is run.py or __init__.py"
    )


def _forget(script: str) -> None:
    """Forgets the modules of an app that this process loaded before."""
    for name in [n for n in sys.modules if n.split(".")[0] in (FOLDER, script, V1_PACKAGE)]:
        del sys.modules[name]


def _imported(name: str, path: Path, root: Path) -> AppModule:
    try:
        module = importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return AppModule(name, path, error=reason(error, path, root))
    return AppModule(name, path, module)


def reason(error: BaseException, path: Path, root: Path) -> str:
    """Why a module of the app could not be imported: the place in the user's code, and the remedy where it is known."""
    if isinstance(error, SyntaxError) and error.filename:
        place = Place(shown(Path(error.filename), root), error.lineno or 0)
        return f"{place}: {type(error).__name__}: {error.msg}: {(error.text or '').strip()}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(root)]
    last = frames[-1] if frames else None
    place = Place(shown(Path(last.filename), root), last.lineno or 0) if last else Place(shown(path, root))
    text = f"{place}: {type(error).__name__}: {error}"
    if isinstance(error, SystemExit):
        text += "; a module that ends the process while it is imported can not be loaded"
    if isinstance(error, ModuleNotFoundError):
        text += (
            f"; Cannot find module. Please check the requirements.txt file for the missing module, or install it: "
            f"pip install {(error.name or '').split('.')[0]}. Current sys.path: {sys.path}"
        )
    return text
