"""What leaves for the cloud beside messages, in reports and answers: without credentials, and not too large."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

HIDDEN = "***"
USERINFO = re.compile(r"(?<=//)[^/\s@'\"]+(?=@)")
"""The credentials in an address."""
KEYS = re.compile(r"(?i)\b(SharedAccessKey|SharedAccessSignature|AccountKey|sig|password|pwd|token)=[^;&\s'\"]+")
"""Those in connection strings and queries."""


def harmless(value: Any) -> Any:
    """A JSON value in whose texts credentials are replaced by stars."""
    if isinstance(value, str):
        return KEYS.sub(rf"\1={HIDDEN}", USERINFO.sub(HIDDEN, value))
    if isinstance(value, Mapping):
        return {str(name): harmless(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [harmless(inner) for inner in value]
    return value


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
