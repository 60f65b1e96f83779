"""What was saved is what the next event runs; what is broken leaves the last good version."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from edgefn.contracts import EdgeMessage
from edgefn.host import Host
from edgefn.loader import load_app
from edgefn.log_levels import LineLevels
from edgefn.reload import Reloader
from tests.reload.edits import edited
from tests.spool.ports import until

Folder = Callable[[Mapping[str, str]], Path]

ANSWER = """
import edgefn
from functions._words import word

app = edgefn.FunctionApp()
STATE = []

@app.edge_hub_trigger("m", "in")
@app.edge_hub_output("$return", "out")
def answer(m):
    return {"n": int(m), "word": word(), "code": 1}
"""
OTHER = """
import edgefn
app = edgefn.FunctionApp()
COUNT = []

@app.edge_hub_trigger("m", "other")
@app.edge_hub_output("$return", "count")
def other(m):
    COUNT.append(m)
    return {"count": len(COUNT)}
"""
WORDS = 'def word():\n    return "one"\n'


class Site:
    """A running host that is told what was saved."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.reloader = Reloader(host)
        self.root = host.app.root
        self._asked = 0

    async def save(self, **files: str | None) -> None:
        """Writes files (``None`` deletes one) and tells of them; ``__`` in a name is a slash."""
        paths = set()
        for name, text in files.items():
            path = self.root / (name.replace("__", "/") + ("" if "." in name else ".py"))
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            paths.add(path)
        await self.reloader.reload(paths)

    async def ask(self, name: str = "in") -> Any:
        """What the function on an input gives for the next message."""
        self._asked += 1
        seen = len(self.upstream())
        spool = self.host.app.services.spool
        await spool.inbox.on_input(EdgeMessage(str(self._asked).encode(), input_name=name))
        await until(lambda: len(self.upstream()) > seen)
        return self.upstream()[-1]

    def upstream(self) -> list[Any]:
        path = self.host.app.services.state / "upstream.jsonl"
        return [json.loads(line)["body"] for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def names(self) -> list[str]:
        return sorted(running.function.name for running in self.host.running)


@asynccontextmanager
async def running(folder: Folder, files: Mapping[str, str], **settings: str) -> AsyncIterator[Site]:
    host = Host(load_app(folder(files), environment={}, given=settings))
    await host.start()
    try:
        yield Site(host)
    finally:
        await host.stop()


APP = {"functions/answer.py": ANSWER, "functions/_words.py": WORDS, "functions/other.py": OTHER}


async def test_the_next_event_runs_what_was_saved(folder: Folder) -> None:
    async with running(folder, APP) as site:
        assert (await site.ask())["code"] == 1
        await site.save(functions__answer=ANSWER.replace('"code": 1', '"code": 2'))
        assert (await site.ask())["code"] == 2
        assert site.reloader.errors == []


async def test_functions_on_one_stream_may_ask_it_for_something_else_when_all_do(folder: Folder) -> None:
    """One by one they could not: it is opened once, for all of them alike."""
    one = """
import edgefn
app = edgefn.FunctionApp()
@app.video_frame_trigger("frame", "rtsp://127.0.0.1:9/", silent_after=5)
def left(frame): ...
@app.video_frame_trigger("frame", "rtsp://127.0.0.1:9/", silent_after=5)
def right(frame): ...
"""
    async with running(folder, {"functions/look.py": one}) as site:
        await site.save(functions__look=one.replace("silent_after=5", "silent_after=6", 1))
        assert "it is opened once, so let both ask for the same" in site.reloader.errors[0]
        await site.save(functions__look=one.replace("silent_after=5", "silent_after=6"))
        assert site.reloader.errors == []
        triggers = [each.function.trigger for each in site.host.running]
        assert [trigger and trigger.options.silent_after for trigger in triggers] == [6, 6]  # type: ignore[attr-defined]


async def test_an_edit_of_the_same_size_in_the_same_second_is_seen(folder: Folder) -> None:
    async with running(folder, APP) as site:
        for number in range(2, 9):
            await site.save(functions__answer=ANSWER.replace('"code": 1', f'"code": {number}'))
            os.utime(site.root / "functions/answer.py", (1_000_000_000, 1_000_000_000))
            assert (await site.ask())["code"] == number


async def test_a_helper_that_changed_takes_along_those_that_import_it_and_nobody_else(folder: Folder) -> None:
    async with running(folder, APP) as site:
        await site.ask("other")
        await site.save(functions___words=WORDS.replace("one", "two"))
        assert (await site.ask())["word"] == "two"
        assert (await site.ask("other")) == {"count": 2}


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("def answer(:\n", "SyntaxError"),
        ("raise ValueError('no')\n", "ValueError: no"),
        (ANSWER.replace('"in"', '"in", no_such=1'), "unknown option 'no_such'"),
        (ANSWER.replace("def answer(m)", "def answer(x)"), "cannot load the answer function"),
        (ANSWER + "import functions._nothing\n", "ModuleNotFoundError"),
    ],
)
async def test_a_broken_save_leaves_the_last_good_version_and_says_why_once(
    folder: Folder, caplog: pytest.LogCaptureFixture, broken: str, reason: str
) -> None:
    async with running(folder, APP) as site:
        await site.save(functions__answer=broken)
        assert (await site.ask())["code"] == 1
        assert reason in site.reloader.errors[0]
        await site.save(functions__answer=broken + "\n")
        assert caplog.text.count("Not reloaded, the last good version goes on") == 1
        await site.save(functions__answer=ANSWER.replace('"code": 1', '"code": 3'))
        assert (await site.ask())["code"] == 3
        assert site.reloader.errors == []


