"""The figures of a host."""

from __future__ import annotations

import pytest

from edgefn.contracts import Outcome, Status
from edgefn.metrics import Metrics


def test_invocations_are_counted_by_function_and_outcome() -> None:
    metrics = Metrics()
    for status in (Status.OK, Status.OK, Status.FAILED):
        metrics.function("f").record(Outcome(status, duration=0.002))
    value = metrics.registry.get_sample_value
    assert value("edgefn_invocations_total", {"function": "f", "status": "ok"}) == 2
    assert value("edgefn_invocations_total", {"function": "f", "status": "failed"}) == 1
    assert value("edgefn_invocation_seconds_count", {"function": "f"}) == 3


def test_percentiles_are_those_of_the_newest_invocations() -> None:
    function = Metrics().function("f")
    assert function.percentile(0.5) == 0.0
    for milliseconds in range(1, 101):
        function.record(Outcome(Status.OK, duration=milliseconds / 1000))
    assert [function.percentile(share) for share in (0.0, 0.5, 0.99, 1.0)] == [0.001, 0.05, 0.099, 0.1]


def test_a_counter_is_made_once_for_its_name() -> None:
    metrics = Metrics()
    assert metrics.counter("a", "first") is metrics.counter("a", "second")
    assert metrics.gauge("b", "first", ("x",)) is metrics.gauge("b", "second", ("x",))


@pytest.mark.parametrize("name", ["f", "with-dash", "with_underscore"])
def test_the_status_has_plain_numbers(name: str) -> None:
    status = Metrics().function(name).status()
    assert {type(value) for value in status.values()} <= {int, float, str}
