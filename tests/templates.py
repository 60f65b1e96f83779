"""Apps made by ``edgefn init`` and ``edgefn new``, in this process."""

from __future__ import annotations

from pathlib import Path

from edgefn.cli.init import Init, run_init
from edgefn.cli.new import New, run_new
from edgefn.cli.templates import Template


def empty_app(folder: Path) -> Path:
    assert run_init(Init(folder, "", empty=True)) == 0
    return folder


def add(app: Path, template: Template, *more: str) -> None:
    """Adds the template's function under the name that is offered."""
    assert run_new(New(template.name, template.function, more, app)) == 0
