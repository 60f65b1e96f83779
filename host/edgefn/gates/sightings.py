"""Results as gates see them: names with scores, whoever found them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

NAMES = ("name", "label", "tagname", "tag")
SCORES = ("score", "confidence", "probability")
"""What name and score are called in results: ours, and those of Custom Vision; without regard to case."""


class Sighting(NamedTuple):
    """A class that was found, and how sure the model is of it."""

    name: str
    score: float


def sightings(results: Any) -> list[Sighting]:
    """What a list of results, or one of them, holds; nothing for None.

    A result is a Candidate, a Detection, a mapping or object with a name and a score, or a pair of both. Raises
    TypeError for anything else.
    """
    return list(_sightings(results))


def _sightings(results: Any) -> Iterator[Sighting]:
    if results is None:
        return
    one = _sighting(results)
    if one is not None:
        yield one
    elif isinstance(results, Iterable) and not isinstance(results, str | bytes | Mapping):
        for result in results:
            if (found := _sighting(result)) is None:
                raise TypeError(_wrong(result))
            yield found
    else:
        raise TypeError(_wrong(results))


def _sighting(result: Any) -> Sighting | None:
    if isinstance(result, Mapping):
        fields = {str(name).lower(): value for name, value in result.items()}
        name, score = _first(fields, NAMES), _first(fields, SCORES)
    elif isinstance(result, tuple | list) and len(result) == 2 and isinstance(result[0], str):
        name, score = result
    else:
        name, score = getattr(result, "name", None), getattr(result, "score", None)
    if name is None or score is None:
        return None
    try:
        return Sighting(str(name), float(score))
    except (TypeError, ValueError):
        return None


def _first(fields: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _wrong(found: Any) -> str:
    """What is no result, in words, with the remedy."""
    named = f" with {', '.join(map(str, found))}" if isinstance(found, Mapping) else ""
    return (
        f"a gate looks for results with a name and a score, and finds a {type(found).__name__}{named}; right would be "
        "Candidates, Detections, mappings with name and score, or pairs of both"
    )


def class_names(classes: str | Iterable[str]) -> frozenset[str]:
    """The names of classes in a list, or in a text with commas between them."""
    parts = classes.split(",") if isinstance(classes, str) else classes
    return frozenset(part.strip() for part in parts if part.strip())
