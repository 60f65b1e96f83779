"""What waits for something slow, and goes on after a fault of ours."""

from __future__ import annotations

import asyncio

import pytest

from edgefn.bindings.backlog import Backlog


async def test_a_value_on_which_an_output_breaks_is_counted_and_those_behind_it_are_worked_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Functions that wait for room would wait for ever."""
    monkeypatch.setattr("edgefn.supervision.FIRST_PAUSE", 0.01)
    handled: list[int] = []
    dropped: list[str] = []

    async def handle(value: int) -> None:
        if value == 1:
            raise RuntimeError("broken")
        handled.append(value)

    backlog = Backlog(1, "block", handle, dropped.append)
    async with asyncio.timeout(10):
        await asyncio.gather(*(backlog.put(number) for number in range(5)))
        await backlog.close(5)
    assert (handled, dropped) == ([0, 2, 3, 4], ["failed"])
    assert "An output broke in a way that was not foreseen, and goes on; please report it" in caplog.text
