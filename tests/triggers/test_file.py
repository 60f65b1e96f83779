"""Files that arrive in a folder: each once, whole, in the form that its function wants, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from edgefn.contracts import Event, VideoFrame
from edgefn.errors import EdgefnError
from edgefn.images import decoded
from edgefn.loader import load_app
from edgefn.spool.arrivals import Arrival
from edgefn.triggers import file_finder
from edgefn.triggers.file import FileListener
from edgefn.triggers.file_finder import _readable
from edgefn.triggers.file_forms import FileChanged, Form, read
from edgefn.triggers.file_options import FileTrigger
from edgefn.triggers.file_wishes import MOVE, fulfil
from edgefn.triggers.folder import Found
from tests.conftest import AppIn
from tests.faults.disks import use_up_watches
from tests.spool.ports import until
from tests.ticks import HEAD
from tests.triggers.files import NAMES, PICTURE, QUICK, Start


async def test_each_file_runs_once_also_after_a_restart(started: Start) -> None:
    async with started() as site:
        site.put("a")
        await until(lambda: site.sent == ["a"])
        site.put("b")
        await until(lambda: site.sent == ["a", "b"])
    site.put("c")
    async with started() as site:
        await until(lambda: len(site.sent) == 3)
        assert site.status["remembered"] == 3
    assert site.sent == ["a", "b", "c"]


PIPELINE = """
@app.file_trigger("file", path="in", settle=0.2, on_done="delete")
def f(file):
    (file.parent / "second").mkdir(exist_ok=True)
    (file.parent / "second" / file.name).write_text("x")

@app.file_trigger("file", path="in/second", settle=0.2)
@app.edge_hub_output("$return", "out")
def second(file):
    return file.name
"""


async def test_the_end_comes_when_the_files_that_lie_there_and_those_that_come_of_them_have_run(
    started: Start, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c", "still.part"):
        (tmp_path / "in" / name).write_text("x")
    (tmp_path / "in" / "empty").touch()
    async with started(PIPELINE) as site, asyncio.timeout(30):
        await site.host.wait_for_end()
        assert sorted(site.sent) == ["a", "b", "c"]
        await site.host.wait_for_end()  # nothing is left to wait for
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["empty", "second", "still.part"]


async def test_the_end_does_not_wait_for_a_folder_that_is_not_there_or_has_no_room_or_stops(started: Start) -> None:
    async with started(folder=False) as site, asyncio.timeout(30):
        await site.host.wait_for_end()
    async with started(NAMES.replace("settle=0", "settle=0, max_files=1")) as site, asyncio.timeout(30):
        site.put("a")
        site.put("b")
        await site.host.wait_for_end()
        assert len(site.sent) == 1
    async with started(NAMES.replace("settle=0", "settle=3600")) as site, asyncio.timeout(30):
        site.put("c")
        waiting = asyncio.create_task(site.host.wait_for_end())
        await until(lambda: site.status["settling"] > 0)
        assert not waiting.done()
        await site.host.end([site.function])
        await waiting


async def test_a_link_is_not_followed_since_it_may_name_any_file_of_the_machine(started: Start, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    code = NAMES.replace("def f(file):", "def f(file: str):").replace("file.name", "file")
    async with started(code) as site:
        (site.folder / "link").symlink_to(tmp_path / "secret")
        await until(lambda: "unreadable" in site.status)
        site.put("a", "content")
        await until(lambda: site.sent == ["content"])
        link = str(site.folder / "link")
        assert site.status["unreadable"] == {link: "it is a symbolic link, and links are not followed"}


@pytest.mark.parametrize("form", list(Form))
def test_a_file_that_became_a_link_is_not_read_nor_moved(tmp_path: Path, form: Form) -> None:
    (tmp_path / "secret").write_bytes(PICTURE)
    path = tmp_path / "a"
    path.symlink_to(tmp_path / "secret")
    there, link = path.stat(), path.lstat()
    options = FileTrigger(path="in")
    for known in (there, link):
        with pytest.raises((FileChanged, OSError)):
            read(form, Found(str(path), "a", known.st_size, known.st_mtime_ns), 0, options)
    fulfil(Arrival(str(path), there.st_size, there.st_mtime_ns, f"{MOVE}{tmp_path / 'done'}"))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "secret"]


@pytest.mark.parametrize("annotation", ["", ": edgefn.VideoFrame"])
async def test_a_file_of_a_year_that_no_clock_has_is_taken_as_any_other(started: Start, annotation: str) -> None:
    """In nanoseconds such a time is more than 64 bits hold; cameras and shares give any."""
    code = NAMES.replace("def f(file)", f"def f(file{annotation})").replace("file.name", "str(file.id)")
    code = code if annotation else NAMES
    async with started(code) as site:
        for name, year in (("a", 9_999_999_999), ("b", -2_147_483_648), ("c", 1)):
            path = site.put(f".{name}", PICTURE)
            os.utime(path, ns=(year * 10**9, year * 10**9))
            path.rename(site.folder / name)
        await until(lambda: len(site.sent) == 3)
        await until(lambda: site.status["waiting"] == 0)
        assert site.status["skipped"] == {}


async def test_a_file_that_changed_is_another_one(started: Start) -> None:
    async with started() as site:
        path = site.put("a", "one")
        await until(lambda: len(site.sent) == 1)
        path.write_text("three")
        await until(lambda: len(site.sent) == 2)
        os.utime(path)
        await until(lambda: len(site.sent) == 3)
        assert site.status["remembered"] == 1


@pytest.mark.parametrize(
    ("annotation", "content", "expected"),
    [
        ("Path", b"x", "PosixPath a.txt"),
        ("bytes", b"\xff\x00", "bytes b'\\xff\\x00'"),
        ("str", "Äpfel".encode(), "str 'Äpfel'"),
        ("dict", b'{"n": 1}', "dict {'n': 1}"),
        ("list[int]", b"[1, 2]", "list [1, 2]"),
        ("numpy.ndarray", PICTURE, "ndarray (24, 32, 3)"),
        ("edgefn.VideoFrame", PICTURE, "VideoFrame a.txt 1 in (24, 32, 3)"),
    ],
)
async def test_the_parameter_is_what_its_annotation_says(
    started: Start, annotation: str, content: bytes, expected: str
) -> None:
    code = f"""
