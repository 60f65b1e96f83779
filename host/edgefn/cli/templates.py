"""The templates of functions that come with the package, and ``edgefn templates list``.

A template is a folder of ``function_templates`` with ``function.py``, ``test_function.py`` and ``template.toml``::

    title = "Timer trigger"                      # it may also be asked for by this
    description = "One line for the list"
    function = "tick"                            # the name that is offered for the function
    sample = ["street-detector"]                 # models of the package that it needs, copied to models/
    extras = ["mqtt"]                            # extras of edgefn that go into requirements.txt
    files = "pictures"                           # another template, whose files it has too
    note = "What is left to be done by hand"

    [questions.schedule]
    ask = "When, in NCRONTAB or as HH:MM:SS"
    default = "0 */5 * * * *"
    choices = ["..."]                            # where nothing else will do

    [settings]                                   # into local.settings.json, where the function names them
    INPUT = "synthetic:"

    [routes]                                     # into host.json; one that quotes an empty answer is left out
    x = "FROM ... INTO ..."

A folder whose file is called ``waiting.toml`` is for a binding that is still being built, and is not offered.
``__NAME__`` in any of these files stands for the function's name, ``__SCHEDULE__`` for the answer to a question, and
``__MODULE__`` for the module's name in routes. Files in ``files/`` are copied as they are.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
import typer

from edgefn.cli.opening import CHECKOUT
from edgefn.errors import EdgefnError, listing, nearest
from edgefn.ncrontab import parse

PACKAGED = Path(__file__).parents[1] / "function_templates"
PLACEHOLDER = re.compile(r"__([A-Z]+(?:_[A-Z]+)*)__")


@dataclass(frozen=True, slots=True)
class Question:
    """What a template has to know beside the name of the function."""

    key: str
    ask: str
    default: str = ""
    choices: tuple[str, ...] = ()
    is_schedule: bool = False
    """Whether the answer has to be NCRONTAB, or a time span."""

    def checked(self, answer: str) -> str:
        """The answer, a choice in its own spelling; raises EdgefnError for one that can not be used."""
        if any(ord(letter) < 32 for letter in answer):
            raise EdgefnError(f"--{self.option}: {answer!r} has control characters; one line of text would be right")
        if self.is_schedule:
            try:
                parse(answer)
            except ValueError as error:
                raise EdgefnError(f"--{self.option}: {error}") from None
        if not self.choices:
            return answer
        by_name = {choice.lower(): choice for choice in self.choices}
        match = by_name.get(answer.lower())
        if match is None:
            hint = nearest(answer.lower(), by_name)
            raise EdgefnError(f"--{self.option}: '{answer}' is no choice{hint}; choices: {listing(self.choices)}")
        return match

    @property
    def option(self) -> str:
        """How the command line names it."""
        return self.key.replace("_", "-")


@dataclass(frozen=True)
class Template:
    """One folder of templates; what it holds is read when it is asked for."""

    name: str
    folder: Path
    document: Mapping[str, Any] = field(repr=False)

    @property
    def title(self) -> str:
        return str(self.document["title"])

    @property
    def description(self) -> str:
        return str(self.document["description"])

    @property
    def function(self) -> str:
        return str(self.document["function"])

    @cached_property
    def questions(self) -> Mapping[str, Question]:
        """By their keys, in the order in which they are asked."""
        declared = self.document.get("questions", {})
        return {
            key: Question(
                key,
                asked["ask"],
                asked.get("default", ""),
                tuple(asked.get("choices", ())),
                is_schedule=asked.get("is_schedule", False),
            )
            for key, asked in declared.items()
        }

    def text(self, file: str) -> str:
        return (self.folder / file).read_text(encoding="utf-8")

    def described(self) -> dict[str, Any]:
        """The template as ``--json`` prints it."""
        questions = [
            {"option": f"--{q.option}", "ask": q.ask, "default": q.default, "choices": list(q.choices)}
            for q in self.questions.values()
        ]
        return {"name": self.name, "title": self.title, "description": self.description, "questions": questions}


def home() -> Path:
    """Where the templates are: in the package, or in the checkout that it runs from."""
    return PACKAGED if PACKAGED.exists() else CHECKOUT / "function_templates"


def templates() -> list[Template]:
    """All there are, by name."""
    return [
        Template(path.parent.name, path.parent, tomllib.loads(path.read_text(encoding="utf-8")))
        for path in sorted(home().glob("*/template.toml"))
    ]


def find(asked: str) -> Template:
    """The template of this name or title, or the only one that begins so; raises EdgefnError that lists them."""
    known, wanted = templates(), plain(asked)
    by_name = {template.name: template for template in known}
    exact = [t for t in known if wanted in (t.name, plain(t.title), *map(plain, t.document.get("aliases", ())))]
    found = exact or [t for t in known if wanted and (t.name.startswith(wanted) or plain(t.title).startswith(wanted))]
    if len(found) == 1:
        return found[0]
    if found:
        names = listing(template.name for template in found)
        raise EdgefnError(f"--template: '{asked}' may be any of {names}; write more of its name")
    raise EdgefnError(f"--template: there is no '{asked}'{nearest(wanted, by_name)}; templates: {listing(by_name)}")


def plain(text: str) -> str:
    """A name or title for comparison: ``Timer trigger`` is ``timer-trigger``."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def files_in(folder: Path) -> list[Path]:
    """The files of a folder and its folders; not what tools have left there, hidden or in ``__pycache__``."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if not any(part[0] in "._" for part in path.relative_to(folder).parts)]


def filled(text: str, answers: Mapping[str, str]) -> str:
    """The text with each placeholder replaced by the answer of that name; others stay as they are."""
    return PLACEHOLDER.sub(lambda match: answers.get(match[1].lower(), match[0]), text)


def filled_code(text: str, answers: Mapping[str, str]) -> str:
    """The same for Python: an answer stands between double quotes there, whatever it holds."""
    quoted = {key: answer.replace("\\", "\\\\").replace('"', '\\"') for key, answer in answers.items()}
    return filled(text, quoted)


def list_templates(*, as_json: bool) -> int:
    """Prints the templates, a line each."""
    known = templates()
    if as_json:
        document = [template.described() for template in known]
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
        return 0
    width = max(len(template.name) for template in known)
    for template in known:
        typer.echo(f"{template.name:<{width}}  {template.description}")
    typer.echo("\nNext: edgefn new --template NAME --name FUNCTION, or edgefn new to be asked")
    return 0
