"""Tasks that go on for as long as the host runs: a fault of ours in one is told, and costs no more than a pause."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


async def for_ever(run: Callable[[], Awaitable[None]], log: logging.Logger, what: str) -> None:
    """Runs a part until it returns or is cancelled; where it breaks it is run again, later each time.

    ``run`` has to go on with what was in hand when it broke. ``what`` names the part in the log.
    """
    pause = FIRST_PAUSE
    while True:
        began = time.monotonic()
        task = asyncio.current_task()
        assert task is not None
        try:
            return await run()
        except asyncio.CancelledError:
            if task.cancelling():  # else it came out of what the part waited for
                raise
            log.error("%s broke: what it waited for was cancelled; it goes on, please report it", what)
        except Exception as error:
            # the trap: an error out of the clean-up of a cancelled task must not start it again
            if task.cancelling():
                log.warning("%s broke while it stopped: %s: %s", what, type(error).__name__, error)
                raise asyncio.CancelledError from None
            log.exception("%s broke in a way that was not foreseen, and goes on; please report it", what)
        if time.monotonic() - began > LONGEST_PAUSE:
            pause = FIRST_PAUSE
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