@app.file_trigger("file", {QUICK})
@app.edge_hub_output("$return", "out")
def f(file: {annotation}):
    kind = type(file).__name__
    if kind == "VideoFrame":
        return f"{{kind}} {{file.item}} {{file.id}} {{file.source}} {{file.image.shape}}"
    return f"{{kind}} " + (file.name if "Path" in kind else str(file.shape) if kind == "ndarray" else repr(file))
"""
    async with started(code) as site:
        site.put("a.txt", content)
        await until(lambda: len(site.sent) == 1)
    assert site.sent == [expected]


PICTURES = f"""
@app.file_trigger("picture", {QUICK}, max_bytes=2000, max_pixels=24 * 32)
@app.edge_hub_output("$return", "out")
def f(picture: edgefn.VideoFrame):
    return picture.item
"""


async def test_what_is_no_picture_is_a_dead_letter_and_the_others_run(
    started: Start, caplog: pytest.LogCaptureFixture
) -> None:
    async with started(PICTURES) as site:
        for name, content in (
            ("cut.jpg", PICTURE[:-20]),
            ("text.jpg", b"no picture"),
            ("large.jpg", PICTURE + bytes(2000)),
            ("wide.jpg", b"BM" + bytes(12) + (40).to_bytes(4, "little") + (30_000).to_bytes(4, "little") * 2),
        ):
            site.put(name, content)
        site.put("good.jpg", PICTURE)
        await until(lambda: site.sent == ["good.jpg"] and site.status["skipped"] == {"unfit": 4})
        await until(lambda: site.host.app.services.spool.inbox.totals()[0] == 0)
        reasons = dict(await site.letters())
        site.put("cut.jpg", PICTURE)
        await until(lambda: site.sent == ["good.jpg", "cut.jpg"])
    assert reasons["cut.jpg"].endswith("cut.jpg: is a picture that is cut short; its end is missing")
    assert "text.jpg: is no picture, or a damaged one" in reasons["text.jpg"]
    assert "more than maxBytes, 2000; raise it, or take a pathlib.Path" in reasons["large.jpg"]
    assert "30000 x 30000 pixels; up to 768 in all are decoded; raise maxPixels, or take" in reasons["wide.jpg"]
    assert caplog.text.count("which is a dead letter") == 4
    assert ".jpg: " in site.host.status()["functions"]["f"]["last_error"]


def test_a_cut_picture_is_known_whatever_its_head_holds() -> None:
    head = b"\xff\xe1" + (len(PICTURE) + 2).to_bytes(2, "big") + PICTURE  # as a camera keeps its small picture
    whole = PICTURE[:2] + head + PICTURE[2:]
    assert decoded(whole).shape == (24, 32, 3)
    assert decoded(whole + b"\0" * 64).shape == (24, 32, 3)
    with pytest.raises(ValueError, match="cut short"):
        decoded(whole[:-2])


async def test_a_function_that_raises_makes_a_dead_letter_that_can_be_replayed(started: Start) -> None:
    code = f"""
GOOD = []
@app.file_trigger("file", {QUICK}, on_done="delete")
@app.edge_hub_output("$return", "out")
def f(file: str):
    return file if GOOD else 1 / 0
