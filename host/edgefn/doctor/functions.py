"""The app: what `edgefn check` says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgefn.doctor.lines import Line, State, note, of_error, ok
from edgefn.doctor.subject import Subject

BETWEEN = re.compile(r"\n(?=\S)")
"""Between two errors of one text; a line that is indented belongs to the one before it."""
MEND = "mend it; `edgefn check` shows it too"
KNOW = "nothing, if it is meant so; `edgefn check` shows it too"


def check_functions(subject: Subject) -> Iterator[Line]:
    """How many functions there are, and a line for each error and each warning."""
    functions = subject.functions
    faulty = [function for function in functions if function.errors]
    disabled = sum(function.disabled for function in functions)
    if functions:
        rest = "".join(
            f", {count} {word}" for count, word in ((len(faulty), "in error"), (disabled, "disabled")) if count
        )
        yield ok("functions", f"{len(functions)} in {subject.root}{rest}")
    elif not subject.errors and not subject.warnings:
        yield note("functions", f"none in {subject.root}", "declare one under functions/ or in function_app.py")
    for error in (*subject.errors, *(error for function in faulty for error in function.errors)):
        yield from (of_error("functions", each, otherwise=MEND) for each in BETWEEN.split(error))
    for warning in subject.warnings:
        yield of_error("functions", warning, State.NOTE, otherwise=KNOW)
