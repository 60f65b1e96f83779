"""``edgefn new``: a function, made of a template."""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import typer

from edgefn.cli.exports import as_template, read_export
from edgefn.cli.generate import Generated, check_layout, check_name, generated
from edgefn.cli.opening import SCRIPT_ROOT
from edgefn.cli.plan import tell
from edgefn.cli.templates import Question, Template, filled, find, templates
from edgefn.errors import EdgefnError, listing, nearest

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class New:
    """What the command was asked for; ``more`` are the options that only a template knows."""

    template: str | None = None
    name: str | None = None
    more: tuple[str, ...] = ()
    root: Path | None = None
    force: bool = False
    export: Path | None = None
    """A model that Custom Vision has exported."""


def run_new(asked: New) -> int:
    """Makes the function and says what there is to do next; 1 when it could not be made."""
    try:
        root = asked.root or Path(os.environ.get(SCRIPT_ROOT) or Path.cwd())
        check_layout(root)
        if asked.export is not None:
            return _run_exported(root, asked, asked.export)
        template, name, answers = _asked_for(asked) if _is_answered(asked) else _ask(root, force=asked.force)
        result = generated(root, template, name, answers, force=asked.force)
        told(result, result.plan.write(), name, template)
    except EdgefnError as error:
        typer.echo(str(error), err=True)
        return 1
    return 0


def _run_exported(root: Path, asked: New, path: Path) -> int:
    """A function that answers as Custom Vision does, over a model that it has exported."""
    export, name = read_export(path), asked.name or "image"
    template, answers, files = as_template(export, name)
    if asked.template and find(asked.template).name != template.name:
        raise EdgefnError(f"--template: an export makes a function of {template.name}; leave the option out")
    answers |= answers_of(template, asked.more)
    check_name(root, template, name, force=asked.force)
    result = generated(root, template, name, answers, force=asked.force)
    result.plan.made |= files
    told(result, result.plan.write(), name, template)
    return 0


def told(result: Generated, lines: list[str], name: str, template: Template) -> None:
    """Prints what was made, and the next steps."""
    typer.echo(f"Function '{name}', of template {template.name}:")
    tell(lines)
    for step in result.by_hand:
        typer.echo(f"To do: {step}")
    steps = {"edgefn start": "run the app; Ctrl+C ends it"}
    if importlib.util.find_spec("pytest") is None:
        steps["pip install -r requirements-dev.txt"] = "brings pytest"
    steps["python -m pytest"] = f"run the tests, also that of {name} in tests/test_{name}.py"
    tell_next(result.plan.root, steps)


def tell_next(root: Path, steps: Mapping[str, str]) -> None:
    """Prints commands, and what each of them does."""
    typer.echo("Next:")
    if root.resolve() != Path.cwd().resolve():
        typer.echo(f"  cd {shlex.quote(str(root))}")
    for command, purpose in steps.items():
        typer.echo(f"  {command:<36} # {purpose}")


# --- by arguments ------------------------------------------------------------------------------------------------


def _is_answered(asked: New) -> bool:
    """Whether the arguments have to do; raises EdgefnError where nobody can be asked."""
    if asked.template or asked.name or asked.more:
        return True
    if sys.stdin.isatty() and sys.stdout.isatty():
        return False
    raise EdgefnError(_missing("--template and --name are missing, and this is no terminal to ask in", ""))


def _missing(what: str, template: str) -> str:
    return f"edgefn new: {what}; edgefn new --template {template or 'TEMPLATE'} --name NAME, edgefn templates list"


def _asked_for(asked: New) -> tuple[Template, str, dict[str, str]]:
    if not asked.template:
        raise EdgefnError(_missing("--template is missing", ""))
    template = find(asked.template)
    if not asked.name:
        raise EdgefnError(_missing("--name is missing", template.name))
    return template, asked.name, answers_of(template, asked.more)


def answers_of(template: Template, arguments: Sequence[str]) -> dict[str, str]:
    """Options ``--key value`` and ``--key=value``, whose keys are the template's questions; raises EdgefnError."""
    questions = {key.replace("_", ""): question for key, question in template.questions.items()}
    answers: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        option, has_value, value = rest.pop(0).partition("=")
        question = questions.get(option.lower().removeprefix("--").replace("-", "").replace("_", ""))
        if question is None or not option.startswith("--"):
            known = [f"--{question.option}" for question in questions.values()]
            hint = nearest(option, known)
            raise EdgefnError(f"{option}: template {template.name} has no such option{hint}; options: {listing(known)}")
        if not has_value:
            if not rest:
                raise EdgefnError(f"{option}: its value is missing; {option} VALUE would be right")
            value = rest.pop(0)
        answers[question.key] = question.checked(value)
    return answers


# --- by asking ---------------------------------------------------------------------------------------------------


def _ask(root: Path, *, force: bool) -> tuple[Template, str, dict[str, str]]:
    template = _ask_template()
    name = _ask_until("Name", template.function, lambda text: check_name(root, template, text, force=force))
    answers = {key: _ask_question(question, name) for key, question in template.questions.items()}
    return template, name, answers


def _ask_template() -> Template:
    known = templates()
    width = max(len(template.name) for template in known)
    for number, template in enumerate(known, 1):
        typer.echo(f"{number:>3}  {template.name:<{width}}  {template.description}")

    def chosen(text: str) -> Template:
        is_number = text.isdecimal() and 1 <= int(text) <= len(known)
        return known[int(text) - 1] if is_number else find(text)

    return _ask_until("Template, by number or name", None, chosen)


def _ask_question(question: Question, name: str) -> str:
    choices = f" ({', '.join(question.choices)})" if question.choices else ""
    return _ask_until(f"{question.ask}{choices}", filled(question.default, {"name": name}), question.checked)


def _ask_until(text: str, default: str | None, use: Callable[[str], T]) -> T:
    """The first answer that can be used."""
    while True:
        try:
            return use(typer.prompt(text, default=default).strip())
        except EdgefnError as error:
            typer.echo(str(error), err=True)
