"""The command line. Nothing of weight is imported before a command needs it: ``edgefn --help`` answers at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator

VARIADIC = ("--functions",)


def main(arguments: list[str] | None = None) -> None:
    """Runs the command that the arguments name."""
    from edgefn.cli.commands import commands

    commands(spread(sys.argv[1:] if arguments is None else arguments), prog_name="edgefn")


def spread(arguments: list[str]) -> list[str]:
    """``--functions a b``, as ``func start`` takes it, as ``--functions a --functions b``."""
    return list(_spread(arguments))


def _spread(arguments: list[str]) -> Iterator[str]:
    option: str | None = None
    seen = 0
    for argument in arguments:
        if argument.startswith("-"):
            option, seen = (argument if argument in VARIADIC else None), 0
        elif option is not None:
            seen += 1
            if seen > 1:
                yield option
        yield argument
