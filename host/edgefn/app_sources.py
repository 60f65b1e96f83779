"""Modules of the app are compiled from their source each time they are imported, and leave no bytecode behind.

Python takes bytecode for that of a source of the same size and the same second: an edit that is quicker than that, or
one that keeps the size, hid behind it.
"""

from __future__ import annotations

import sys
from importlib import machinery
from pathlib import Path
from types import CodeType

from edgefn.logs import is_user_file

_roots: list[Path] = []
"""The root of the app that was imported last; a process has one, and tests one after the other."""


class FromSource(machinery.SourceFileLoader):
    """A loader that neither reads bytecode nor writes it."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def import_from_source(root: Path) -> None:
    """What lies below ``root`` is imported so from now on, but for packages that were installed there."""
    if _finder not in sys.path_hooks:
        sys.path_hooks.insert(0, _finder)
    _roots[:] = [root]
    for folder in list(sys.path_importer_cache):
        if _is_of_app(folder):
            del sys.path_importer_cache[folder]


def _finder(folder: str) -> machinery.FileFinder:
    if not _is_of_app(folder):
        raise ImportError(f"{folder} does not belong to the app")
    return machinery.FileFinder(
        folder,
        (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES),
        (FromSource, machinery.SOURCE_SUFFIXES),
    )


def _is_of_app(folder: str) -> bool:
    return any(is_user_file(folder, root) for root in _roots)
