"""What the models of an app's sessions are called where they are served."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from urllib.parse import urlsplit

from edgefn.bindings.inference_session import InferenceSessionOptions
from edgefn.errors import listing, nearest
from edgefn.function import Binding, Function
from edgefn.sessions.files import FORMATS
from edgefn.settings import At


def served_sessions(function: Function, declared: Mapping[str, str]) -> Iterator[tuple[str, Binding]]:
    """The sessions of a function whose models are served, each after the model's name; one may have several names.

    ``declared`` are the sessions, ``function.parameter``, by name; where it is empty, files give the names.
    """
    for binding in function.inputs:
        if isinstance(binding.options, InferenceSessionOptions):
            own = [name for name, session in declared.items() if session == session_of(binding)]
            for name in own if declared else [name_of(binding.options.model)]:
                if name:
                    yield name, binding


def without_session(functions: Iterable[Function], declared: Mapping[str, str], at: At) -> Iterator[str]:
    """A text for each declared name whose session no function has; ``at`` tells where an option of serving is."""
    there = [session_of(b) for f in functions for b in f.inputs if isinstance(b.options, InferenceSessionOptions)]
    for name, session in declared.items():
        if session not in there:
            yield (
                f"{at('models', name)}: extensions.serving.models: '{name}' is to be the model of '{session}', and"
                f" there is no such session{nearest(session, there)}; sessions: {listing(there)}"
            )


def session_of(binding: Binding) -> str:
    """How host.json names a session."""
    return f"{binding.function}.{binding.name}"


@functools.lru_cache(maxsize=256)
def name_of(model: str) -> str:
    """The name of a model whose file, or address, is declared so."""
    if "://" in model:
        return urlsplit(model).path.partition("/versions/")[0].rstrip("/").rpartition("/")[2]
    path = PurePath(model.replace("\\", "/"))
    return path.stem if path.suffix.lower() in FORMATS else path.name
