"""``edgefn settings``: the values of local.settings.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from edgefn.cli.opening import app_root
from edgefn.errors import EdgefnError, SettingError, listing, nearest, why
from edgefn.settings import read_local

NEW = {"IsEncrypted": False, "Values": {}}


def list_settings(root: Path | None, *, show_value: bool) -> int:
    """Prints the names; values only when they are asked for, since some are secrets."""
    return _reporting(lambda: _list(root, show_value))


def set_setting(root: Path | None, name: str, value: str) -> int:
    """Adds a setting, or gives it another value."""
    return _reporting(lambda: _set(root, name, value))


def delete_setting(root: Path | None, name: str) -> int:
    """Removes a setting."""
    return _reporting(lambda: _delete(root, name))


def _list(root: Path | None, show_value: bool) -> None:
    path, document = _opened(root)
    typer.echo(f"{path}:")
    for name, value in sorted(document["Values"].items()):
        typer.echo(f"  {name} = {value if show_value else '*****'}")


def _set(root: Path | None, name: str, value: str) -> None:
    path, document = _opened(root)
    document["Values"][name] = value
    _write(path, document)


def _delete(root: Path | None, name: str) -> None:
    path, document = _opened(root)
    if name not in document["Values"]:
        known = list(document["Values"])
        raise SettingError(f"{path}: has no setting '{name}'{nearest(name, known)}; settings: {listing(known)}")
    del document["Values"][name]
    _write(path, document)


def _reporting(command: Any) -> int:
    try:
        command()
    except EdgefnError as error:
        typer.echo(str(error), err=True)
        return 1
    return 0


def _opened(root: Path | None) -> tuple[Path, dict[str, Any]]:
    path = app_root(root) / "local.settings.json"
    document = read_local(path) if path.exists() else json.loads(json.dumps(NEW))
    if document.get("IsEncrypted", True):
        raise SettingError(f"{path}: its values are encrypted; decrypt them with `func settings decrypt`")
    if not isinstance(document.setdefault("Values", {}), dict):
        raise SettingError(f"{path}: Values should be an object of names and texts, found {document['Values']!r}")
    return path, document


def _write(path: Path, document: dict[str, Any]) -> None:
    """Writes the file anew, unless that would lose comments."""
    try:
        if path.exists():
            json.loads(path.read_text(encoding="utf-8-sig"))
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    except json.JSONDecodeError:
        raise SettingError(f"{path}: holds comments, which would be lost; change it by hand") from None
    except OSError as error:
        raise SettingError(f"{path}: can not be written: {why(error)}; make it writable for this user") from None
