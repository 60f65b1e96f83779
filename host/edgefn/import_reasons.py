"""Why a module of an app could not be imported, in words that its author can act on."""

from __future__ import annotations

import ast
import enum
import inspect
import re
import sys
import traceback
from pathlib import Path

from edgefn.app import Blueprint, FunctionApp
from edgefn.errors import Place, listing, nearest
from edgefn.logs import is_user_file
from edgefn.places import shown

CALL = re.compile(r"^(?:\w+\.)*(\w+)\(\) (?:missing \d+ required|got an unexpected keyword|takes )")
"""How Python begins when a call has not the arguments of a function."""
OTHERS = ("self", "other", "kwargs")
"""Parameters that nobody names."""


def reason(error: BaseException, path: Path, root: Path) -> str:
    """Why a module of the app could not be imported: the place in the user's code, and the remedy where it is known."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if is_user_file(f.filename, root)]
    places = [Place(shown(Path(frame.filename), root), frame.lineno or 0) for frame in frames]
    file = shown(path / "__init__.py" if path.is_dir() else path, root)
    own = next((place for place in reversed(places) if place.file == file), None)
    text = f"{type(error).__name__}: {_said(error, frames[-1] if frames else None)}"
    if isinstance(error, SyntaxError) and error.filename:
        places.append(Place(shown(Path(error.filename), root), error.lineno or 0))
        text = f"{type(error).__name__}: {error.msg}" + (f": {error.text.strip()}" if error.text else "")
    if isinstance(error, SystemExit | KeyboardInterrupt):
        text += "; a module that ends the process while it is imported can not be loaded"
    if isinstance(error, ModuleNotFoundError):
        text += (
            f"; Cannot find module. Please check the requirements.txt file for the missing module, or install it: "
            f"pip install {(error.name or '').split('.')[0]}. Current sys.path: {sys.path}"
        )
    place = places[-1] if places else Place(shown(path, root))
    if own is not None and own.file != place.file:
        return f"{own}: imports what can not be loaded: {place}: {text}"
    return f"{place}: {text}"


def _said(error: BaseException, frame: traceback.FrameSummary | None) -> str:
    """What an error says, with what would be right where the name of a decorator or of its arguments is wrong."""
    text = str(error)
    if isinstance(error, AttributeError) and isinstance(error.obj, FunctionApp | Blueprint):
        return f"{text}{nearest(str(error.name), [name for name in dir(error.obj) if name[0] != '_'])}"
    if isinstance(error, AttributeError) and isinstance(error.obj, enum.EnumType):
        members = list(error.obj.__members__)
        return f"{error.obj.__name__} has no {error.name}{nearest(str(error.name), members)}; it has {listing(members)}"
    call = CALL.match(text) if isinstance(error, TypeError) else None
    decorator = inspect.getattr_static(FunctionApp, call[1], None) if call else None
    if call is None or not inspect.isfunction(decorator):
        return text
    taken = [name for name in inspect.signature(decorator).parameters if name not in OTHERS]
    unknown = [name for name in _keywords(frame, call[1]) if name not in taken]
    found = f"; found '{unknown[0]}'{nearest(unknown[0], taken)}" if unknown else ""
    return f"{text[call.start(1) :]}{found}; it takes {listing(taken)}"


def _keywords(frame: traceback.FrameSummary | None, name: str) -> list[str]:
    """The keywords of a call in the user's code, as it is written there; none where it is another code by now."""
    try:
        tree = ast.parse(Path(frame.filename).read_bytes() if frame else b"")
    except (OSError, SyntaxError, ValueError):
        return []
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and frame and node.lineno == frame.lineno)
    named = (call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == name)
    return [keyword.arg for call in named for keyword in call.keywords if keyword.arg]
