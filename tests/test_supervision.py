"""Parts that run for as long as the host does."""

from __future__ import annotations

import asyncio
import logging

import pytest

from edgefn.supervision import for_ever

log = logging.getLogger("part")


async def test_a_part_goes_on_when_what_it_waits_for_is_cancelled(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edgefn.supervision.FIRST_PAUSE", 0.01)
    runs = []

    async def run() -> None:
        runs.append(len(runs))
        if len(runs) < 3:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

    await asyncio.wait_for(asyncio.create_task(for_ever(run, log, "The part")), 10)
    assert runs == [0, 1, 2]
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


async def test_a_part_that_is_cancelled_ends() -> None:
    task = asyncio.create_task(for_ever(asyncio.Event().wait, log, "The part"))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
