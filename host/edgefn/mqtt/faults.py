"""Why there is no connection to the hub, in words that name what is to be mended."""

from __future__ import annotations

import asyncio
import enum
import re
from collections import Counter

_SECRETS = re.compile(r"(sig=|SharedAccessKey=|SharedAccessSignature\s+)[^;&\s\"']+", re.IGNORECASE)


class Cause(enum.StrEnum):
    """The kinds of faults; the label of the counter ``edgefn_hub_lost``."""

    WORKLOAD = "workload"
    """The workload API did not give what it should."""
    UNREACHABLE = "unreachable"
    """No name, no TCP connection."""
    CERTIFICATE = "certificate"
    """The hub could not show that it is the hub, or no TLS came about."""
    REFUSED = "refused"
    """The hub answered CONNECT or SUBSCRIBE with no."""
    SILENT = "silent"
    """The hub did not answer: CONNECT, SUBSCRIBE, or a ping."""
    CLOSED = "closed"
    """The hub, or the network, ended the connection."""
    EXPIRED = "expired"
    """The hub ended the connection because the token had expired."""
    UNACKNOWLEDGED = "unacknowledged"
    """A message was not acknowledged in time."""
    RIVAL = "rival"
    """A second host seems to run with the same identity."""
    INPUTS = "inputs"
    """A message could not be taken in, and is to be delivered again."""
    RENEWAL = "renewal"
    """Planned: a new token."""
    STOPPED = "stopped"
    CLIENT = "client"
    """The SDK is not as it should be."""


class Fault(Exception):
    """The end of a connection, or of the attempt to make one; its text is an error's, free of secrets."""

    def __init__(self, cause: Cause, text: str) -> None:
        super().__init__(redacted(text))
        self.cause = cause


def stopped() -> Fault:
    return Fault(Cause.STOPPED, "the host stops")


def planned(unwanted: asyncio.Future[Fault]) -> Fault:
    """Why a connection is ended that goes well: somebody could not go on with it, or there is a new token."""
    return unwanted.result() if unwanted.done() else Fault(Cause.RENEWAL, "a new token, as planned")


def redacted(text: str) -> str:
    """The text without keys, signatures and tokens."""
    return _SECRETS.sub(r"\1***", text)


class Repetitions:
    """Which of many faults of one kind are worth a line: the first, the second, the fourth, the eighth, ..."""

    def __init__(self) -> None:
        self._seen: Counter[Cause] = Counter()

    def worth_a_line(self, fault: Fault) -> bool:
        self._seen[fault.cause] += 1
        return self._seen[fault.cause].bit_count() == 1

    def times(self, fault: Fault) -> int:
        return self._seen[fault.cause]

    def forget(self) -> None:
        """All is well again: the next one is a first one."""
        self._seen.clear()