async def test_what_is_broken_is_not_said_to_be_reloaded(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "edgefn.reload")
    async with running(folder, APP) as site:
        await site.save(functions__answer="\n\n\nimport edgefn\ndef answer(:\n")
        assert "Reloaded" not in caplog.text
        await site.save(functions__answer=ANSWER)
        assert "Reloaded answer in" in caplog.text


async def test_the_line_of_source_is_shown_with_the_error(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    async with running(folder, APP) as site:
        await site.save(functions__answer="import edgefn\nvalue = 1 / 0  # here\n")
        (error,) = site.reloader.errors
        assert error.splitlines()[1].strip() == "value = 1 / 0  # here"
    assert "functions/answer.py:2: ZeroDivisionError: division by zero" in caplog.text
    assert "value = 1 / 0  # here" in caplog.text


async def test_a_broken_helper_leaves_those_that_import_it(folder: Folder) -> None:
    async with running(folder, APP) as site:
        await site.save(functions___words="def word(:\n")
        assert (await site.ask())["word"] == "one"
        await site.save(functions___words=WORDS.replace("one", "three"))
        assert (await site.ask())["word"] == "three"
        assert site.reloader.errors == []


async def test_an_import_cycle_is_a_broken_save(folder: Folder) -> None:
    async with running(folder, APP) as site:
        await site.save(functions___words="from functions.answer import answer\n" + WORDS)
        assert (await site.ask())["word"] == "one"
        assert site.reloader.errors != []


async def test_files_that_come_and_go_bring_and_take_functions(folder: Folder) -> None:
    async with running(folder, APP) as site:
        third = OTHER.replace('"other"', '"third"').replace("def other", "def third")
        await site.save(functions__third=third)
        assert site.names == ["answer", "other", "third"]
        assert await site.ask("third") == {"count": 1}
        await site.save(functions__third=None)
        assert site.names == ["answer", "other"]
        await site.save(functions__third=third)
        assert await site.ask("third") == {"count": 1}


async def test_a_function_that_is_renamed_keeps_its_input(folder: Folder) -> None:
    async with running(folder, APP) as site:
        await site.save(functions__answer=ANSWER.replace("def answer", "def reply"))
        assert site.names == ["other", "reply"]
        assert (await site.ask())["code"] == 1


async def test_another_trigger_listens_to_what_it_says_now(folder: Folder) -> None:
    async with running(folder, APP) as site:
        await site.save(functions__answer=ANSWER.replace('"m", "in"', '"m", "elsewhere"'))
        assert (await site.ask("elsewhere"))["code"] == 1


async def test_settings_act_on_the_next_event(folder: Folder) -> None:
    code = ANSWER.replace('"m", "in"', '"m", "%INPUT%"')
    local = {"IsEncrypted": False, "Values": {"INPUT": "in"}}
    async with running(folder, {**APP, "functions/answer.py": code, "local.settings.json": json.dumps(local)}) as site:
        assert (await site.ask())["code"] == 1
        local["Values"] = {"INPUT": "later"}
        await site.save(**{"local.settings.json": json.dumps(local)})
        assert (await site.ask("later"))["code"] == 1
        await site.save(**{"local.settings.json": "{broken"})
        assert "local.settings.json" in site.reloader.errors[0]
        assert (await site.ask("later"))["code"] == 1


SPEAK = """
import edgefn
app = edgefn.FunctionApp()

@app.edge_hub_trigger("m", "in")
@app.speech_output("$return", map="words.json", player="none")
def speak(m):
    return m
"""


async def test_the_words_of_a_speech_map_act_on_the_next_event(folder: Folder) -> None:
    async with running(folder, {"functions/speak.py": SPEAK, "words.json": '{"a": "one"}'}) as site:

        def said() -> Any:
            return site.host.running[0].outputs["$return"].encode("a")

        assert site.reloader.files() == {site.root / "words.json"}
        assert said() == "one"
        await site.save(**{"words.json": '{"a": "two"}'})
        assert said() == "two"
        await site.save(**{"words.json": "{"})
        assert "words.json" in site.reloader.errors[0]
        assert said() == "two"


async def test_host_json_acts_where_it_can_and_asks_for_a_new_start_elsewhere(folder: Folder) -> None:
    async with running(folder, APP) as site:
        await site.save(**{"host.json": '{"version": "2.0", "functionTimeout": "00:00:07"}'})
        assert {running.function.timeout for running in site.host.running} == {7.0}
        asked: list[bool] = []
        site.host.restart = lambda: asked.append(True)
        await site.save(**{"host.json": '{"version": "2.0", "extensions": {"http": {"routePrefix": "x"}}}'})
        assert asked == [True]


async def test_the_state_after_many_edits_is_that_of_a_fresh_start(folder: Folder) -> None:
    async with running(folder, APP) as site:
        for number in range(30):
            text = ANSWER.replace('"code": 1', f'"code": {number}')
            await site.save(functions__answer=text if number % 3 else text + "x = (")
            await site.save(functions___words=WORDS.replace("one", f"w{number}"))
        await site.save(functions__answer=ANSWER)
        assert (await site.ask()) == {"n": 1, "word": "w29", "code": 1}
        fresh = load_app(site.root, environment={})
        assert [f.name for f in fresh.functions] == site.names


async def test_random_edits_good_and_broken_end_in_the_state_of_a_fresh_start(tmp_path: Path) -> None:
    told = await edited(tmp_path / "app", 60)
    assert told["same_as_fresh"]
    assert told["errors_left"] == []


async def test_log_levels_that_are_saved_act_at_once_also_on_functions_that_come_later(folder: Folder) -> None:
    def levels(level: str) -> str:
        return json.dumps({"version": "2.0", "logging": {"logLevel": {"Function": "Error", "Function.late": level}}})

    async with running(folder, {**APP, "host.json": '{"version": "2.0"}'}) as site:
        with closing(LineLevels()) as lines:
            site.host.level_lines = lines.apply
            await site.save(**{"host.json": levels("Debug")})
            await site.save(functions__late=OTHER.replace("other", "late"))
            assert logging.getLogger("Function.late").level == logging.DEBUG
            await site.save(**{"host.json": levels("None")})
            assert logging.getLogger("Function.late").level > logging.CRITICAL
            assert logging.getLogger("Function.answer").getEffectiveLevel() == logging.ERROR
            await site.save(**{"host.json": levels("loud")})
            assert logging.getLogger("Function.late").level > logging.CRITICAL
            assert "logging.logLevel.Function.late should be one of" in site.reloader.errors[0]


PARTS = """
import asyncio
import edgefn
from edgefn.function import Options

GO, OPENING, CLOSING = asyncio.Event(), [], []

class Part(Options):
    number: int = 0

class Output:
    def __init__(self, number): self.number = number
    def encode(self, value): return value
    async def send(self, encoded, event): ...
    def status(self): return {"number": self.number}
    async def close(self):
        CLOSING.append(self.number)
        if self.number == 2: await GO.wait()

class Kind:
    type, options = "part", Part
    def check(self, binding): ...
    async def open(self, binding):
        OPENING.append(binding.options.number)
        if binding.options.number == 1: await GO.wait()
        if binding.options.number == 3: raise OSError("it does not work")
        return Output(binding.options.number)
    async def close(self): ...

@edgefn.hookimpl
def edgefn_outputs(services): return [Kind()]
"""
"""Outputs of which number 1 is slow to open, 2 slow to close, and 3 broken."""
MENDED = """
import edgefn
app = edgefn.FunctionApp()
CAME = []

@app.edge_hub_trigger("m", "in")
@app.generic_output_binding("a", type="part", number={number})
@app.generic_output_binding("b", type="part", number=2)
def mended(m: str, a, b):
    CAME.append(m)
"""


async def test_a_message_that_comes_while_a_function_is_mended_is_not_lost(folder: Folder) -> None:
    files = {"functions/parts.py": PARTS, "functions/mended.py": MENDED.format(number=3)}
    async with running(folder, files) as site:
        parts = site.host.app.manager.get_plugin("functions.parts")
        saving = asyncio.create_task(site.save(functions__mended=MENDED.format(number=0)))
        await until(lambda: parts.CLOSING == [2])
        await site.host.app.services.spool.inbox.on_input(EdgeMessage(b"1", input_name="in"))
        parts.GO.set()
        await saving
        await until(lambda: site.host.app.manager.get_plugin("functions.mended").CAME == ["1"])


OPTIONED = """
import edgefn
app = edgefn.FunctionApp()
CODE = {code}

@app.edge_hub_trigger("m", "in")
@app.generic_output_binding("out", type="part")
def optioned(m: str, out): ...
"""


async def test_what_is_saved_while_desired_properties_are_put_in_force_keeps_them(folder: Folder) -> None:
    files = {"functions/parts.py": PARTS, "functions/optioned.py": OPTIONED.format(code=1)}
    async with running(folder, files) as site:
        parts = site.host.app.manager.get_plugin("functions.parts")
        desired = {"functions": {"optioned": {"out": {"number": 1}}}}
        accepting = asyncio.create_task(site.host.operation.overlay.accept(desired))
        await until(lambda: parts.OPENING == [0, 1])
        saving = asyncio.create_task(site.save(functions__optioned=OPTIONED.format(code=2)))
        await asyncio.wait({saving}, timeout=0.3)  # the longer, the surer it would have overtaken
        parts.GO.set()
        await accepting
        await saving
        status = site.host.status()["functions"]["optioned"]
        assert (status["outputs"], site.host.app.manager.get_plugin("functions.optioned").CODE) == (
            {"out": {"number": 1}},
            2,
        )
