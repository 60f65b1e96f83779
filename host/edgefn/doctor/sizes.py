"""Bytes as people read them."""

from __future__ import annotations

MB = 1_000_000


def size(count: float) -> str:
    """``1.2 MB``, ``3.4 GB``; ``12 kB`` below."""
    for unit, each in (("GB", 1000 * MB), ("MB", MB)):
        if count >= each:
            return f"{count / each:.1f} {unit}"
    return f"{count / 1000:.0f} kB"
