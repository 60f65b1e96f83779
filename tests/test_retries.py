"""Retry policies: how often, after how long, with what the function sees of it."""

from __future__ import annotations

import itertools
import logging

import pytest

from edgefn.contracts import Status
from edgefn.function import RetryPolicy, RetryStrategy
from edgefn.host import Host
from edgefn.retries import delays
from tests.conftest import AppIn
from tests.test_invocation import KEEP, TRIGGER, ran
from tests.ticks import HEAD, PLUGIN

ONCE = TRIGGER.format(", count=1")
RETRY = '@app.retry(strategy="fixed_delay", max_retry_count="{}", delay_interval="{}")\n'


def test_a_fixed_delay_is_the_same_before_each_attempt() -> None:
    policy = RetryPolicy(RetryStrategy.FIXED_DELAY, 3, delay_interval=5)
    assert list(delays(policy)) == [5, 5, 5]


def test_an_exponential_delay_doubles_with_jitter_up_to_the_maximum() -> None:
    policy = RetryPolicy(RetryStrategy.EXPONENTIAL_BACKOFF, -1, minimum_interval=2, maximum_interval=60)
    first, *rest = itertools.islice(delays(policy), 100)
    assert first == 2
    for number, delay in enumerate(rest):
        assert min(60, 2 + 0.8 * 2.0**number * 2) <= delay <= min(60, 2 + 1.2 * 2.0**number * 2)


async def test_a_function_that_succeeds_at_last_is_one_invocation_that_succeeded(app_of: AppIn) -> None:
    body = "def f(tick, out, context):\n    if context.retry_context.retry_count < 2: raise ValueError('not yet')\n"
    body += "    out.set([context.retry_context.retry_count, context.retry_context.exception.message])"
    status = await ran(app_of, ONCE + RETRY.format(3, "00:00:00") + KEEP.format("out", "") + body)
    assert [outcome.status for outcome in status["outcomes"]] == [Status.OK]
    assert status["kept"] == [[2, "not yet"]]
    assert status["invocations"] == 1


async def test_every_attempt_has_the_same_invocation_id(app_of: AppIn, caplog: pytest.LogCaptureFixture) -> None:
    body = "def f(tick, context):\n    logging.getLogger('mine').error(context.invocation_id)\n    raise ValueError"
    status = await ran(app_of, ONCE + RETRY.format(2, "00:00:00") + body)
    ids = [record.getMessage() for record in caplog.records if record.name == "mine"]
    assert (len(ids), len(set(ids))) == (3, 1)
    assert status["failed"] == 1
    assert "Function execution failed after '2' retries." in caplog.text


async def test_nothing_of_a_failed_attempt_is_sent(app_of: AppIn) -> None:
    body = "def f(tick, out, context):\n    out.set(context.retry_context.retry_count)\n"
    body += "    if context.retry_context.retry_count < 1: raise ValueError"
    status = await ran(app_of, ONCE + RETRY.format(1, "00:00:00") + KEEP.format("out", "") + body)
    assert status["kept"] == [1]


async def test_a_function_without_a_policy_is_run_once_and_sees_no_retries(app_of: AppIn) -> None:
    body = "def f(tick, out, context):\n    retry = context.retry_context\n"
    body += "    out.set([retry.retry_count, retry.max_retry_count, retry.exception])"
    assert (await ran(app_of, ONCE + KEEP.format("out", "") + body))["kept"] == [[0, 0, None]]


async def test_stopping_the_host_ends_the_waiting_between_attempts(
    app_of: AppIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    code = f"{HEAD}SEEN = asyncio.Event()\n{ONCE}{RETRY.format(-1, '01:00:00')}"
    code += "async def f(tick):\n    SEEN.set()\n    raise ValueError"
    host = Host(app_of({"functions/ticks.py": PLUGIN, "functions/f.py": code}))
    await host.start()
    await host.app.manager.get_plugin("functions.f").SEEN.wait()
    await host.stop()
    assert "Invocation cancelled - exiting retry loop." in caplog.text
    assert host.status()["functions"]["f"]["failed"] == 1
