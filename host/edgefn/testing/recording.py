"""A recording as one file: a zip with ``recording.json`` and the pictures of its frames.

The JSON holds the function, its settings and, for each invocation, the event, what the function gave to its outputs,
what it returned or failed with. Secrets are ``***`` in all of it.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from edgefn import __version__
from edgefn.errors import EdgefnError, why

FORMAT = 1
DOCUMENT = "recording.json"
LARGEST = 64_000_000
"""Bytes of the JSON that are read, and of one picture."""


@dataclass(slots=True)
class Recorded:
    """One invocation, as JSON values."""

    at: str
    """When its event happened: of a frame its capture, else the end of the invocation; ISO 8601, UTC."""
    event: dict[str, Any]
    """See event_forms.py."""
    status: str = "ok"
    value: Any = None
    """What was returned, where that did not go to ``$return``."""
    error: str | None = None
    outputs: dict[str, list[Any]] = field(default_factory=dict)
    """What the function gave to each output, by its parameter, whether or not an interval then held it back."""
    properties: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    """The properties of these messages, where they have any."""


@dataclass(slots=True)
class Recording:
    """The last events of one function, and what it made of them."""

    function: str
    trigger: str
    settings: dict[str, str] = field(default_factory=dict)
    """Those that the function's bindings name."""
    invocations: list[Recorded] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)
    """PNG, by the name in the zip."""
    recorded: str = ""
    edgefn: str = __version__
    is_whole: bool = True
    """Whether it begins with the app's start, and nothing in between was left out."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Events that are not in it, by cause."""

    def write(self, path: Path) -> None:
        """Writes the file whole or not at all; raises EdgefnError."""
        document = {"format": FORMAT, **{name: value for name, value in _fields(self).items() if name != "pictures"}}
        part = path.with_name(f"{path.name}.part")
        try:
            with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as file:
                text = orjson.dumps(document, option=orjson.OPT_INDENT_2)
                file.writestr(DOCUMENT, text, zipfile.ZIP_DEFLATED)
                for name, data in self.pictures.items():
                    file.writestr(name, data)
            os.replace(part, path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise EdgefnError(f"{path}: can not be written: {why(error)}; name another file with --out") from None


def _fields(recording: Recording) -> Mapping[str, Any]:
    shown = {name: getattr(recording, name) for name in Recording.__dataclass_fields__}
    return {**shown, "invocations": [asdict(each) for each in recording.invocations]}


# --- reading -----------------------------------------------------------------------------------------------------


class _Invocation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    at: str
    event: dict[str, Any]
    status: str
    value: Any
    error: str | None
    outputs: dict[str, list[Any]]
    properties: dict[str, list[dict[str, str]]]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: int
    function: str
    trigger: str
    settings: dict[str, str]
    invocations: list[_Invocation]
    recorded: str
    edgefn: str
    is_whole: bool
    left_out: dict[str, int]


def read(path: Path) -> Recording:
    """Reads a recording; raises EdgefnError for a file that is none, is cut off, or is of another version."""
    try:
        with zipfile.ZipFile(path) as file:
            document = orjson.loads(_bytes(file, DOCUMENT))
            _check_format(path, document)
            known = _Document.model_validate(document)
            pictures = {name: _bytes(file, name) for name in file.namelist() if name != DOCUMENT}
    except FileNotFoundError:
        raise EdgefnError(f"{path}: is not there; `edgefn record FUNCTION` makes a recording") from None
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise EdgefnError(f"{path}: {DOCUMENT}: {where}: {fault['msg']}; record it again") from None
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        raise EdgefnError(f"{path}: is no recording: {error}; `edgefn record FUNCTION` makes one") from None
    invocations = [Recorded(**each.model_dump()) for each in known.invocations]
    rest = known.model_dump(exclude={"format", "invocations"})
    return Recording(**rest, invocations=invocations, pictures=pictures)


def _bytes(file: zipfile.ZipFile, name: str) -> bytes:
    if file.getinfo(name).file_size > LARGEST:
        raise ValueError(f"{name} has more than {LARGEST} bytes")
    return file.read(name)


def _check_format(path: Path, document: Any) -> None:
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        by = document.get("edgefn", "?") if isinstance(document, dict) else "?"
        raise EdgefnError(
            f"{path}: has format {found!r} (of edgefn {by}), and edgefn {__version__} reads format {FORMAT}; "
            "record it again, or use that edgefn"
        )


def summary(recording: Recording) -> str:
    """One line about a recording."""
    size = sum(map(len, recording.pictures.values())) / 1e6
    left = "".join(f", {count} left out ({cause})" for cause, count in recording.left_out.items())
    return f"{len(recording.invocations)} events of '{recording.function}', {size:.1f} MB of pictures{left}"
