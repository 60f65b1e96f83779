"""Programs that the speech output runs: found when they are needed, ended when they take too long."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from edgefn.errors import EdgefnError

Run = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Calls something that takes its time, in a thread."""


class SpeechError(EdgefnError):
    """Something that could not be said; ``cause`` is how it is counted."""

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause


def first_of(names: Sequence[str]) -> str | None:
    """The path of the first program that is there."""
    return next((path for name in names if (path := shutil.which(name)) is not None), None)


async def output_of(command: Sequence[str], given: bytes, within: float) -> tuple[bytes, str]:
    """What a program writes, and what it complains of; raises SpeechError where it fails, or takes too long."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
        )
    except OSError as error:
        raise SpeechError("failed", f"{command[0]} can not be run: {error.strerror or error}") from None
    try:
        async with asyncio.timeout(within):
            out, complaint = await process.communicate(given)
    except TimeoutError:
        raise SpeechError(
            "failed", f"{command[0]} did not end within {within:g} s; is it well? try it by hand"
        ) from None
    finally:
        if process.returncode is None:
            _kill(process)
            await asyncio.shield(process.communicate())
    text = complaint.decode(errors="replace").strip()
    if process.returncode:
        last = text.splitlines()[-1] if text else f"it ended with {process.returncode}"
        raise SpeechError("failed", f"{command[0]}: {last}")
    return out, text


def _kill(process: asyncio.subprocess.Process) -> None:
    """Ends a program with what it started, which would keep its pipes open."""
    with suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
