"""The end of ASGI apps in an ``AsgiFunctionApp``: Azure's library starts them, and leaves their end to chance."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import azure.functions as func

from edgefn.function import Function

log = logging.getLogger("edgefn.web")


async def shut_down(functions: Iterable[Function], grace: float) -> None:
    """Sends ``lifespan.shutdown`` to the ASGI apps that were started, and waits for them."""
    for app in _started(functions):
        app.startup_task_done = False
        try:
            async with asyncio.timeout(grace):
                await app.middleware.notify_shutdown()
        except TimeoutError:
            log.warning("An ASGI app did not end its lifespan within %.1f s", grace)
        except Exception as error:  # whatever the user's app raises while it ends
            log.warning("An ASGI app failed while it ended: %s: %s", type(error).__name__, error)


def _started(functions: Iterable[Function]) -> Iterator[Any]:
    """The apps around the functions that ``AsgiFunctionApp`` made, known by what these functions close over."""
    for function in functions:
        for cell in getattr(function.call, "__closure__", None) or ():
            value = cell.cell_contents
            if isinstance(value, func.AsgiFunctionApp) and value.startup_task_done:
                yield value
