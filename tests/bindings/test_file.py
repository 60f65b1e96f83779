"""Files that outputs write: what they hold, how they are named, how many there are, and what is in nobody's way."""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgefn.bindings.backlog import Backlog
from edgefn.bindings.file import FileOutput, FileOutputKind, FileOutputOptions
from edgefn.contracts import EdgeMessage, Event, Services, VideoFrame
from edgefn.errors import EdgefnError
from edgefn.function import Binding, Direction
from edgefn.loader import load_app
from edgefn.logs import CURRENT, Invocation
from tests.conftest import AppIn
from tests.spool.ports import until
from tests.ticks import HEAD

PICTURE = np.full((24, 32, 3), (10, 200, 90), np.uint8)


def frame(number: int, image: Any = PICTURE) -> VideoFrame:
    return VideoFrame(
        image, number, datetime(2026, 11, 20, 12, 0, number % 60, tzinfo=UTC), 0.0, "clips/cars.mp4", 25.0
    )


async def opened(services: Services, folder: Path, **options: Any) -> FileOutput:
    declared = FileOutputOptions.model_validate({"path": str(folder), **options})
    binding = Binding("see", "out", "file", Direction.OUT, {}, declared)
    kind = FileOutputKind(services)
    kind.check(binding)
    return await kind.open(binding)


async def written(
    services: Services, folder: Path, values: Sequence[Any], events: Sequence[Event] | None = None, **options: Any
) -> list[str]:
    """The names of the files that are there when these values were set, oldest first."""
    output = await opened(services, folder, **{"whenFull": "block", **options})
    for number, value in enumerate(values):
        event = events[number] if events else Event(None)
        await output.send(output.encode(value), event)
    await output.close()
    return [path.name for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)]


@pytest.mark.parametrize(
    ("value", "name", "content"),
    [
        ({"a": [1]}, "x.json", b'{"a":[1]}'),
        ({"a": [1]}, "x", b'{"a":[1]}'),
        ("text", "x", b"text"),
        ("text", "x.csv", b"text"),
        (b"\xff\xd8", "x.jpg", b"\xff\xd8"),
        (np.float32(0.5), "x.json", b"0.5"),
    ],
)
async def test_a_value_becomes_the_content_of_a_file(
    services: Services, tmp_path: Path, value: Any, name: str, content: bytes
) -> None:
    (found,) = await written(services, tmp_path / "out", [value], fileName=name)
    assert (tmp_path / "out" / found).read_bytes() == content
    assert found.startswith(name)


@pytest.mark.parametrize(("ending", "head"), [(".jpg", b"\xff\xd8"), (".png", b"\x89PNG"), (".webp", b"RIFF")])
@pytest.mark.parametrize("value", [PICTURE, frame(1), PICTURE[:, :, 0]], ids=["array", "frame", "grey"])
async def test_a_picture_is_written_in_the_format_of_its_ending(
    services: Services, tmp_path: Path, value: Any, ending: str, head: bytes
) -> None:
    (name,) = await written(services, tmp_path / "out", [value], fileName=f"x{ending}")
    content = (tmp_path / "out" / name).read_bytes()
    assert content.startswith(head)
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).shape == (24, 32, 3)


async def test_quality_makes_a_picture_smaller(services: Services, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8)
    sizes = []
    for quality in (95, 20):
        (name,) = await written(services, tmp_path / str(quality), [noise], fileName="x.jpg", quality=quality)
        sizes.append((tmp_path / str(quality) / name).stat().st_size)
    assert sizes[1] < sizes[0] / 2


async def test_names_hold_what_is_known_of_the_event(services: Services, tmp_path: Path) -> None:
    pattern = "{function}-{source}-{frame_id:06}-{timestamp}-{timestamp:%H%M%S}.jpg"
    (name,) = await written(services, tmp_path / "out", [frame(7)], [Event(frame(7))], fileName=pattern)
    assert name == "see-cars.mp4-000007-20261120T120007.000000Z-120007.jpg"
    arrived = Event(b"", metadata={"name": "in/apple.v2.png"})
    (name,) = await written(services, tmp_path / "two", [{}], [arrived], fileName="{name}.json")
    assert name == "apple.v2.json"
    message = Event(EdgeMessage(b"", topic="plant/line 1/temp"))
    (name,) = await written(services, tmp_path / "three", [{}], [message], fileName="{topic}.json")
    assert name == "plant_line 1_temp.json"


