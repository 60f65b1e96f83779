"""Commands around a host that runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edgefn.cli.around import tail, told, untaken
from tests.cli.command import app_in, edgefn, started

ECHO = """
import logging
import edgefn
app = edgefn.FunctionApp()

@app.edge_hub_trigger("m", "in")
@app.setting("factor", name="FACTOR", default=2)
@app.edge_hub_output("$return", "out")
def echo(m: dict, factor: int):
    logging.warning("seen %s", m["n"])
    return {"n": m["n"] * factor}

@app.direct_method_trigger("payload", "double")
def double(payload: int):
    return payload * 2
"""


def test_a_command_that_ctrl_c_has_ended_has_not_succeeded() -> None:
    def run() -> None:
        raise KeyboardInterrupt

    assert told(run) == 130


def test_messages_that_nothing_takes_are_lines_of_the_status() -> None:
    assert list(untaken({"outbox": {"messages": 2}, "inbox": {"messages": 0}})) == []
    assert list(untaken({"outbox": {"unserved": {"mqtt://away": 2}}, "inbox": {"unheard": {"ni": 1}}})) == [
        "2 messages for mqtt://away, to which no function sends",
        "1 message for input 'ni' dropped: no function listens to it",
    ]


def test_a_host_is_sent_to_asked_and_steered_from_another_terminal(tmp_path: Path) -> None:
    folder = app_in(tmp_path, echo=ECHO)
    (folder / "host.json").write_text('{"version": "2.0", "extensions": {"twin": {"reportInterval": 0.2}}}')
    with started("start", "--max-seconds", "100", cwd=folder) as host:
        assert edgefn("send", "in", '{"n": 3}', "--property", "kind=test", cwd=folder).returncode == 0
        host.wait_for("Executed 'Functions.echo' (Succeeded")
        assert json.loads(edgefn("tail", "out", cwd=folder).stdout)["body"] == {"n": 6}
        verdict = json.loads(edgefn("twin", "set", '{"settings": {"FACTOR": 5}}', cwd=folder).stdout)
        assert verdict["status"] == "applied"
        edgefn("send", "in", '{"n": 3}', cwd=folder)
        host.wait_for("Executed 'Functions.echo' (Succeeded")
        assert json.loads(edgefn("tail", "-n", "1", cwd=folder).stdout)["body"] == {"n": 15}
        assert json.loads(edgefn("twin", "get", cwd=folder).stdout)["desired"]["settings"] == {"FACTOR": 5}
        assert json.loads(edgefn("invoke", "double", "21", cwd=folder).stdout) == {"status": 200, "payload": 42}
        assert edgefn("invoke", "nothing", cwd=folder).returncode == 1
        assert edgefn("cable", "pull", cwd=folder).stdout == "hub local offline\n"
        edgefn("send", "in", '{"n": 4}', cwd=folder)
        host.wait_for("Executed 'Functions.echo' (Succeeded")
        assert "1 out" in edgefn("status", cwd=folder).stdout
        assert edgefn("cable", "plug", cwd=folder).stdout == "hub local online\n"
        assert any("0 out" in edgefn("status", cwd=folder).stdout for _ in range(100))
        assert json.loads(edgefn("tail", "-n", "1", cwd=folder).stdout)["body"] == {"n": 20}
        second = edgefn("start", cwd=folder)
        assert second.returncode == 1
        assert second.stdout.count("\n") == 1
        assert f".edgefn: another host uses this state folder (process {host.process.pid})" in second.stdout
        told = edgefn("status", cwd=folder).stdout
        assert re.match(r"host running, \d+ s; hub local online; page http://localhost:\d+/\n", told)
        assert f"Page: {told.partition('page ')[2].splitlines()[0]}" in host.log
        assert "echo: running" in told
        edgefn("send", "in", "no number", cwd=folder)
        host.wait_for("Executed 'Functions.echo' (Failed")
        assert "    last error: functions/echo.py:" in edgefn("status", cwd=folder).stdout
        assert (
            edgefn("tail", "nothing", cwd=folder).stderr
            == "nothing has gone upstream by output 'nothing'; outputs: out\n"
        )
        assert (
            edgefn("logs", "--invocation", "abc", cwd=folder).stderr
            == "no log line of invocation abc is kept any more\n"
        )
        lines = [
            json.loads(line) for line in edgefn("logs", "--function", "echo", "--json", cwd=folder).stdout.splitlines()
        ]
        own = next(line for line in lines if line["message"] == "seen 3")
        of_it = edgefn("logs", "--invocation", own["invocation_id"], cwd=folder).stdout
        assert "WARNING echo(" in of_it
        assert "Executed 'Functions.echo'" in of_it


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("send", "nowhere", "{}"), "no function listens to input 'nowhere'; inputs heard: in"),
        (("twin", "set", "{broken"), "the patch should be a JSON object"),
        (("logs", "--level", "loud"), "level should be one of trace, debug, "),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, arguments: tuple[str, ...], text: str) -> None:
    folder = app_in(tmp_path, echo=ECHO)
    with started("start", "--max-seconds", "60", cwd=folder):
        ended = edgefn(*arguments, cwd=folder)
    assert ended.returncode == 1
    assert ended.stderr.startswith(text)
    assert "Traceback" not in ended.stderr


def test_without_a_host_it_says_where_it_looked(tmp_path: Path) -> None:
    folder = app_in(tmp_path, echo=ECHO)
    ended = edgefn("status", cwd=folder)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"{folder}/.edgefn: no host runs on this state folder; start it with edgefn start")


def test_the_tail_shows_what_is_whole_beside_a_line_that_a_power_cut_has_torn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ['{"output":"out","body":"ä"}\n'.encode(), '{"output":"out","body":"ä'.encode()[:-1]]
    (tmp_path / "upstream.jsonl").write_bytes(b"".join(lines))
    assert tail(tmp_path, tmp_path, "out", follow=False, count=10) == 0
    assert capsys.readouterr().out.encode() == lines[0]
