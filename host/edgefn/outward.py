"""How much leaves for the cloud beside messages: reports and answers that are not too large."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson


def fitting(most: int, *forms: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The first of several forms of a document, the fullest first, that has at most so many bytes as JSON.

    Where none has, the last one, which should be small whatever happens.
    """
    document: dict[str, Any] = {}
    for form in forms:
        document = form()
        if len(orjson.dumps(document, default=str, option=orjson.OPT_NON_STR_KEYS)) <= most:
            break
    return document