async def test_names_are_legal_on_every_system(services: Services, tmp_path: Path) -> None:
    hard = ['a<b>c:d"e|f?g*h\\i', "con", "COM1", ".hidden", "tail. ", "é" * 300, "x\x00\x1fy", "日本\ud800"]
    events = [Event(EdgeMessage(b"", topic=topic)) for topic in hard]
    names = await written(services, tmp_path / "out", [{}] * len(hard), events, fileName="{topic}.json")
    assert len(names) == len(hard)
    for name in names:
        assert not re.search(r'[<>:"/\\|?*\x00-\x1f]|^\.|[. ]$', name)
        assert name.split(".")[0].lower() not in ("con", "com1")
        assert len(name) <= 240
    again = await written(services, tmp_path / "out", [{}], events[:1], fileName="{topic}.json", maxFiles=3)
    assert len(again) == 3, "files with such names are known as the output's own after a restart"


async def test_a_name_in_letters_of_several_bytes_fits_the_file_system(services: Services, tmp_path: Path) -> None:
    events = [Event(EdgeMessage(b"", topic="測定" * 40))]
    assert len(await written(services, tmp_path / "out", [{}], events, fileName="{topic}-{topic}")) == 1


async def test_two_long_values_that_begin_alike_stay_apart(services: Services, tmp_path: Path) -> None:
    events = [Event(EdgeMessage(b"", topic="a" * 100 + end)) for end in "12"]
    assert len(await written(services, tmp_path / "out", [{}, {}], events, fileName="{topic}")) == 2


async def test_an_event_without_what_the_name_needs_is_an_error_of_the_invocation(
    services: Services, tmp_path: Path
) -> None:
    output = await opened(services, tmp_path, fileName="{frame_id}.json")
    with pytest.raises(EdgefnError, match=r"'\{frame_id\}.json': this event has no frame_id; leave \{frame_id\} out"):
        await output.send(output.encode({}), Event(EdgeMessage(b"")))


