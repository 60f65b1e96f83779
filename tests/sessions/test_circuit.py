from __future__ import annotations

import logging
from typing import Any

import pytest

from edgefn.sessions.circuit import Circuit, CircuitOpen


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def state(circuit: Circuit) -> str:
    return str(circuit.status()["state"])


def test_failures_in_a_row_open_it_and_a_success_between_does_not() -> None:
    circuit = Circuit("it", 2, 10)
    for step in (circuit.failed, None, circuit.failed):
        circuit.enter()
        circuit.succeeded() if step is None else step("why")
    assert state(circuit) == "closed"
    circuit.failed("why")
    with pytest.raises(
        CircuitOpen, match=r"it is not asked, since it failed 2 times in a row \(why\); .* in \d+\.\d s"
    ):
        circuit.enter()


def test_after_the_pause_one_call_tries_it() -> None:
    clock, told = Hand(), []
    circuit = Circuit("it", 1, 10, told.append, clock)
    circuit.failed("why")
    clock.now += 10
    circuit.enter()
    assert state(circuit) == "half-open"
    with pytest.raises(CircuitOpen):
        circuit.enter()
    circuit.failed("still")
    assert state(circuit) == "open"
    clock.now += 10
    circuit.enter()
    circuit.succeeded()
    circuit.enter()
    assert told == [False, True]
    assert circuit.status() == {"state": "closed", "failures": 0, "reason": "", "opened": 1, "refused": 1}


def test_a_trying_call_that_never_ends_keeps_it_open_for_no_longer_than_another_pause() -> None:
    clock = Hand()
    circuit = Circuit("it", 1, 10, clock=clock)
    circuit.failed("why")
    for _ in range(2):
        clock.now += 10
        circuit.enter()
        with pytest.raises(CircuitOpen):
            circuit.enter()


def test_each_change_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock: Any = Hand()
    circuit = Circuit("it", 1, 10, clock=clock)
    for _ in range(4):
        circuit.failed("why")
        clock.now += 10
        circuit.enter()
    circuit.succeeded()
    circuit.succeeded()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
