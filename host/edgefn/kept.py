"""A JSON object in a file, for its owner only: written whole or not at all, set aside when it is damaged."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import orjson

T = TypeVar("T")
log = logging.getLogger("edgefn.state")


class Kept:
    """One file; ``then`` says in a warning what follows when it can not be used, or not be written."""

    def __init__(self, path: Path, then: str) -> None:
        self._path = path
        self._then = then
        self._lock = threading.Lock()
        self.is_behind = False
        """Whether what was to be written last is not in the file."""

    def read(self) -> dict[str, Any] | None:
        """What was written last; None when there is nothing. A file that can not be used is set aside, and said."""
        return self.read_as(dict[str, Any])

    def read_as(self, of: Callable[[dict[str, Any]], T]) -> T | None:
        """What ``of`` makes of what was written last; a document that it raises ValueError, KeyError, TypeError or
        AttributeError for, as one of another shape, is set aside as well.
        """
        try:
            document = orjson.loads(self._path.read_bytes())
            if not isinstance(document, dict):
                raise ValueError("it holds no JSON object")
            return of(document)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            aside = self._path.with_name(f"{self._path.name}.unusable-{datetime.now(UTC):%Y%m%dT%H%M%S}")
            fault = str(error)
            if isinstance(error, KeyError):
                fault = f"it lacks {error}"
            elif isinstance(error, TypeError | AttributeError):
                fault = f"it is of another shape ({error})"
            log.warning("%s: can not be used: %s; it is kept as %s, and %s", self._path, fault, aside.name, self._then)
            with contextlib.suppress(OSError):
                self._path.replace(aside)
            return None

    def write(self, document: Mapping[str, Any]) -> None:
        """Keeps a document; says once that it can not, until it can again."""
        content = orjson.dumps(document, option=orjson.OPT_INDENT_2)
        with self._lock:
            try:
                self._replace(content)
            except OSError as error:
                if not self.is_behind:
                    log.warning("%s: can not be written: %s; %s", self._path, error, self._then)
                self.is_behind = True
            else:
                self.is_behind = False

    def _replace(self, content: bytes) -> None:
        temporary = self._path.with_name(f"{self._path.name}.new")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
