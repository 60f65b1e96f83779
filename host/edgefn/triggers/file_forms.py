"""What a function gets of a file, by the annotation of its parameter."""

from __future__ import annotations

import enum
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

from edgefn.contracts import EdgeMessage, VideoFrame
from edgefn.errors import EdgefnError
from edgefn.images import TooLarge, decoded, is_array
from edgefn.triggers.file_options import FileTrigger
from edgefn.triggers.folder import Found, changed, opened
from edgefn.values import first_of_union, message_converter

FITTING = "pathlib.Path, bytes, str, VideoFrame, numpy.ndarray, or what JSON can become"


class FileChanged(Exception):
    """The file is not the one any more that arrived."""


class Form(enum.Enum):
    """What is read of a file before its function runs."""

    PATH = "path"
    CONTENT = "content"
    PICTURE = "picture"


def form_of(annotation: Any) -> Form:
    """The form that a parameter wants; a path where it has no annotation."""
    annotation = first_of_union(annotation)
    if annotation is VideoFrame or is_array(annotation):
        return Form.PICTURE
    if annotation in (None, Any) or (isinstance(annotation, type) and issubclass(annotation, PurePath)):
        return Form.PATH
    return Form.CONTENT


def converter_of(annotation: Any) -> Callable[[Any], Any] | None:
    """How what was read becomes the parameter; None when it is passed as it is. Raises TypeError."""
    annotation = first_of_union(annotation)
    if annotation in (None, Any, VideoFrame, Path, PurePath, bytes):
        return None
    if is_array(annotation):
        return lambda frame: frame.image
    if form_of(annotation) is Form.PATH:
        return lambda path: annotation(path)
    convert = message_converter(annotation)
    if convert is None:
        raise TypeError(f"a file can not become an {annotation.__name__}; what fits is {FITTING}")
    return lambda content: convert(EdgeMessage(content))


def read(form: Form, file: Found, number: int, options: FileTrigger) -> Any:
    """What the form wants of a file. Takes its time: for a thread.

    Raises FileNotFoundError where it is gone, FileChanged where it is another one, OSError where it can not be read,
    and EdgefnError where it is not what is wanted.
    """
    content = _content(file, options.max_bytes) if form is not Form.PATH else b""
    known = os.lstat(file.path)  # after the reading, so that what was read is of one piece
    if not stat.S_ISREG(known.st_mode) or (known.st_size, changed(known)) != (file.size, file.modified):
        raise FileChanged
    if form is Form.PATH:
        return Path(file.path)
    if form is Form.CONTENT:
        return content
    try:
        image = decoded(content, options.max_pixels)
    except TooLarge as error:
        raise EdgefnError(f"{file.path}: {error}; raise maxPixels, or take a pathlib.Path") from None
    except ValueError as error:
        raise EdgefnError(f"{file.path}: {error}") from None
    taken = datetime.fromtimestamp(file.modified / 1e9, UTC)
    return VideoFrame(image, number, taken, 0.0, options.path, 0.0, file.name)


def _content(file: Found, max_bytes: int) -> bytes:
    if file.size > max_bytes:
        raise EdgefnError(
            f"{file.path}: {file.size} bytes are more than maxBytes, {max_bytes}; raise it, or take a pathlib.Path"
        )
    with opened(file.path) as content:
        return content.read(max_bytes + 1)
