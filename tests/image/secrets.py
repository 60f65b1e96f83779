"""Secrets by the patterns of detect-secrets: private keys, tokens, keys of clouds, passwords in addresses."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

GUESSES = {"KeywordDetector", "Base64HighEntropyString", "HexHighEntropyString"}
"""What takes every hash and every example for a secret."""
EXAMPLES = {"password"}
"""What stands in documentation in the place of one."""


def secrets_in(paths: Iterable[Path]) -> list[str]:
    """Where they are, and what they are taken for."""
    known = {plugin.__name__ for plugin in get_mapping_from_secret_type_to_class().values()} - GUESSES
    with transient_settings({"plugins_used": [{"name": name} for name in sorted(known)]}):
        found = [(path, secret) for path in paths for secret in scan_file(str(path))]
    return [f"{path}:{one.line_number}: {one.type}" for path, one in found if one.secret_value not in EXAMPLES]
