"""Secrets by the patterns of detect-secrets: private keys, tokens, keys of clouds, passwords in addresses."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

GUESSES = {"KeywordDetector", "Base64HighEntropyString", "HexHighEntropyString"}
"""What takes every hash and every example for a secret."""
EXAMPLES = {"password"}
"""What stands in documentation in the place of one."""


@functools.lru_cache(maxsize=1)
def text_of(path: Path) -> str:
    return path.read_text(errors="replace")


def secrets_in(paths: Iterable[Path]) -> list[str]:
    """Where they are, and what they are taken for; line by line only where a pattern fits the text as a whole."""
    known = [plugin for plugin in get_mapping_from_secret_type_to_class().values() if plugin.__name__ not in GUESSES]
    plugins = [plugin() for plugin in known]  # type: ignore[call-arg]
    suspects = [path for path in paths if any(any(plugin.analyze_string(text_of(path))) for plugin in plugins)]
    with transient_settings({"plugins_used": [{"name": plugin.__name__} for plugin in known]}):
        found = [(path, secret) for path in suspects for secret in scan_file(str(path))]
    return [f"{path}:{one.line_number}: {one.type}" for path, one in found if one.secret_value not in EXAMPLES]
