"""A run on time, and one that is late."""

import logging

import azure.functions as func
import pytest

from functions.__NAME__ import __NAME__


class Timer(func.TimerRequest):
    """A timer that is due, or past it."""

    def __init__(self, past_due: bool) -> None:
        self._past_due = past_due

    @property
    def past_due(self) -> bool:
        return self._past_due


def test_a_run_on_time_is_told() -> None:
    message = __NAME__(Timer(past_due=False))
    assert message["late"] is False
    assert message["timestamp"].tzinfo is not None


def test_a_late_run_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert __NAME__(Timer(past_due=True))["late"] is True
    assert "late" in caplog.text
