"""S2, models on IoT Edge: rows of docs/seeds.md, on the models and clips that they name."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edgefn.host import Host
from edgefn.sessions.options import OpenVinoOptions
from edgefn.source_addresses import SourceKind, recognise
from tests.end_to_end.apps import LYING, PEOPLE, SQUEEZENET
from tests.end_to_end.conftest import Load, play_app
from tests.steered import steered, until

LOOPING = """
DONE, SEEN = asyncio.Event(), []
@app.video_frame_trigger("frame", "{clip}", on_end="loop")
@app.inference_session("classifier", "{model}")
async def {name}(frame: edgefn.VideoFrame, classifier: edgefn.ClassificationSession):
    SEEN.append((await classifier.infer_async(frame))[0].index)
    if len(SEEN) == {frames}:
        DONE.set()
"""


def test_s2_4_looping_both_short_clips_three_times_raises_nothing(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    frames = {"people": 3 * 107, "lying": 3 * 65}
    clips = {"people": PEOPLE, "lying": LYING}
    app = load(
        {
            f"functions/{name}.py": LOOPING.format(name=name, clip=clip, model=SQUEEZENET, frames=frames[name])
            for name, clip in clips.items()
        }
    )
    modules = [app.manager.get_plugin(f"functions.{name}") for name in clips]

    async def looped(host: Host) -> None:
        await asyncio.gather(*(module.DONE.wait() for module in modules))

    functions = asyncio.run(play_app(app, looped)).functions
    for name, wanted in frames.items():
        assert functions[name]["invocations"] >= wanted
        assert (functions[name]["failed"], functions[name]["trigger"]["dropped"]) == (0, {})
        assert functions[name]["trigger"]["reopened"] == 0
    assert [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


# --- S2.6 --------------------------------------------------------------------------------------------------------

LIVE = "synthetic:?width=64&height=48&fps=50"
SLOW = """
import threading
GO, BEGUN = threading.Semaphore(0), []
@app.video_frame_trigger("frame", "{source}", {more})
def slow(frame: edgefn.VideoFrame):
    BEGUN.append(frame.id)
    GO.acquire()
