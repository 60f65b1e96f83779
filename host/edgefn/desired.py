"""The desired properties that are in force, and arithmetic of twin documents: no hub inside.

A document is a JSON object; a patch is one too, in which None removes (a JSON merge patch, as IoT Hub's).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]


def merged(document: Document, patch: Document) -> dict[str, Any]:
    """The document after the patch."""
    result = dict(document)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            old = result.get(name)
            result[name] = merged(old if isinstance(old, Mapping) else {}, value)
        else:
            result[name] = value
    return result


def changes(old: Document, new: Document) -> dict[str, Any]:
    """The patch that makes the new document of the old one; empty when they are equal."""
    patch: dict[str, Any] = {}
    for name in [*old, *(name for name in new if name not in old)]:
        before, after = old.get(name), new.get(name)
        if name in old and name in new and same(before, after):
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            patch[name] = changes(before, after)
        else:
            patch[name] = after
    return patch


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; True is not 1."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def untouched(document: Document, patch: Document) -> dict[str, Any]:
    """The values of the document that the patch says nothing about."""
    rest: dict[str, Any] = {}
    for name, value in document.items():
        if name not in patch:
            rest[name] = value
        elif (
            isinstance(value, Mapping) and isinstance(patch[name], Mapping) and (kept := untouched(value, patch[name]))
        ):
            rest[name] = kept
    return rest


def properties(document: Document) -> dict[str, Any]:
    """The document without what the hub adds: ``$version``, ``$metadata``."""
    return {name: value for name, value in document.items() if not name.startswith("$")}


def at(document: Document, path: str) -> Any:
    """The value at a path like ``camera.zoom``; None where there is none."""
    found: Any = document
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


class Desired:
    """The desired properties that were accepted last, for those who want to hear of the next ones."""

    def __init__(self) -> None:
        self.document: dict[str, Any] | None = None
        """Without ``$version``; None until there are any, from the hub or from an earlier run."""
        self.version = 0
        self._turn = asyncio.Event()

    def accept(self, document: Document, version: int) -> None:
        """Takes a new document, and tells those who wait."""
        self.document, self.version = dict(document), version
        self._turn.set()
        self._turn = asyncio.Event()

    async def other_than(self, known: Document | None) -> dict[str, Any]:
        """The document, as soon as there is one that differs from the known one."""
        while self.document is None or (known is not None and same(self.document, known)):
            await self._turn.wait()
        return self.document
