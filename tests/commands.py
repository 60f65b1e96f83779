"""Writes docs/commands.md from the commands themselves.

python -m tests.commands
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
HEAD = """# Commands

What `--help` of each command says, in one place; what each is for is in [the guides](README.md). `-h` and `--help` are
there everywhere, and `edgefn --version`; `edgefn --install-completion` completes names in your shell. This page is made
from the commands, by `python -m tests.commands`.
"""


def page() -> str:
    from edgefn.cli.commands import commands

    return HEAD + "".join(_sections(get_command(commands), "edgefn"))


def _sections(command: Any, name: str) -> Iterator[str]:
    """A command with its options; those below it, for one that only holds others."""
    below = getattr(command, "commands", {})
    for word, each in below.items():
        yield from _sections(each, f"{name} {word}")
    if not below:
        yield f"\n## `{name}`\n\n{' '.join((command.help or '').split())}\n"
        if rows := [_row(parameter) for parameter in command.params]:
            yield "\n| | means | default |\n|---|---|---|\n" + "".join(rows)


def _row(parameter: Any) -> str:
    names = [*parameter.opts, *parameter.secondary_opts]
    if not names[0].startswith("-"):
        names = [(parameter.metavar or parameter.name.upper()).replace("|", "\\|")]
    told = ", ".join(f"`{name}`" for name in names) + (", several" if parameter.multiple else "")
    default = names[0] if parameter.default is True else parameter.default
    shown = "required" if parameter.required else f"`{default}`" if default else ""
    means = " ".join((parameter.help or "").split()).replace("|", "\\|")
    return f"| {told} | {means} | {shown} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
