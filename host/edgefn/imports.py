"""The modules of an app: which there are, how they are imported, and what is said when one fails.

Four layouts, the first that is there counts: ``function_app.py`` (Azure, model v2), ``functions/*.py`` and
``functions/<package>/`` (edgefn), ``<Function>/function.json`` (Azure, model v1), ``score.py`` (Azure ML).
"""

from __future__ import annotations

import dis
import importlib
import importlib.util
import linecache
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import azure.functions as func

from edgefn import scoring_script
from edgefn.app_sources import FromSource, import_from_source
from edgefn.azure_ml import with_functions
from edgefn.errors import EdgefnError, SettingError, listing
from edgefn.import_reasons import reason
from edgefn.logs import is_user_file
from edgefn.places import shown
from edgefn.scoring_script import is_scoring_folder
from edgefn.settings import read_json

SCRIPT = "function_app.py"
FOLDER = "functions"
V1_PACKAGE = "__app__"
_of_apps: set[str] = set()
"""The modules of apps that this process has loaded; as process-wide as ``sys.modules``, from which they are taken."""
SCRIPT_NAME = re.compile(r"^[a-zA-Z0-9_][a-zA-Z0-9_\-]*\.py$")


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
    is_app = any(((root / SCRIPT).exists(), (root / FOLDER).is_dir(), *root.glob("*/function.json")))
    return is_app or is_scoring_folder(root)


def import_app(root: Path, script: str = "") -> list[AppModule]:
    """Imports all modules of the app, each on its own: one that fails does not keep the others out.

    ``script`` is the name of the script of model v2 where a setting names one. Raises SettingError when that can
    not be one.
    """
    name = script_name(root, script)
    _forget()
    before = set(sys.modules)
    for folder in (root / ".python_packages" / "lib" / "site-packages", root):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    import_from_source(root)
    importlib.invalidate_caches()
    try:
        return _modules(root, name)
    finally:
        _of_apps.update(name for name in sys.modules.keys() - before if _lies_in(sys.modules[name], root))


def _modules(root: Path, script: str) -> list[AppModule]:
    """The modules of the layout that counts."""
    if (root / script).exists():
        return [_script_module(Path(script).stem, root / script, root)]
    if is_scoring_folder(root):
        return [_scoring_module(root / scoring_script.SCRIPT, root)]
    return list(_folder_modules(root) if _has_folder(root) else _v1_modules(root))


def _scoring_module(path: Path, root: Path) -> AppModule:
    """The scoring script, with the functions that call it."""
    found = _script_module(path.stem, path, root)
    module = found.module
    return found if module is None else _guarded(path.stem, path, root, lambda: with_functions(module))


def modules_of_app() -> dict[str, Path]:
    """The modules of the app that are loaded, by name, with their files; what they import of the app too."""
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in _of_apps}
    return {name: Path(file) for name, file in files.items() if file}


def import_again(root: Path, script: str, stale: Collection[str]) -> list[AppModule]:
    """As ``import_app``, but only the modules in ``stale``, and those that are not loaded, are run anew.

    A module that fails is the one before again, for all that import it; the failure is in what is returned.
    """
    name = script_name(root, script)
    old = {each: sys.modules.pop(each) for each in stale if each in sys.modules}
    before = set(sys.modules)
    importlib.invalidate_caches()
    linecache.checkcache()
    try:
        return _modules(root, name)
    finally:
        _of_apps.update(name for name in sys.modules.keys() - before if _lies_in(sys.modules[name], root))
        for each, module in old.items():
            file = getattr(module, "__file__", None)
            if each not in sys.modules and (file is None or Path(file).exists()):
                sys.modules[each] = module


def has_own_kinds(names: Collection[str]) -> bool:
    """Whether modules provide what only a new start can take in: converters of their own."""
    registry: dict[Any, Any] = func.get_binding_registry()._bindings  # type: ignore[no-untyped-call]
    return any(converter.__module__ in names for converter in registry.values())


