"""The three forms of log lines: whole, with their invocation, without secrets."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edgefn import logs
from edgefn.logs import CURRENT, FORMS, Invocation, logging_to, usual_form

EDGE_AGENT = re.compile(
    r"^(<(?P<level>\d)>)?\s*((?P<time>\d{4}-\d{2}-\d{2}\s\d{2}:\d{2}:\d{2}.\d{3}\s[+-]\d{2}:\d{2})\s)?\s*(?P<text>.*)"
)
"""How edgeAgent reads a line of a module, for GetModuleLogs, UploadModuleLogs and the portal."""
log = logging.getLogger("mine")
GUIDE = Path(__file__).parents[1] / "docs" / "operation.md"


def written(form: str, say: object, *, level: int = logging.DEBUG) -> list[str]:
    """The lines that come of a call, in an invocation of function ``f``."""
    stream = io.StringIO()
    with logging_to(stream, form=form, level=level):
        token = CURRENT.set(Invocation("1234-abcd", "f"))
        try:
            say()  # type: ignore[operator]
        finally:
            CURRENT.reset(token)
    return stream.getvalue().splitlines()


def fail() -> None:
    try:
        raise ValueError("password=hunter2")
    except ValueError:
        log.exception("it failed\nfor good")


# --- edge --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "severity", "name"),
    [
        (logging.CRITICAL, "2", "FTL"),
        (logging.ERROR, "3", "ERR"),
        (logging.WARNING, "4", "WRN"),
        (35, "4", "WRN"),
        (logging.INFO, "6", "INF"),
        (logging.DEBUG, "7", "DBG"),
        (1, "7", "DBG"),
    ],
)
def test_the_edge_form_has_level_and_time_as_edge_agent_reads_them(level: int, severity: str, name: str) -> None:
    (line,) = written("edge", lambda: log.log(level, "it %s", "works"), level=1)
    found = EDGE_AGENT.match(line)
    assert found is not None
    assert (found["level"], found["text"]) == (severity, f"[{name}] f(1234-abcd) it works")
    assert found["time"].endswith(" +00:00")
    assert datetime.now(UTC) - datetime.fromisoformat(found["time"].replace(" +", "+")) < timedelta(minutes=1)
    assert line.startswith(f"<{severity}> {found['time']} ")


def test_each_line_of_a_text_has_level_time_and_invocation_in_the_edge_form() -> None:
    found = [EDGE_AGENT.match(line) for line in written("edge", fail)]
    texts = [each["text"] for each in found if each is not None and each["level"] == "3" and each["time"]]
    assert len(texts) == len(found) >= 5
    assert all(text.startswith("[ERR] f(1234-abcd) ") for text in texts)
    says = [text.removeprefix("[ERR] f(1234-abcd) ") for text in texts]
    assert says[:3] == ["it failed", "for good", "Traceback (most recent call last):"]
    assert says[-1] == "ValueError: password=***"
    assert says[-2].startswith("    ")


def test_a_text_can_not_forge_the_head_of_another_line() -> None:
    lines = written("edge", lambda: log.info("hello\n<2> 2026-11-20 12:00:00.000 +00:00 [FTL] gone"))
    assert [line[:3] for line in lines] == ["<6>", "<6>"]


def test_an_empty_text_is_a_line() -> None:
    assert len(written("edge", lambda: log.info(""))) == 1


@pytest.mark.parametrize(
    ("environment", "form"),
    [({}, "console"), ({"IOTEDGE_MODULEID": "m"}, "edge"), ({"IOTEDGE_WORKLOADURI": "unix:///w"}, "edge")],
)
def test_in_a_module_lines_have_the_edge_form(environment: dict[str, str], form: str) -> None:
    assert usual_form(environment) == form


# --- all forms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_no_form_shows_a_secret_of_a_message_or_of_a_traceback(form: str) -> None:
    def say() -> None:
        log.warning("to %s", "rtsp://user:hunter2@cam/live")
        log.warning({"password": "hunter2"})
        fail()

    text = "\n".join(written(form, say))
    assert text.count("***") == 4
    assert "hunter2" not in text


def test_json_has_invocation_and_exception_of_their_own() -> None:
    (line,) = written("json", fail)
    found = json.loads(line)
    assert (found["level"], found["logger"], found["message"]) == ("error", "mine", "it failed\nfor good")
    assert (found["function"], found["invocation_id"]) == ("f", "1234-abcd")
    assert found["exception"].endswith("ValueError: password=***")


@pytest.mark.parametrize("form", FORMS)
def test_what_a_thread_dies_of_is_a_log_line_of_its_invocation(form: str) -> None:
    def die() -> None:
        raise ValueError("AccountKey=hunter2")

    def say() -> None:
        thread = threading.Thread(target=die, name="watcher")
        thread.start()
        thread.join()

    text = "\n".join(written(form, say))
    assert "Thread 'watcher' ended by an error" in text
    assert "ValueError: AccountKey=***" in text
    assert "1234-abcd" in text


def test_a_thread_that_leaves_says_nothing() -> None:
    def say() -> None:
        thread = threading.Thread(target=lambda: exec("raise SystemExit"))
        thread.start()
        thread.join()

    assert written("console", say) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_line_that_can_not_be_written_is_told_of_without_its_arguments(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = written(form, lambda: log.info("%d frames", "hunter2"))
    assert "a log line can not be written: TypeError" in line
    assert "test_logs.py" in line
    assert "'%d frames'" in line
    assert "hunter2" not in line
    assert capsys.readouterr().err == ""


def test_warnings_are_log_lines_while_it_lasts() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        lines = written("edge", lambda: warnings.warn("old: password=hunter2", stacklevel=1))
    assert lines[0].startswith("<4> ")
    assert "UserWarning: old: password=***" in lines[0]


# --- the guide ---------------------------------------------------------------------------------------------------


def test_the_texts_that_the_guide_explains_are_said_by_the_host() -> None:
    joined = re.compile(r'"\s*\n\s*f?"')  # of a text that goes over several lines
    source = "\n".join(joined.sub("", path.read_text()) for path in Path(logs.__file__).parent.rglob("*.py"))
    table = GUIDE.read_text().partition("## What the log says, and what to do")[2].partition("\n## ")[0]
    texts = [text for row in table.splitlines()[6:] for text in re.findall(r"`(.*?)`", row.split(" | ")[0])]
    pieces = [piece for text in texts for piece in re.split(r"\s*\.\.\.[.)]*\s*", text) if len(piece) > 4]
    assert len(pieces) > 25
    assert [piece for piece in pieces if piece not in source] == []


# --- the host's own lines ----------------------------------------------------------------------------------------
