"""Calls that block, made in threads that can be given up: a look-up of a name can hang for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from edgefn.mqtt.faults import Cause, Fault
from edgefn.threads import Threads

T = TypeVar("T")


async def attempt(
    threads: Threads,
    call: Callable[[threading.Event], T],
    limit: float,
    late: Fault,
    undo: Callable[[asyncio.Future[Any]], object],
    where: str,
) -> T:
    """What the call gives within ``limit`` seconds; when it is no longer wanted, ``undo`` gets what it gave.

    The call is lent an event that is set then: who connects late with the identity of a host throws out that host.
    Raises Fault: ``late`` when it takes too long, and the library's own error, at ``where``, as one.
    """
    given_up = threading.Event()
    job = threads.run(partial(call, given_up))
    try:
        return await asyncio.wait_for(asyncio.shield(job.future), limit)
    except TimeoutError:
        given_up.set()
        job.future.add_done_callback(undo)
        raise late from None
    except asyncio.CancelledError:
        given_up.set()
        job.future.add_done_callback(undo)
        raise
    except Fault:
        raise
    except Exception as error:  # a library's own fault: it is said, and the next attempt may fare better
        raise Fault(Cause.CLIENT, f"{where}: {type(error).__name__}: {error}; see docs/hubs.md") from None


def check_wanted(given_up: threading.Event) -> None:
    """Raises Fault where an attempt was given up, to nobody who would hear it."""
    if given_up.is_set():
        raise Fault(Cause.STOPPED, "the attempt was given up")