"""
    async with started(code) as site:
        path = site.put("a", "text")
        spool = site.host.app.services.spool
        await until(lambda: site.status["arrived"] == 1 and spool.inbox.totals()[0] == 0)
        assert await site.letters() == [("a", "ZeroDivisionError: division by zero")]
        assert path.exists(), "what failed stays where it is"
        site.module()["GOOD"].append(1)
        (letter,) = await spool.dead_letters()
        await spool.replay(letter.id)
        await until(lambda: site.sent == ["text"] and not path.exists())


async def test_a_folder_may_come_later_and_be_another_one(started: Start, caplog: pytest.LogCaptureFixture) -> None:
    async with started(folder=False) as site:
        await until(lambda: site.status["state"] == "waiting")
        assert "in can not be read: No such file or directory" in site.status["fault"]
        site.put("a")
        await until(lambda: site.sent == ["a"])
        assert site.status["state"] == "watching"
        (site.folder / "a").unlink()
        site.folder.rmdir()
        await until(lambda: site.status["state"] == "waiting")
        site.put("b")
        await until(lambda: site.sent == ["a", "b"])
    assert caplog.text.count("can not be read: No such file") == 2


BUSY = f"""
FREE = threading.Event()
@app.file_trigger("file", {QUICK})
@app.edge_hub_output("$return", "out")
def f(file: str):
    FREE.wait(30)
    return file
"""


async def test_a_file_that_went_before_its_turn_is_counted_and_arrives_when_it_is_back(started: Start) -> None:
    async with started(BUSY, folder=False) as site:
        for number, name in enumerate("abc"):
            path = site.put(f"../{name}", name)
            os.utime(path, (number, number))
        site.folder.with_name("in").mkdir(exist_ok=True)
        for name in "abc":
            (site.folder.parent / name).rename(site.folder / name)
        await until(lambda: site.status["arrived"] == 3)
        (site.folder / "b").rename(site.folder.parent / "b")
        (site.folder / "c").write_text("later")
        site.module()["FREE"].set()
        await until(lambda: site.sent == ["a", "later"])
        assert site.status["skipped"] == {"gone": 1, "changed": 1}
        (site.folder.parent / "b").rename(site.folder / "b")
        await until(lambda: site.sent == ["a", "later", "b"])


async def test_the_folder_is_the_queue_and_few_files_are_in_the_inbox(
    started: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_finder, "AHEAD", 8)
    code = f"""
@app.file_trigger("file", {QUICK}, subfolders=True, max_concurrency=3)
@app.edge_hub_output("$return", "out")
async def f(file: str):
    return int(file)