"""


async def test_s2_6_behind_a_live_source_a_function_gets_the_newest_frame_and_drops_are_counted(load: Load) -> None:
    code = SLOW.format(source=LIVE, more="real_time=True")
    async with steered(load({"functions/f.py": code})) as site:
        module = site.module()
        for number in range(1, 6):
            await until(lambda number=number: len(module.BEGUN) == number)
            before = site.function("slow")["trigger"]["frames"]
            await until(lambda before=before: site.function("slow")["trigger"]["frames"] > before + 5)
            read = site.function("slow")["trigger"]["frames"]
            module.GO.release()
            await until(lambda number=number: len(module.BEGUN) > number)
            assert module.BEGUN[-1] >= read - 2  # the newest has the number read - 1, and may be on its way
        told = site.function("slow")["trigger"]
        module.GO.release(1000)
    assert set(told["dropped"]) == {"busy"}
    assert told["dropped"]["busy"] >= 5 * 4
    assert told["frames"] - told["emitted"] - told["dropped"]["busy"] in (0, 1, 2)


async def test_s2_6_a_frame_that_is_too_old_when_its_turn_comes_is_dropped_as_such(load: Load) -> None:
    code = SLOW.format(source=f"{LIVE}&frames=2", more="real_time=True, max_age=0.05")
    async with steered(load({"functions/f.py": code})) as site:
        trigger = lambda: site.function("slow")["trigger"]  # noqa: E731
        too_old = lambda: trigger()["dropped"].get("age", 0)  # noqa: E731
        await until(lambda: trigger()["frames"] == 2 and (trigger()["age_ms"] > 60 or too_old() == 2))
        site.module().GO.release(2)
        begun = site.module().BEGUN  # the first one, or another or none where the machine is busy
        await until(lambda: len(begun) + too_old() == 2)
        assert len(begun) < 2


def test_s2_6_a_file_in_every_mode_drops_none_however_slow_the_function_is(load: Load) -> None:
    app = load({"functions/f.py": SLOW.format(source=LYING, more="policy='every'")})
    module = app.manager.get_plugin("functions.f")

    async def stepped(host: Host) -> None:
        for number in range(1, 66):
            await until(lambda number=number: len(module.BEGUN) == number)
            module.GO.release()
        await host.wait_for_end()

    trigger = asyncio.run(play_app(app, stepped)).functions["slow"]["trigger"]
    assert list(range(65)) == module.BEGUN
    assert (trigger["emitted"], trigger["dropped"]) == (65, {})


# --- S2.10 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("0", SourceKind.CAMERA),
        ("cam", SourceKind.CAMERA),
        ("/dev/video0", SourceKind.CAMERA),
        ("rtsp://user:secret@camera.local:554/stream?channel=1", SourceKind.STREAM),
        ("videos/people-107-frames.mp4", SourceKind.FILE),
        ("images/imagenet", SourceKind.FOLDER),
    ],
)
def test_s2_10_cameras_streams_files_and_folders_are_told_apart(test_data: Path, value: str, kind: SourceKind) -> None:
    address = recognise(value, test_data)
    assert address.kind is kind
    assert "secret" not in address.shown


SWITCHED = """
@app.video_frame_trigger("frame", "%VIDEO_PATH%", real_time="%REAL_TIME%", max_fps="%FPS%", on_end="%ON_END%")
@app.inference_session("net", "%DATA%/models/none.xml", prepare="%PREPARE%", cache="%PREPARE%")
@app.edge_hub_output("out", "out", on_change="%ON_CHANGE%")
def f(frame, net, out): ...
"""
RIGHT = {"VIDEO_PATH": "0", "REAL_TIME": "no", "FPS": "5", "ON_END": "loop", "ON_CHANGE": "no", "PREPARE": "no"}
SPELLINGS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0"), False),
}
WRITTEN = [write(word) for word in SPELLINGS for write in (str.lower, str.title, str.upper)]


@pytest.mark.parametrize("written", dict.fromkeys(WRITTEN))
def test_s2_10_every_spelling_of_a_boolean_is_read(load: Load, written: str) -> None:
    settings = RIGHT | {"REAL_TIME": written, "ON_CHANGE": written, "PREPARE": written}
    (function,) = load({"functions/f.py": SWITCHED}, **settings).functions
    assert function.errors == []
    assert function.trigger is not None
    meant = SPELLINGS[written.lower()]
    assert function.trigger.options.model_dump()["real_time"] is meant
    assert function.outputs[0].options.model_dump()["on_change"] is meant
    session = OpenVinoOptions.model_validate({"model": "m", "prepare": written, "cache": written})
    assert (session.prepare, session.cache) == (meant, meant)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REAL_TIME", "perhaps"),
        ("PREPARE", "perhaps"),
        ("FPS", "fast"),
        ("FPS", "-1"),
        ("ON_END", "explode"),
        ("VIDEO_PATH", "gone.mp4"),
        ("VIDEO_PATH", "none"),
        ("VIDEO_PATH", ""),
    ],
)
def test_s2_10_a_bad_value_names_its_variable(load: Load, name: str, value: str) -> None:
    (function,) = load({"functions/f.py": SWITCHED}, **RIGHT | {name: value}).functions
    (error,) = function.errors
    assert error.startswith("functions/f.py:")
    assert f"%{name}%" in error
    assert value in error
    assert "\n" not in error


def test_s2_10_a_variable_that_is_not_set_is_named(load: Load) -> None:
    settings = {name: value for name, value in RIGHT.items() if name != "VIDEO_PATH"}
    (function,) = load({"functions/f.py": SWITCHED}, **settings).functions
    assert "'%VIDEO_PATH%' does not resolve to a value; set VIDEO_PATH in the environment" in function.errors[0]
