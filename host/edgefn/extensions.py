"""``extensions.<name>`` of host.json, read into the options of the part that it is for."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from edgefn.errors import SettingError, nearest
from edgefn.settings import HostConfig

M = TypeVar("M", bound=BaseModel)


def read_extension(model: type[M], root: Path, config: HostConfig, name: str) -> M:
    """The options as host.json declares them; raises SettingError with the place, and what is known there."""
    try:
        return model.model_validate(dict(config.extension(name)))
    except ValidationError as error:
        fault = error.errors()[0]
        wrong = ".".join(str(part) for part in fault["loc"])
        known = [info.alias or key for key, info in model.model_fields.items()]
        where = f"{root / 'host.json'}: extensions.{name}.{wrong}"
        raise SettingError(
            f"{where}: {fault['msg']}{nearest(wrong, known)}; known options: {', '.join(known)}"
        ) from None
