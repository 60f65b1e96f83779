"""``extensions.<name>`` of host.json, read into the options of the part that it is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from edgefn.errors import SettingError, listing, nearest
from edgefn.settings import HostConfig

M = TypeVar("M", bound=BaseModel)


def read_extension(model: type[M], root: Path, config: HostConfig, name: str) -> M:
    """The options as host.json declares them.

    Raises SettingError with a line for each that is wrong: its place, and what is known there or would be right.
    """
    try:
        return model.model_validate(dict(config.extension(root, name)))
    except ValidationError as error:
        faults = [([str(part) for part in fault["loc"]], fault) for fault in error.errors()]
        lines = (
            f"{config.at(root, 'extensions', name, *path)}: extensions.{name}{_said(model, path, fault)}"
            for path, fault in faults
        )
        raise SettingError("\n".join(lines)) from None


def _said(model: type[BaseModel], path: Sequence[str], fault: Mapping[str, Any]) -> str:
    option = "".join(f".{part}" for part in path)
    if fault["type"] == "extra_forbidden":
        known = _known(model, path[:-1])
        return f"{option}: unknown option{nearest(path[-1], known)}; known options: {listing(known)}"
    return f"{option}: {fault['msg'].removeprefix('Value error, ')}, found {fault['input']!r}"


def _known(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """The options of the part of a model that a path leads to."""
    for part in path:
        kinds = (info.annotation for name, info in model.model_fields.items() if part in (name, info.alias))
        model = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), model)
    return [info.alias or name for name, info in model.model_fields.items()]
