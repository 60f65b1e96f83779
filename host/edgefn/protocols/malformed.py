"""The error of all protocols. In a file of its own, since what only names it needs no numpy."""

from __future__ import annotations


class Malformed(ValueError):
    """A message that does not keep to its protocol; its text is for whoever sent it."""
