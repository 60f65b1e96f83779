"""The host's own lines of invocations: records as logging makes them, for less."""

from __future__ import annotations

import asyncio
import functools
import io
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from edgefn.contracts import EdgeMessage
from edgefn.host import Host
from edgefn.invocation_lines import HostLines
from edgefn.logs import FORMS, Invocation, logging_to
from tests.conftest import AppIn
from tests.test_logs import log, written
from tests.ticks import HEAD


class Records(logging.Handler):
    """Keeps what it is given, as a handler of the app's own would see it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record)


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """What a handler of the app's own is given, while the host's lines go to nowhere."""
    handler = Records()
    with logging_to(io.StringIO()):
        logging.getLogger().addHandler(handler)
        yield handler.seen


RUNNING = Invocation("1234-abcd", "f")


def test_records_of_the_hosts_lines_have_all_that_records_have(records: list[logging.LogRecord]) -> None:
    lines = HostLines(log)
    log.info("first", stacklevel=1)
    for number in range(3):
        lines.write(logging.INFO, f"line {number}", RUNNING)
    ordinary, *own = records
    for number, record in enumerate(own):
        assert vars(record).keys() == vars(ordinary).keys()
        assert record.getMessage() == f"line {number}"
        assert (record.function, record.invocation_id) == ("f", "1234-abcd")
        for name in ("name", "levelno", "levelname", "thread", "threadName", "process", "processName", "args"):
            assert getattr(record, name) == getattr(ordinary, name)
        assert record.created >= ordinary.created
        assert record.relativeCreated >= ordinary.relativeCreated


def test_records_of_the_hosts_lines_come_of_a_factory_of_the_apps_own(records: list[logging.LogRecord]) -> None:
    lines, usual = HostLines(log), logging.getLogRecordFactory()

    def traced(*args: Any, **keywords: Any) -> logging.LogRecord:
        record = usual(*args, **keywords)
        record.trace = len(records)
        return record

    lines.write(logging.INFO, "before", RUNNING)
    logging.setLogRecordFactory(traced)
    lines.write(logging.INFO, "with one", RUNNING)
    lines.write(logging.INFO, "and another", RUNNING)
    assert [getattr(record, "trace", None) for record in records] == [None, 1, 2]


def test_a_factory_that_wraps_the_usual_one_with_all_its_attributes_makes_each_record(
    records: list[logging.LogRecord],
) -> None:
    usual, calls = logging.getLogRecordFactory(), []

    @functools.wraps(usual)
    def counted(*args: Any, **keywords: Any) -> logging.LogRecord:
        calls.append(args)
        return usual(*args, **keywords)

    logging.setLogRecordFactory(counted)
    lines = HostLines(log)
    for _ in range(3):
        lines.write(logging.INFO, "line", RUNNING)
    assert len(calls) == len(records) == 3


async def test_the_task_in_a_record_is_the_one_that_writes_it(records: list[logging.LogRecord]) -> None:
    """Python tells it from 3.12 on."""
    lines = HostLines(log)

    async def write() -> None:
        lines.write(logging.INFO, "line", RUNNING)
        log.info("another")

    for name in ("one", "two"):
        await asyncio.create_task(write(), name=name)
    tasks = [getattr(record, "taskName", None) for record in records]
    assert tasks == (["one", "one", "two", "two"] if sys.version_info >= (3, 12) else [None] * 4)


@pytest.mark.parametrize("form", FORMS)
def test_what_a_filter_of_the_app_adds_to_a_line_without_secrets_shows_none(form: str) -> None:
    class Telling(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            record.msg = f"{record.msg} (password=hunter2)"
            return True

    telling = Telling()
    log.addFilter(telling)
    try:
        (line,) = written(form, lambda: HostLines(log).write(logging.INFO, "Executed 'f'", RUNNING, is_clean=True))
    finally:
        log.removeFilter(telling)
    assert "Executed 'f' (password=***" in line


@pytest.mark.parametrize("form", FORMS)
def test_the_hosts_lines_show_no_secret_either(form: str) -> None:
    lines = HostLines(log)

    def say() -> None:
        for _ in range(2):
            lines.write(logging.INFO, "Executing 'f' (Reason='password=hunter2')", RUNNING)

    assert [line.count("password=***") for line in written(form, say)] == [1, 1]


FILTERED = """
class Broken(logging.Filter):
    def filter(self, record):
        if WORDS in record.getMessage():
            raise LookupError("a filter that fails")
        return True

logging.getLogger("Function.f").addFilter(Broken())

@app.edge_hub_trigger("m", "in")
@app.edge_hub_output("$return", "out")
def f(m: str):
    if m == "2":
        raise ValueError("no two")
    return m
"""


@pytest.mark.parametrize("words", ["Executing", "Succeeded", "Failed"])
async def test_a_filter_of_the_app_that_fails_on_the_hosts_lines_costs_the_line_alone(
    app_of: AppIn, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = app_of({"functions/f.py": f"{HEAD}WORDS = {words!r}\n{FILTERED}"})
    host = Host(app)
    try:
        await host.start()
        spool = app.services.spool
        for number in range(4):
            await spool.inbox.on_input(EdgeMessage(str(number).encode(), input_name="in"))
        async with asyncio.timeout(10):
            await spool.idle()
        status, letters = host.status()["functions"]["f"], await spool.dead_letters()
        await host.stop()
    finally:
        logging.getLogger("Function.f").filters.clear()
    assert (status["invocations"], status["failed"], status["in_flight"]) == (4, 1, 0)
    assert [letter.message.text for letter in letters] == ["2"]
    assert "a line can not be written: LookupError: a filter that fails" in caplog.text