def script_name(root: Path, declared: str) -> str:
    """The script of model v2; raises SettingError for a declared one that has no such name or is not there."""
    where = "PYTHON_SCRIPT_FILE_NAME"
    if declared and not SCRIPT_NAME.match(declared):
        raise SettingError(f"{where}: '{declared}' is no name of a script; letters, digits, _ and -, then .py")
    if declared and not (root / declared).exists():
        found = listing(sorted(path.name for path in root.glob("*.py")))
        raise SettingError(f"{where}: there is no {declared} in {root}; it has {found}")
    return declared or SCRIPT


def ignored(root: Path, script: str = "") -> list[str]:
    """What lies in the app and is not loaded, for a warning: another layout, folders that are no packages."""
    first = script or SCRIPT
    counts = first if (root / first).exists() else f"{FOLDER}/" if _has_folder(root) else ""
    found: list[str] = []
    if counts and (v1 := sorted(path.parent.name for path in root.glob("*/function.json"))):
        found.append(
            f"Detected mixed function app. Some functions may not be indexed - {counts} counts, "
            f"function.json of {listing(v1)} is ignored"
        )
    if counts == f"{FOLDER}/":
        found += [
            f"{FOLDER}/{folder.name}: is not loaded, it has no __init__.py; add one when it holds a function"
            for folder in sorted((root / FOLDER).iterdir())
            if folder.is_dir() and folder.name[0] not in "_." and not (folder / "__init__.py").exists()
            if any(folder.glob("*.py")) and f"{FOLDER}.{folder.name}" not in sys.modules
        ]
    if not counts and not has_functions(root):
        found.append(f"{root}: holds no function; put a module with a FunctionApp into {FOLDER}/")
    return found


def _has_folder(root: Path) -> bool:
    return (root / FOLDER).is_dir() and not (root / FOLDER / "function.json").exists()


# --- functions/ --------------------------------------------------------------------------------------------------


def _folder_modules(root: Path) -> Iterator[AppModule]:
    folder = root / FOLDER
    init = folder / "__init__.py"
    package = sys.modules.get(FOLDER) if FOLDER in _of_apps else None
    if package is not None and init.exists():
        yield AppModule(FOLDER, init, package)
    elif package is None:
        package = _package(FOLDER, folder)
        if init.exists():
            package.__file__ = str(init)
            yield _run(package, init, root)
    for path in _function_files(folder):
        if path.suffix == ".py" and (folder / path.stem / "__init__.py").exists():
            there = f"{shown(path, root)}: is hidden by the package {FOLDER}/{path.stem}/; give one another name"
            yield AppModule(f"{FOLDER}.{path.stem} (file)", path, error=there)
        elif "." in (path.stem if path.is_file() else path.name):
            text = f"{shown(path, root)}: a module can not have a '.' in its name; letters, digits, _ and - are right"
            yield AppModule(f"{FOLDER}.{path.stem}", path, error=text)
        else:
            yield _imported(f"{FOLDER}.{path.stem}", path, root)


def _function_files(folder: Path) -> list[Path]:
    """Modules and packages whose names do not begin with an underscore or a dot, by name."""
    files = list(folder.glob("*.py"))
    packages = [path.parent for path in folder.glob("*/__init__.py")]
    return sorted(path for path in files + packages if path.name[0] not in "_.")


# --- model v1 ----------------------------------------------------------------------------------------------------


def _v1_modules(root: Path) -> Iterator[AppModule]:
    if V1_PACKAGE not in sys.modules or V1_PACKAGE not in _of_apps:
        _package(V1_PACKAGE, root)
    for path in sorted(root.glob("*/function.json"), key=lambda path: path.parent.name.lower()):
        document: Mapping[str, Any] | None = None
        try:
            document = read_json(path, shown(path, root))
            script = v1_script(path.parent, document, root)
        except EdgefnError as error:
            yield AppModule(path.parent.name, path, error=str(error), function_json=document or {})
            continue
        inside = script.relative_to(root).with_suffix("").parts
        name = ".".join((V1_PACKAGE, *(inside[:-1] if inside[-1] == "__init__" else inside)))
        imported = _imported(name, script, root)
        yield AppModule(path.parent.name, path, imported.module, imported.error, document)