async def test_the_oldest_files_go_so_that_there_are_never_more(services: Services, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("mine.txt", "frame-x.json", "notes-frame-1.json"):
        (folder / name).write_text("not an output's")
    events = [Event(frame(number)) for number in range(30)]
    await written(services, folder, [{"n": n} for n in range(30)], events, fileName="frame-{frame_id}.json", maxFiles=5)
    here = {path.name for path in folder.iterdir()}
    assert here == {"mine.txt", "frame-x.json", "notes-frame-1.json", *(f"frame-{n}.json" for n in range(25, 30))}


async def test_a_restart_knows_the_files_of_the_run_before(services: Services, tmp_path: Path) -> None:
    for start in range(0, 9, 3):
        events = [Event(frame(number)) for number in range(start, start + 3)]
        names = await written(services, tmp_path / "out", [{}] * 3, events, fileName="{frame_id}", maxFiles=4)
    assert names == ["5.json", "6.json", "7.json", "8.json"]


async def test_bytes_are_bounded_too_and_what_is_larger_is_not_written(services: Services, tmp_path: Path) -> None:
    events = [Event(frame(number)) for number in range(10)]
    names = await written(services, tmp_path / "out", [b"x" * 300] * 10, events, fileName="{frame_id}", maxBytes=1000)
    assert names == ["7.bin", "8.bin", "9.bin"]
    output = await opened(services, tmp_path / "two", maxBytes=10)
    await output.send(output.encode("x" * 11), Event(None))
    await output.close()
    assert "11 bytes are more than maxBytes, 10" in output.status()["fault"]
    assert output.status()["dropped"] == {"failed": 1}


async def test_a_name_that_comes_again_is_one_file(services: Services, tmp_path: Path) -> None:
    names = await written(services, tmp_path / "out", ["1", "2", "3"], fileName="latest.txt", maxFiles=2)
    assert names == ["latest.txt"]
    assert (tmp_path / "out" / "latest.txt").read_text() == "3"


async def test_a_reader_never_sees_half_a_file(services: Services, tmp_path: Path) -> None:
    folder, ended, sizes = tmp_path / "out", threading.Event(), set[int]()

    def read() -> None:
        while not ended.is_set():
            if (folder / "x.bin").exists():
                sizes.add(len((folder / "x.bin").read_bytes()))

    thread = threading.Thread(target=read)
    thread.start()
    await written(services, folder, [bytes(3_000_000)] * 30, fileName="x.bin")
    ended.set()
    thread.join()
    assert sizes == {3_000_000}
    assert [path.name for path in folder.iterdir()] == ["x.bin"]


async def test_what_was_left_over_by_a_kill_is_removed(services: Services, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    left, fresh = folder / ".0123456789abcdef.edgefn-part", folder / ".fedcba9876543210.edgefn-part"
    for part in (left, fresh):
        part.write_bytes(b"half")
    os.utime(left, (1, 1))
    assert await written(services, folder, ["x"], fileName="x.txt") == [fresh.name, "x.txt"], "another may write it"


async def test_what_is_set_is_written_as_it_was(services: Services, tmp_path: Path) -> None:
    output = await opened(services, tmp_path, fileName="x.png")
    picture, holding = PICTURE.copy(), threading.Event()
    output._threads.run(holding.wait)
    encoded = output.encode(picture)
    await output.send(encoded, Event(None))
    picture[:] = 0
    holding.set()
    await output.close()
    assert (cv2.imread(str(tmp_path / "x.png")) == PICTURE).all()


@pytest.mark.parametrize(
    ("when_full", "left"), [("drop_oldest", ["8.txt", "9.txt"]), ("dropNewest", ["1.txt", "2.txt"])]
)
async def test_while_the_disk_is_slow_values_are_dropped_as_declared_and_nobody_waits(
    services: Services, tmp_path: Path, when_full: str, left: list[str]
) -> None:
    folder = tmp_path / "out"
    output = await opened(services, folder, fileName="{frame_id}.txt", maxWaiting=2, whenFull=when_full)
    holding = threading.Event()
    output._threads.run(holding.wait)
    await output.send(output.encode("x"), Event(frame(0)))
    await until(lambda: output.status()["waiting"] == 0)
    began = time.monotonic()
    for number in range(1, 10):
        await output.send(output.encode("x"), Event(frame(number)))
    assert time.monotonic() - began < 0.5
    assert output.status()["dropped"] == {"busy": 7}
    holding.set()
    await output.close()
    assert sorted(path.name for path in folder.iterdir()) == ["0.txt", *left]


async def test_a_function_can_be_made_to_wait_instead(services: Services, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    output = await opened(services, folder, fileName="{frame_id}.txt", maxWaiting=1, whenFull="block")
    holding = threading.Event()
    output._threads.run(holding.wait)
    for number in range(2):
        await output.send(output.encode("x"), Event(frame(number)))
    waiting = asyncio.ensure_future(output.send(output.encode("x"), Event(frame(2))))
    assert await asyncio.wait([waiting], timeout=0.1) == (set(), {waiting})
    holding.set()
    await waiting
    await output.close()
    assert (len(list(folder.iterdir())), output.status()["dropped"]) == (3, {})


async def test_a_disk_that_hangs_does_not_hold_the_stop(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefn.bindings.file.LAST_WISH", 0.2)
    output = await opened(services, tmp_path)
    holding = threading.Event()
    output._threads.run(holding.wait)
    for _ in range(3):
        await output.send(output.encode("x"), Event(None))
    began = time.monotonic()
    await output.close()
    assert time.monotonic() - began < 2
    assert output.status()["dropped"] == {"stopped": 3}
    holding.set()


async def test_a_folder_that_takes_nothing_is_said_once_and_counted(
    services: Services, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "out"
    output = await opened(services, folder, fileName="{frame_id}.txt")
    folder.write_text("somebody has put a file here")
    for number in range(3):
        await output.send(output.encode("x"), Event(frame(number)))
    await until(lambda: output.status()["dropped"] == {"failed": 3})
    assert caplog.text.count("a file can not be written") == 1
    assert "function 'see' goes on without" in caplog.text
    assert output.status()["state"] == "failing"
    folder.unlink()
    await output.send(output.encode("x"), Event(frame(3)))
    await output.close()
    assert [path.name for path in folder.iterdir()] == ["3.txt"]
    assert output.status()["state"] == "on"


@pytest.mark.parametrize("path", ["", " none ", "NULL"])
async def test_without_a_folder_the_output_is_off(services: Services, path: str) -> None:
    output = await opened(services, path)  # type: ignore[arg-type]
    await output.send(output.encode(object()), Event(None))
    await output.close()
    assert output.status() == {"state": "off"}


@pytest.mark.parametrize(
    ("value", "name", "said"),
    [
        ({"a": 1}, "x.jpg", "a dict is no picture, and can not be written as .jpg"),
        (PICTURE, "x.txt", "a picture can not be written as .txt; one of .jpg, .jpeg, .png"),
        (np.zeros((4, 4, 3), np.float32), "x.jpg", r"an array of float32, \(4, 4, 3\), is no picture; right would be"),
        (object(), "x", "can not be sent as JSON"),
    ],
)
async def test_what_can_not_be_written_is_a_type_error_when_it_is_set(
    services: Services, tmp_path: Path, value: Any, name: str, said: str
) -> None:
    with pytest.raises(TypeError, match=said):
        (await opened(services, tmp_path, fileName=name)).encode(value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("'out', '{frame}.jpg'", "{frame} is not known; did you mean 'frame_id'?; known: function, id, timestamp"),
        ("'out', 'a/{id}.jpg'", "'/' can not be in the name of a file on every system"),
        ("'out', '{id}.'", "a name can not end so on every system"),
        ("'out', '{'", "'{': Single '{' encountered"),
        ("'out', '{}'", "{} names nothing"),
        ("'out', 'x{id}{name}{topic}{source}{id}'", "can become 253 bytes long; at most 240"),
        ("'out', max_files=0", "option 'max_files' of file"),
        ("'out', quality=101", "option 'quality' of file"),
        ("'out', when_full='dead_letter'", "Input should be 'drop_oldest', 'drop_newest' or 'block'"),
        ("'functions/f.py'", "path 'functions/f.py' is a file; name a folder"),
        ("'out', max_file=3", "unknown option 'max_file' of file; did you mean 'max_files'?"),
    ],
)
def test_what_makes_no_sense_is_said_while_the_app_loads(app_of: AppIn, options: str, said: str) -> None:
    code = f"{HEAD}@app.edge_hub_trigger('m', 'in')\n@app.file_output('out', {options})\ndef f(m, out): ..."
    assert said in "\n".join(app_of({"functions/f.py": code}).functions[0].errors)


def test_decorator_generic_form_and_function_json_are_equal(app_of: AppIn, tmp_path: Path) -> None:
    binding = {"type": "file", "direction": "out", "name": "out", "path": "out", "fileName": "{id}.jpg", "maxFiles": 3}
    trigger = {"type": "edgeHubTrigger", "direction": "in", "name": "m", "inputName": "in"}
    code = f"""{HEAD}
@app.edge_hub_trigger('m', 'in')
@app.file_output('out', 'out', '{{id}}.jpg', max_files=3)
def a(m, out): ...
@app.edge_hub_trigger('m', 'in')
@app.generic_output_binding('out', type='file', path='out', file_name='{{id}}.jpg', max_files=3)
def b(m, out): ...
"""
    functions = app_of({"functions/f.py": code}).functions
    (tmp_path / "v1" / "c").mkdir(parents=True)
    (tmp_path / "v1" / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "v1" / "c" / "function.json").write_text(json.dumps({"bindings": [trigger, binding]}))
    (tmp_path / "v1" / "c" / "__init__.py").write_text("def main(m, out): ...")
    functions += load_app(tmp_path / "v1", environment={}).functions
    assert [function.errors for function in functions] == [[], [], []]
    first, second, third = (b.options for function in functions for b in function.bindings if b.name == "out")
    assert first == second == third


async def test_a_full_disk_is_said_once_and_what_fits_is_written_again_when_there_is_room(
    services: Services, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (small_disk / "filler").write_bytes(bytes(100 * 1024))
    output = await opened(services, small_disk, fileName="{frame_id}.bin", whenFull="block")
    for number in range(5):
        await output.send(output.encode(bytes(60 * 1024)), Event(frame(number)))
    await until(lambda: output.status()["dropped"] == {"failed": 5})
    assert caplog.text.count("No space left on device") == 1
    assert [path.name for path in small_disk.iterdir()] == ["filler"], "nothing half is left"
    (small_disk / "filler").unlink()
    await output.send(output.encode(bytes(60 * 1024)), Event(frame(6)))
    await output.close()
    assert [path.name for path in small_disk.iterdir()] == ["6.bin"]


async def test_what_is_done_later_is_logged_as_of_no_invocation() -> None:
    seen: list[Any] = []

    async def handle(value: str) -> None:
        seen.append((value, CURRENT.get()))

    backlog: Backlog[str] = Backlog(2, "block", handle, seen.append)
    token = CURRENT.set(Invocation("1", "see"))
    for value in "abc":
        await backlog.put(value)
    CURRENT.reset(token)
    await backlog.close(5.0)
    assert seen == [("a", None), ("b", None), ("c", None)]
