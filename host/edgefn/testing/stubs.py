"""Sessions with recorded answers, in place of those that a function's ``inferenceSession`` would open."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgefn.bindings.inference_session import InferenceSessionOptions, task_of
from edgefn.contracts import Event, Session
from edgefn.errors import EdgefnError, ModelError, listing, nearest
from edgefn.function import Binding, Function
from edgefn.sessions.stub import stub_session

SESSION = "inferencesession"
Answers = Sequence[Any] | str | Path | Session
"""A list with an answer for each call, a file of them, or an object with ``infer`` of the test's own."""


class GivenSession:
    """An input that gives a session of the test's."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def value(self, event: Event) -> Session:
        return self.session

    def status(self) -> Mapping[str, Any]:
        return {}

    async def close(self) -> None:
        """The session is the test's."""


class Stubs:
    """The sessions that a test gives, by their parameter, or by ``function.parameter``."""

    def __init__(self, given: Mapping[str, Answers], functions: Iterable[Function], root: Path) -> None:
        self._given = given
        self._root = root
        bindings = [b for function in functions for b in function.inputs if b.type.lower() == SESSION]
        known = {name for binding in bindings for name in _names(binding)}
        for name in given:
            if name not in known:
                raise EdgefnError(
                    f"sessions: there is no inferenceSession '{name}'{nearest(name, known)}; "
                    f"there are {listing(sorted(known))}"
                )

    def input(self, binding: Binding) -> GivenSession | None:
        """The input of a binding that the test gives a session for; raises ModelError for answers that are none."""
        if binding.type.lower() != SESSION:
            return None
        name = next((name for name in _names(binding) if name in self._given), None)
        return None if name is None else GivenSession(self._session(binding, name))

    def _session(self, binding: Binding, name: str) -> Session:
        given: Any = self._given[name]
        if hasattr(given, "infer"):
            session: Session = given
            return session
        assert isinstance(binding.options, InferenceSessionOptions)
        task = task_of(binding, binding.options.task)
        try:
            recorded = (
                json.loads((self._root / given).read_text(encoding="utf-8"))
                if isinstance(given, str | Path)
                else _plain(given)
            )
            return stub_session(name, task, recorded)
        except (OSError, ValueError) as error:
            raise ModelError(f"sessions: the answers of '{name}' can not be used: {error}") from None


def _names(binding: Binding) -> tuple[str, str]:
    return f"{binding.function}.{binding.name}", binding.name


def _plain(value: Any) -> Any:
    """Answers as a file would hold them: dataclasses as objects, arrays as lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if hasattr(value, "tolist"):
        return value.tolist()
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
