"""Looking into a state folder from the command line, beside a running host and without one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgefn.cli.spool import list_letters
from edgefn.contracts import EdgeMessage, Outgoing
from edgefn.spool.dead_letters import bury_unsent
from edgefn.spool.records import head_of
from edgefn.spool.schema import open_file
from tests.cli.command import app_in, edgefn, sent, started

FAILS = """
import edgefn
app = edgefn.FunctionApp()
@app.video_frame_trigger("frame", "synthetic:?width=64&height=48&frames=3")
@app.edge_hub_output("$return", "numbers")
def number(frame):
    return {"n": frame.id}

@app.edge_hub_trigger("m", "numbers")
@app.edge_hub_output("$return", "halves")
def halve(m: dict):
    if m["n"] == 1 and not MENDED:
        raise ValueError("an odd number")
    return m["n"] / 2
"""
ROUTES = {
    "toHalve": 'FROM /messages/modules/edgefn/outputs/numbers INTO BrokeredEndpoint("/modules/edgefn/inputs/numbers")',
    "up": "FROM /messages/modules/edgefn/outputs/halves INTO $upstream",
}


def app(folder: Path, *, mended: bool) -> Path:
    app_in(folder, numbers=FAILS.replace("MENDED", str(mended)))
    host = {"version": "2.0", "extensions": {"edgeHub": {"routes": ROUTES}}}
    (folder / "host.json").write_text(json.dumps(host))
    return folder


def test_a_message_that_failed_is_listed_shown_mended_and_replayed(tmp_path: Path) -> None:
    folder = app(tmp_path, mended=False)
    assert edgefn("start", "--until-end", cwd=folder).returncode == 0
    listed = edgefn("dead-letter", "list", cwd=folder)
    assert "numbers -> halve  attempts 1  ValueError: an odd number" in listed.stdout
    shown = json.loads(edgefn("dead-letter", "show", "1", cwd=folder).stdout)
    assert (shown["body"], shown["function"], shown["attempts"]) == ({"n": 1}, "halve", 1)
    assert 'raise ValueError("an odd number")' in shown["traceback"]
    app(folder, mended=True)
    with started("start", "--max-seconds", "20", cwd=folder) as host:
        assert edgefn("dead-letter", "replay", "1", cwd=folder).stdout == "1 replayed\n"
        host.wait_for("Executed 'Functions.halve' (Succeeded")
        host.wait_for("Executed 'Functions.halve' (Succeeded")
        host.wait_for("Executed 'Functions.halve' (Succeeded")
        host.wait_for("Executed 'Functions.halve' (Succeeded")
    assert edgefn("dead-letter", "list", cwd=folder).stdout == "no dead letters\n"


def test_dead_letters_are_discarded_by_number_or_all_at_once(tmp_path: Path) -> None:
    folder = app(tmp_path, mended=False)
    edgefn("start", "--until-end", cwd=folder)
    assert sent(folder / ".edgefn", "halves") == [0.0, 1.0]
    wrong = edgefn("dead-letter", "discard", "7", cwd=folder)
    assert (wrong.returncode, wrong.stderr) == (1, "no dead letter 7; there are: 1\n")
    neither = edgefn("dead-letter", "discard", cwd=folder)
    assert neither.stderr.startswith("name dead letters by their numbers, or give --all")
    assert edgefn("dead-letter", "discard", "--all", cwd=folder).stdout == "1 discarded\n"


def test_the_spool_tells_what_waits(tmp_path: Path) -> None:
    folder = app(tmp_path, mended=False)
    edgefn("start", "--until-end", cwd=folder)
    told = json.loads(edgefn("spool", "--json", cwd=folder).stdout)
    assert [told[box]["messages"] for box in ("inbox", "outbox", "dead")] == [0, 0, 1]
    assert "dead letters: 1 message, " in edgefn("spool", cwd=folder).stdout


def test_a_letter_for_a_broker_is_listed_with_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    connection, _ = open_file(tmp_path, power=False)
    broker = "mqtt://site:1883"
    for output, destination in (("", ""), ("scores", ""), (f"{broker}/line/alarms", broker)):
        message = EdgeMessage(b"{}", output_name=output)
        bury_unsent(connection, Outgoing(message, destination=destination), head_of(message), b"{}", 1e9, "refused")
    connection.close()
    assert list_letters(None, tmp_path, 10, as_json=False) == 0
    listed = [line.split("  ")[-3] for line in capsys.readouterr().out.splitlines()]
    assert listed == ["line/alarms -> mqtt://site:1883", "scores -> hub", "messages -> hub"]
    assert list_letters(None, tmp_path, 10, as_json=True) == 0
    assert [each.get("broker") for each in json.loads(capsys.readouterr().out)] == [broker, None, None]


def test_a_folder_without_a_spool_is_named(tmp_path: Path) -> None:
    told = edgefn("spool", "--state", str(tmp_path / "nowhere"), cwd=tmp_path)
    assert told.returncode == 1
    assert told.stderr.startswith(f"{tmp_path}/nowhere/spool.db: there is no spool; name the folder of the host")


def test_a_second_host_on_the_same_folder_says_who_has_it(tmp_path: Path) -> None:
    folder = app_in(tmp_path)
    with started("start", "--max-seconds", "60", cwd=folder) as host:
        second = edgefn("start", cwd=folder)
        assert second.returncode == 1
        assert f"another host uses this state folder (process {host.process.pid})" in second.stdout
        assert "Traceback" not in second.stdout + second.stderr
