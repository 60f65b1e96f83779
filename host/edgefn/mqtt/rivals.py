"""Notices a second host that runs with the same identity: each one connects, and the hub, or a broker,
throws the other out.
"""

from __future__ import annotations

SHORT = 30.0
"""Seconds: a connection that the hub ended sooner may have been taken over."""
LONG = 60.0
"""Seconds after which a connection is in nobody's way."""
SUSPICIOUS = 4
"""Take-overs in a row that are no accident."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 12.0


class Rivals:
    """Counts connections that the hub ended within seconds, although it could be reached at once, again and again.

    A hub that crashes, or a network that flaps, can not be reached at once: a failed attempt starts the count anew.
    """

    def __init__(self) -> None:
        self.takeovers = 0

    @property
    def suspected(self) -> bool:
        return self.takeovers >= SUSPICIOUS

    def ended(self, lasted: float, *, by_hub: bool) -> None:
        """After each connection."""
        if by_hub and lasted < SHORT:
            self.takeovers += 1
        elif lasted >= LONG or not self.suspected:
            self.takeovers = 0

    def failed(self) -> None:
        """After each attempt that came to nothing."""
        self.takeovers = 0

    def pause(self) -> float:
        """Seconds to leave the hub to the other one: longer each time, so that the two do not go on for ever."""
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self.takeovers - SUSPICIOUS, 10)) if self.suspected else 0.0
