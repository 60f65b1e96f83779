"""Why a request for a model gets no scores, in words that each protocol has its own code for."""

from __future__ import annotations

import enum


class Cause(enum.StrEnum):
    """What is in the way."""

    INVALID = "invalid"
    DENIED = "denied"
    UNKNOWN = "unknown"
    NOT_READY = "not_ready"
    BUSY = "busy"
    FAILED = "failed"

    @property
    def passes(self) -> bool:
        """Whether the same request may succeed a little later."""
        return self in (Cause.NOT_READY, Cause.BUSY)


class Fault(Exception):
    """A request that gets no scores; its text is for whoever sent it."""

    def __init__(self, cause: Cause, text: str) -> None:
        super().__init__(text)
        self.cause = cause
