"""Faults 1 to 4 and 20: host and hub are killed, again and again, and the host is told to leave."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.faults.box import WORK, box, size
from tests.faults.storm import storm

WINDOW = 20
"""Messages that are on their way at most; so many may come again after a death of the hub."""
GRACE = 8.0

BEATING = """
    import asyncio, pathlib, time
    import edgefn
    app = edgefn.FunctionApp()
    LONGEST = pathlib.Path("longest.txt")

    @app.edge_hub_trigger("m", "in")
    @app.edge_hub_output("$return", "out")
    def work(m: dict):
        time.sleep(0.05)
        return m

    async def beat():
        longest = 0.0
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            if (late := time.monotonic() - began - 0.01) > longest:
                longest = late
                LONGEST.write_text(str(longest))

    BEATING = []

    @edgefn.hookimpl
    def edgefn_host_started(services):
        BEATING.append(asyncio.create_task(beat()))
"""
"""Slow functions, and a beat of the event loop whose longest delay, in seconds, is kept in a file."""


def test_fault_01_a_hub_that_is_killed_again_and_again(tmp_path: Path) -> None:
    seen, _ = storm(tmp_path, size(10_000, 600), size(8, 2), hosts=False)
    assert seen.holds, seen


def test_fault_02_a_hub_that_dies_when_it_has_stored_and_not_acknowledged(tmp_path: Path) -> None:
    inputs, deaths = size(10_000, 300), size(8, 2)
    fault = f"die-before-puback after={inputs // (deaths + 2)}"
    with box(tmp_path) as there:
        there.give(inputs)
        there.hub.control.fault_words(fault.split())
        for number in range(deaths):
            assert there.hub.wait_for_end() == -signal.SIGKILL
            there.hub.start(*([] if number == deaths - 1 else ["--fault", fault]))
        seen = there.wait_for_all(within=size(300, 60))
    assert seen.holds, seen
    assert 1 <= seen.duplicates <= deaths * WINDOW


def test_fault_03_a_host_that_is_killed_while_slow_functions_run(tmp_path: Path) -> None:
    seen, _ = storm(tmp_path, size(10_000, 200), size(8, 2), hubs=False, slow=0.01)
    assert seen.holds, seen


def test_fault_04_host_and_hub_are_killed_in_turn(tmp_path: Path) -> None:
    seen, _ = storm(tmp_path, size(10_000, 600), size(8, 2))
    assert seen.holds, seen


def test_fault_20_a_host_that_is_told_to_leave_while_a_thousand_inputs_wait(tmp_path: Path) -> None:
    with box(tmp_path, {"functions/work.py": BEATING}) as there:
        there.give(1000)
        there.until(lambda: there.waiting == 0)
        code, seconds = there.host.stop()
        assert code == 0
        assert seconds <= GRACE
        assert 0 < there.host.stored("inbox") < 1000
        longest = float((there.host.folder / "longest.txt").read_text()) * 1000
        there.host.write({"functions/work.py": WORK})
        there.host.start()
        seen = there.wait_for_all()
    assert seen.holds, seen
    assert longest <= size(100, 500)  # others work on CI's processors too