def v1_script(folder: Path, document: Mapping[str, Any], root: Path) -> Path:
    """The file of a v1 function: ``scriptFile``, else the only one there, else run.py, else __init__.py."""
    where = f"{folder.name}/function.json: Invalid script file name configuration"
    if declared := document.get("scriptFile"):
        path = (folder / str(declared)).resolve()
        if not path.is_file():
            there = listing(sorted(found.name for found in folder.glob("*.py")))
            raise SettingError(f"{where}: scriptFile names {declared}, which is not there; the folder has {there}")
        if path.suffix != ".py" or not path.is_relative_to(root):
            raise SettingError(f"{where}: scriptFile names {declared}; it should be a .py file of the app")
        return path
    files = sorted(folder.glob("*.py"))
    for choice in (files if len(files) == 1 else []), [folder / "run.py"], [folder / "__init__.py"]:
        if choice and choice[0].is_file():
            return choice[0]
    raise SettingError(
        f"{where}: no scriptFile is named, and of the files "
        f"{listing(path.name for path in files)} none is run.py or __init__.py; name one as scriptFile"
    )


# --- importing ---------------------------------------------------------------------------------------------------


def _forget() -> None:
    """Forgets the modules of an app that this process loaded before, and the converters that they registered."""
    for name in _of_apps:
        sys.modules.pop(name, None)
    _of_apps.clear()
    registry: dict[Any, Any] = func.get_binding_registry()._bindings  # type: ignore[no-untyped-call]
    for binding, converter in list(registry.items()):
        if converter.__module__ not in sys.modules:
            del registry[binding]


def _lies_in(module: ModuleType, root: Path) -> bool:
    if module.__name__ in (FOLDER, V1_PACKAGE):
        return True
    file = getattr(module, "__file__", None)
    folders = [str(folder) for folder in getattr(module, "__path__", ())]  # of a folder without __init__.py
    return any(is_user_file(place, root) for place in ([file] if file else folders))


def _package(name: str, folder: Path) -> ModuleType:
    """A package whose modules are those of the folder, whatever installed package has the same name."""
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    return package


def _script_module(name: str, path: Path, root: Path) -> AppModule:
    """The script of model v2; a module of that name from elsewhere (``json.py``) stays what it is for all others."""
    if name in _of_apps and name in sys.modules:
        return AppModule(name, path, sys.modules[name])
    spec = importlib.util.spec_from_file_location(name, path, loader=FromSource(name, str(path)))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    foreign = name in sys.modules
    if not foreign:
        sys.modules[name] = module
    imported = _run(module, path, root)
    if imported.error and not foreign:
        sys.modules.pop(name, None)
    return imported


def _run(module: ModuleType, path: Path, root: Path) -> AppModule:
    """Runs the code of a file in a module that is made already."""

    def run() -> ModuleType:
        FromSource(module.__name__, str(path)).exec_module(module)
        return module

    return _guarded(module.__name__, path, root, run)


def _imported(name: str, path: Path, root: Path) -> AppModule:
    return _guarded(name, path, root, lambda: importlib.import_module(name))


def _guarded(name: str, path: Path, root: Path, importing: Callable[[], ModuleType]) -> AppModule:
    """Whatever a module raises while it is imported is its error; only Ctrl-C is none."""
    try:
        return AppModule(name, path, importing())
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and not _is_raised(error):
            raise
        return AppModule(name, path, error=reason(error, path, root))


def _is_raised(error: BaseException) -> bool:
    """Whether a ``raise`` of some module is the origin, rather than a signal that came between two instructions."""
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None:
        frames = frames.tb_next
    return frames is not None and dis.opname[frames.tb_frame.f_code.co_code[frames.tb_lasti]] == "RAISE_VARARGS"