"""
    async with started(code) as site:
        for number in range(150):
            site.put(f"{number % 7}/{number}", str(number))
        spool, waits = site.host.app.services.spool, []

        def is_over() -> bool:
            waits.append(spool.inbox.totals()[0])
            return site.status["arrived"] == 150 and waits[-1] == 0

        await until(is_over, 30)
        await until(lambda: len(site.sent) >= 150)
        assert sorted(site.sent) == list(range(150))
        assert max(waits) <= 8 + 3


async def test_a_file_that_can_not_be_read_is_told_once_and_tried_with_each_look(
    started: Start, caplog: pytest.LogCaptureFixture
) -> None:
    async with started() as site:
        bad = os.fsencode(site.folder) + b"/\xff.txt"
        with open(bad, "wb") as file:  # noqa: ASYNC230
            file.write(b"x")
        site.put("a")
        await until(lambda: site.sent == ["a"] and site.status["skipped"] == {"unreadable": 1})
        assert json.loads(json.dumps(site.status["unreadable"])) == {
            f"{site.folder}/?.txt": "its name is no text in UTF-8"
        }
        site.put("b")
        await until(lambda: site.sent == ["a", "b"])
        os.rename(bad, site.folder / "good.txt")
        await until(lambda: site.sent == ["a", "b", "good.txt"] and "unreadable" not in site.status)
    assert caplog.text.count("can not be read: its name is no text") == 1
    assert _readable([Found(str(site.folder), "in", 1, 1)])[0][1] == "Is a directory"


async def test_a_folder_that_can_not_be_watched_is_looked_through(
    started: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use_up_watches(monkeypatch)
    caplog.set_level("INFO", "edgefn.files")
    async with started() as site:
        for name in "abc":
            site.put(name)
            await until(lambda name=name: site.sent[-1:] == [name])  # type: ignore[misc]
    assert caplog.text.count("can not be watched") == 1


async def test_no_more_files_are_remembered_than_said_and_none_runs_twice(started: Start) -> None:
    code = NAMES.replace("interval=0.05", "interval=0.05, max_files=3")
    async with started(code) as site:
        paths = {name: site.put(name) for name in "abc"}
        await until(lambda: sorted(site.sent) == ["a", "b", "c"])
        site.put("d")
        await until(lambda: site.status["state"] == "waiting")
        assert "holds 3 files that were taken; remove some, or raise maxFiles" in site.status["fault"]
        paths["b"].unlink()
        await until(lambda: len(site.sent) == 4)
        assert (site.sent[3], site.status["state"], site.status["remembered"]) == ("d", "watching", 3)
        assert set(await site.host.app.services.spool.arrivals.known("f")) == {str(site.folder / n) for n in "acd"}


async def test_several_files_for_which_there_is_no_room_only_wait(started: Start, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    known = [tmp_path / "in" / name for name in "abcd"]
    for path in known:
        path.write_text("x")
    code = NAMES.replace("interval=0.05", "interval=0.05, max_files=2")
    async with started(code) as site:
        await until(lambda: site.status["state"] == "waiting")
        await until(lambda: len(site.sent) == 2)
        known[0].unlink()
        known[1].unlink()
        await until(lambda: len(site.sent) == 4)
        assert site.host.app.services.metrics.function("f").last_error == ""


async def test_options_and_annotation_change_in_place(started: Start) -> None:
    async with started(NAMES.replace("interval=0.05", "interval=60, pattern='*.txt'")) as site:
        site.put("a.log")
        site.put("a.txt")
        await until(lambda: site.sent == ["a.txt"])
        listener = site.function.listener
        site.host.app.root.joinpath("functions/f.py").write_text(
            f'{HEAD}\n@app.file_trigger("file", {QUICK}, pattern="*.txt, *.log")\n'
            '@app.edge_hub_output("$return", "out")\ndef f(file: str):\n    return file\n'
        )
        await site.host.swap(load_app(site.host.app.root, environment={}).functions)
        await until(lambda: site.sent == ["a.txt", "x"])
        assert site.function.listener is listener
        annotated = 'path="in", settle=0, interval=0.05, pattern="*.txt, *.log"'
        site.host.app.root.joinpath("functions/f.py").write_text(
            f'{HEAD}\n@app.file_trigger("file", {annotated})\n'
            '@app.edge_hub_output("$return", "out")\ndef f(file: bytes):\n    return len(file)\n'
        )
        await site.host.swap(load_app(site.host.app.root, environment={}).functions)
        site.put("b.txt", "four")
        await until(lambda: site.sent == ["a.txt", "x", 4])
        assert site.function.listener is listener


async def test_another_folder_needs_another_listener(started: Start) -> None:
    async with started() as site:
        listener, binding = site.function.listener, site.function.function.trigger
        assert isinstance(listener, FileListener)
        assert binding is not None
        assert listener.adopt(binding) is not None


@pytest.mark.parametrize(
    ("options", "annotation", "fault"),
    [
        ('path=""', "", "names nothing"),
        ('path="in", pattern="*.tmp"', "", "are still being written, and never arrive"),
        ('path="in", pattern="sub/*.jpg"', "", "is for names; name the folder in path"),
        ('path="in", on_done="move"', "", "belong together"),
        ('path="in", move_to="done"', "", "belong together"),
        ('path="in", on_done="move", move_to="./in/"', "", "is in the folder itself"),
        ('path="in", on_done="move", move_to="in/x", subfolders=True', "", "is in the folder itself"),
        ('path="host.json"', "", "is a file; name a folder"),
        ('path="in", patern="*"', "", "did you mean 'pattern'"),
        ('path="in"', ": edgefn.EdgeMessage", "what fits is pathlib.Path, bytes, str, VideoFrame"),
        ('path="in"', ": asyncio.Task", "what fits is pathlib.Path"),
    ],
)
def test_what_makes_no_sense_is_said_when_the_app_loads(
    app_of: AppIn, options: str, annotation: str, fault: str
) -> None:
    code = f'{HEAD}\n@app.file_trigger("file", {options})\ndef f(file{annotation}):\n    pass\n'
    (function,) = app_of({"functions/f.py": code}).functions
    assert fault in "".join(function.errors)


def test_a_file_is_given_by_hand(app_of: AppIn, tmp_path: Path) -> None:
    app = app_of({"functions/f.py": HEAD + PICTURES, "in/none.txt": "x"})
    (tmp_path / "in" / "a.jpg").write_bytes(PICTURE)
    (function,) = app.functions
    assert function.trigger is not None
    manual = app.kinds.triggers["filetrigger"].manual  # type: ignore[attr-defined]
    for text in ("a.jpg", "in/a.jpg", str(tmp_path / "in" / "a.jpg")):
        event: Event = manual(function.trigger, text)
        assert isinstance(event.value, VideoFrame)
        assert event.value.item == event.metadata["name"] == "a.jpg"
    for text, fault in (("b.jpg", "'b.jpg' is no file; looked for"), ("", "is no file"), ("none.txt", "is no picture")):
        with pytest.raises(EdgefnError, match=fault):
            manual(function.trigger, text)
