"""``edgefn hub ...`` as a person types it."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgefn.cli import hub as commands
from edgefn.cli.stand_in import hub as hub_commands
from edgefn.errors import HubError
from edgefn.standin.control import Control
from tests import forks
from tests.standin.hubs import LONGEST, HubProcess, running_hub, wait_until
from tests.standin.manifests import manifest
from tests.standin.mqtt import module
from tests.standin.sdk import created


def ran(hub: HubProcess, *words: str) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    command = [sys.executable, "-m", "edgefn", "hub", *words, "--dir", str(hub.folder)]
    return forks.run(command, timeout=LONGEST, env=hub.python)


def test_where_there_are_no_unix_sockets_a_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    ended = CliRunner().invoke(hub_commands, ["status"])
    assert (ended.exit_code, ended.output.count("\n")) == (1, 1)
    assert "no unix sockets here, by which it is asked; Linux, macOS or WSL would be right" in ended.output


async def test_env_prints_what_a_shell_takes(hub: HubProcess) -> None:
    client = await asyncio.to_thread(lambda: created(in_a_shell(ran(hub, "env", "shell").stdout)))
    await client.connect()
    await client.send_message("by the shell")
    await client.shutdown()
    assert [found.text for found in hub.control.upstream() if found.module == "shell"] == ["by the shell"]


def in_a_shell(lines: str) -> dict[str, str]:
    """The environment of a shell that has read these lines."""
    command = ["/bin/sh", "-c", f"{lines}\nenv"]
    seen = subprocess.run(command, capture_output=True, text=True, check=True, env={}).stdout
    return dict(line.split("=", 1) for line in seen.splitlines())


def test_env_knows_three_forms(hub: HubProcess) -> None:
    assert json.loads(ran(hub, "env", "forms", "--json").stdout) == hub.env("forms")
    assert json.loads(ran(hub, "env", "forms", "--connection-string", "--json").stdout) == hub.debug_env("forms")
    assert json.loads(ran(hub, "env", "thermometer", "--device", "--json").stdout) == hub.device_env("thermometer")


def test_env_says_what_it_makes_and_what_may_be_meant(hub: HubProcess, capsys: pytest.CaptureFixture[str]) -> None:
    hub.env("counter")
    assert commands.show_environment(hub.folder, "conter", "module", beside=False, as_json=True) == 0
    made = capsys.readouterr()
    assert made.err.startswith("made the module 'conter'; did you mean 'counter'?; there are ")
    assert json.loads(made.out) == hub.env("conter")
    assert commands.show_environment(hub.folder, "conter", "module", beside=False, as_json=True) == 0
    assert capsys.readouterr().err == ""


def test_env_makes_no_module_that_the_manifest_has_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = manifest(tmp_path, {"r": "FROM /* INTO $upstream"})
    with running_hub(tmp_path, "-d", path) as hub:
        assert commands.show_environment(hub.folder, "can", "module", beside=False, as_json=False) == 1
        said = "can: is no module of the hub's manifest; did you mean 'cam'?; modules: cam, log; --beside makes one"
        assert capsys.readouterr() == ("", f"{said} beside them\n")
        assert commands.show_environment(hub.folder, "can", "module", beside=True, as_json=False) == 0
        assert commands.show_environment(hub.folder, "can", "module", beside=False, as_json=False) == 0
        assert commands.show_environment(hub.folder, "cam", "debug", beside=False, as_json=False) == 0
        assert commands.show_environment(hub.folder, "meter", "device", beside=False, as_json=False) == 0
        err = capsys.readouterr().err
        assert (
            err == "made the module 'can'; did you mean 'cam'?; there are cam, log already\nmade the device 'meter'\n"
        )


def test_send_puts_a_message_into_an_input(hub: HubProcess) -> None:
    words = ("--property", "kind=alert", "--id", "m1", "--content-type", "text/plain", "--from", "cam", "--times", "2")
    assert ran(hub, "send", "sent", "commands", "hello", *words).returncode == 0
    with module(hub, "sent") as client:
        client.subscribe()
        for _ in range(2):
            came = client.next()
            assert came.payload == b"hello"
            assert came.topic == (
                "devices/edge/modules/sent/inputs/commands/"
                "%24.cdid=edge&%24.cmid=cam&%24.mid=m1&%24.ct=text%2Fplain&kind=alert"
            )


def test_tail_prints_what_went_upstream(hub: HubProcess) -> None:
    with module(hub, "tailed") as client:
        client.publish("out", "hello", "kind=alert&%24.mid=m1")
    number = next(found.number for found in hub.control.upstream() if found.module == "tailed")
    assert f"{number} tailed/out kind=alert hello\n" in ran(hub, "tail").stdout
    [line] = ran(hub, "tail", "--after", str(number - 1), "--json").stdout.splitlines()
    assert json.loads(line).items() >= {"module": "tailed", "output": "out", "id": "m1", "body": "hello"}.items()


def test_tail_prints_the_last_lines_or_all_after_a_number(hub: HubProcess) -> None:
    with module(hub, "counting") as client:
        for number in range(12):
            client.publish("out", f"no {number}")
    bodies = [line.split(" ", 2)[-1].removeprefix("counting/out ") for line in ran(hub, "tail").stdout.splitlines()]
    assert [body.rpartition("no ")[2] for body in bodies] == [str(number) for number in range(2, 12)]
    assert ran(hub, "tail", "-n", "1").stdout.endswith("counting/out no 11\n")
    assert ran(hub, "tail", "-n", "0").stdout == ""
    assert len(ran(hub, "tail", "--after", "0").stdout.splitlines()) >= 12


def test_tail_follows(hub: HubProcess) -> None:
    last = max((found.number for found in hub.control.upstream()), default=0)
    words = ["hub", "tail", "-f", "--after", str(last), "--dir", str(hub.folder)]
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "edgefn", *words], stdout=subprocess.PIPE, text=True, env=hub.python
    ) as tail:
        assert tail.stdout is not None
        with module(hub, "followed") as client:
            for text in ("one", "two"):
                client.publish("out", text)
                assert tail.stdout.readline().endswith(f"followed/out {text}\n")
        tail.terminate()


def test_twins_are_shown_and_changed(hub: HubProcess) -> None:
    hub.env("twinned")
    assert json.loads(ran(hub, "twin", "set", "twinned", '{"a": 1, "b": 2}').stdout)["desired"]["$version"] == 2
    ran(hub, "twin", "set", "twinned", '{"a": null}')
    assert json.loads(ran(hub, "twin", "get", "twinned").stdout)["desired"] == {"b": 2, "$version": 3}
    ran(hub, "twin", "set", "twinned", '{"c": 3}', "--replace")
    assert json.loads(ran(hub, "twin", "get", "twinned").stdout)["desired"] == {"c": 3, "$version": 4}


def test_invoke_leaves_with_1_when_the_module_is_not_there(hub: HubProcess) -> None:
    hub.env("absent")
    ended = ran(hub, "invoke", "absent", "start", "--connect-timeout", "0")
    assert ended.returncode == 1
    assert json.loads(ended.stdout) == {
        "status": 404,
        "payload": {"message": "absent is not there, or takes no methods"},
    }


async def test_a_method_waits_for_a_module_that_comes_late(hub: HubProcess) -> None:
    hub.env("coming")
    asked = asyncio.create_task(asyncio.to_thread(hub.control.invoke, "coming", "start", {"a": 1}))
    with module(hub, "coming") as client:
        client.subscribe("$iothub/methods/POST/#")
        request = await asyncio.to_thread(client.next)
        assert request.topic.startswith("$iothub/methods/POST/start/?$rid=")
        number = request.topic.partition("$rid=")[2]
        await asyncio.to_thread(client.publish_on, f"$iothub/methods/res/200/?$rid={number}", '"done"')
        answer = await asked
    assert (answer.status, answer.payload) == (200, "done")


def test_faults_are_listed_added_shown_and_cleared(hub: HubProcess) -> None:
    listed = ran(hub, "fault", "--list").stdout
    assert "refuse-connect" in listed
    assert "code=5 module= seconds= count= share=" in listed
    assert json.loads(ran(hub, "fault", "no-connack", "module=nobody").stdout)["module"] == "nobody"
    assert json.loads(ran(hub, "fault").stdout)["fault"] == "no-connack"
    assert ran(hub, "fault", "clear").stdout == "cleared: 1\n"
    assert ran(hub, "fault").stdout == ""


def test_status_shows_modules_counters_and_queues(hub: HubProcess) -> None:
    hub.control.send("counted", "in", "1", "2")
    with module(hub, "counted"):
        shown = json.loads(ran(hub, "status").stdout)
    [client] = [client for client in shown["clients"] if client["name"] == "counted"]
    assert client == {
        "name": "counted",
        "kind": "module",
        "connected": True,
        "subscriptions": [],
        "queued": 2,
        "desiredVersion": 1,
        "reportedVersion": 1,
    }
    assert shown["counters"]["queued"] >= 2
    assert shown["pid"] == hub.process.pid if hub.process else False


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("twin", "get", "shel"), "shel: neither a module nor a device; did you mean 'shell'?; there are "),
        (("twin", "set", "shell", "5"), "desired properties: '5' is no JSON object; '{\"interval\": 5}' would be"),
        (("twin", "set", "shell", "{"), "desired properties: '{' is no JSON: "),
        (("invoke", "shell", "m", "{"), "payload: '{' is no JSON: "),
        (("invoke", "nobody", "m"), "nobody: neither a module nor a device"),
        (("send", "thermometer", "in", "x"), "thermometer: is a device, which has no inputs; a module would be right"),
        (("send", "shell", "in", "x", "--property", "novalue"), "--property novalue: should be NAME=VALUE"),
        (("env", "no/module"), "'no/module': no name for a module or device; letters, digits"),
        (("fault", "unknown"), "fault 'unknown': there is none of that name; faults: kill-connections"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_code_1(
    hub: HubProcess, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.env("shell")
    hub.device_env("thermometer")
    ended = ran(hub, *words)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_without_a_hub_each_command_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.status(tmp_path) == 1
    said = f"{tmp_path}: no hub answers there: it does not run; start it with `edgefn hub start`, or name its folder"
    assert capsys.readouterr().err.startswith(said)
    with pytest.raises(HubError, match="no hub answers there"):
        Control(tmp_path).upstream()


def test_control_gives_all_messages_beyond_a_page_and_waits_for_more(hub: HubProcess) -> None:
    after = max((found.number for found in hub.control.upstream()), default=0)
    with module(hub, "pages") as client:
        for number in range(2500):
            client.send("out", str(number))
        found = hub.control.wait_for_upstream(2500, after=after, within=LONGEST)
        assert [message.text for message in found] == [str(number) for number in range(2500)]
    with pytest.raises(HubError, match=r"0 of 1 messages went upstream within 0\.1 s"):
        hub.control.wait_for_upstream(1, after=found[-1].number, within=0.1)


def test_a_body_that_is_no_text_is_kept(hub: HubProcess) -> None:
    with module(hub, "binary") as client:
        client.publish("out", b"\xff\x00")
    wait_until(lambda: [found.body for found in hub.control.upstream() if found.module == "binary"] == [b"\xff\x00"])
