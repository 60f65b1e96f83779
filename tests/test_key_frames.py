"""Key frames alone: the same pixels as with all frames decoded, at once, and clear words where that can not be."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from edgefn.captures import Asked, open_capture
from edgefn.errors import SourceError
from edgefn.host import Host
from edgefn.key_frames import KeyFrames, open_key_frames
from edgefn.loader import App
from edgefn.source_addresses import recognise
from tests.conftest import ON_CI
from tests.steered import until

ROOT = Path(__file__).resolve().parents[1]
FPS = 15
FRAMES = 45
KINDS = {
    "no B-frames": "-bf 0",
    "B-frames": "-bf 3",
    "open groups": "-bf 3 -x264-params open-gop=1",
    "10 bits": "-pix_fmt yuv420p10le",
}
FUNCTION = """
import edgefn
app = edgefn.FunctionApp()
SEEN = []
@app.video_frame_trigger("frame", "%SOURCE%", key_frames=True, max_fps="%FPS%")
def look(frame: edgefn.VideoFrame):
    SEEN.append((frame.id, round(frame.position, 2)))
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Three seconds of the sample in which each tenth frame is a key frame, in one of KINDS."""
    if shutil.which("ffmpeg") is None:
        pytest.fail("ffmpeg is not installed") if ON_CI else pytest.skip("ffmpeg is not installed")
    folder = tmp_path_factory.mktemp("clips")

    def encoded(kind: str) -> Path:
        made = folder / f"{kind}.mp4"
        if not made.exists():
            options = f"-frames:v {FRAMES} -an -c:v libx264 -g 10 -sc_threshold 0 {KINDS[kind]}".split()
            source = ["ffmpeg", "-v", "error", "-i", str(ROOT / "sample/street.mp4")]
            subprocess.run([*source, *options, str(made)], check=True)
        return made

    return encoded


def copied(path: Path, to: Path, *options: str | bytes) -> Path:
    """The same clip with more said about it."""
    subprocess.run(["ffmpeg", "-v", "fatal", "-i", str(path), "-c", "copy", *options, str(to)], check=True)
    return to


def all_frames(path: Path) -> Iterator[Any]:
    capture = cv2.VideoCapture(str(path))
    while (read := capture.read())[0]:
        yield read[1]


@pytest.mark.parametrize("kind", KINDS)
def test_each_key_frame_is_that_of_the_whole_clip_and_there_is_nothing_between_them(
    clip: Callable[[str], Path], kind: str
) -> None:
    path = clip(kind)
    expected = list(all_frames(path))[::10]
    capture = open_capture(recognise(str(path), ROOT), Asked(key_frames=True))
    assert capture.fps == pytest.approx(FPS / 10)
    seen = [(position, capture.retrieve()) for position in iter(capture.grab, None)]
    capture.close()
    assert [position for position, _ in seen] == pytest.approx([number / FPS for number in range(0, FRAMES, 10)])
    for (_, image), whole in zip(seen, expected, strict=True):
        np.testing.assert_array_equal(image, whole)


def test_a_key_frame_that_nobody_wants_is_not_decoded(clip: Callable[[str], Path]) -> None:
    capture = open_capture(recognise(str(clip("B-frames")), ROOT), Asked(key_frames=True))
    assert isinstance(capture, KeyFrames)
    whole = list(all_frames(clip("B-frames")))
    for _ in range(3):
        capture.grab()
    np.testing.assert_array_equal(capture.retrieve(), whole[20])
    capture.close()


@pytest.mark.parametrize("angle", ["90", "180", "270"])
def test_a_clip_that_a_telephone_took_on_its_side_is_turned_as_with_all_frames(
    clip: Callable[[str], Path], tmp_path: Path, angle: str
) -> None:
    path = copied(clip("no B-frames"), tmp_path / "turned.mp4", "-metadata:s:v", f"rotate={angle}")
    capture = open_capture(recognise(str(path), ROOT), Asked(key_frames=True))
    capture.grab()
    np.testing.assert_array_equal(capture.retrieve(), next(all_frames(path)))
    capture.close()


def test_a_title_in_an_old_encoding_is_no_obstacle(clip: Callable[[str], Path], tmp_path: Path) -> None:
    path = copied(clip("no B-frames"), tmp_path / "titled.mkv", "-metadata", b"title=K\xfcche")
    capture = open_capture(recognise(str(path), ROOT), Asked(key_frames=True))
    assert capture.grab() == 0.0
    capture.close()


def test_a_stream_without_key_frames_ends_when_none_has_come_for_so_long(clip: Callable[[str], Path]) -> None:
    capture = open_key_frames(str(clip("no B-frames")), 10, 10, between=0.0)
    assert [capture.grab(), capture.grab()] == [0.0, None]
    capture.close()


async def played(app: App) -> list[tuple[int, float]]:
    host = Host(app)
    await host.start()
    await host.wait_for_end()
    await host.stop()
    (function,) = app.functions
    assert function.errors == []
    seen: list[tuple[int, float]] = function.call.__globals__["SEEN"]
    return seen


async def test_a_function_gets_key_frames_and_its_rate_is_taken_of_them(
    app_of: Callable[..., App], clip: Callable[[str], Path]
) -> None:
    files, source = {"functions/look.py": FUNCTION}, str(clip("B-frames"))
    assert await played(app_of(files, SOURCE=source, FPS="30")) == [
        (number, pytest.approx(10 * number / FPS, abs=0.01)) for number in range(5)
    ]


async def test_in_a_loop_they_keep_their_distance(app_of: Callable[..., App], clip: Callable[[str], Path]) -> None:
    code = FUNCTION.replace("key_frames=True", "key_frames=True, on_end='loop', policy='every'")
    app = app_of({"functions/look.py": code}, SOURCE=str(clip("B-frames")), FPS="0.75")
    host = Host(app)
    await host.start()
    seen = app.functions[0].call.__globals__["SEEN"]
    await until(lambda: len(seen) >= 5)
    await host.stop()
    assert [number for number, _ in seen[:5]] == [0, 2, 4, 6, 8]


async def test_a_lower_rate_takes_some_of_them(app_of: Callable[..., App], clip: Callable[[str], Path]) -> None:
    seen = await played(app_of({"functions/look.py": FUNCTION}, SOURCE=str(clip("B-frames")), FPS="0.7"))
    assert [number for number, _ in seen] == [0, 2, 4]


@pytest.mark.parametrize("source", ["synthetic:", "0", "pictures"])
def test_what_has_no_key_frames_is_said_at_the_start(app_of: Callable[..., App], tmp_path: Path, source: str) -> None:
    (tmp_path / "pictures").mkdir()
    (function,) = app_of({"functions/look.py": FUNCTION}, SOURCE=source, FPS="1").functions
    assert "keyFrames is for clips and streams, not for a source of kind " in function.errors[0]


def test_without_pyav_the_function_says_how_it_is_installed(
    app_of: Callable[..., App], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "av" else find(name, *more))
    (function,) = app_of({"functions/look.py": FUNCTION}, SOURCE="rtsp://camera/1", FPS="1").functions
    assert function.errors[0].endswith("keyFrames needs PyAV; install it: pip install 'edgefn[av]'")


def test_what_is_no_video_is_said_without_the_address(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(SourceError, match=r"^clip.mp4: is no video \(Invalid data found when processing input\)$"):
        open_capture(recognise("clip.mp4", tmp_path), Asked(key_frames=True))
    with pytest.raises(SourceError, match=r"does not answer; check the address.*\(Connection refused\)$") as caught:
        open_capture(recognise("rtsp://user:secret@127.0.0.1:9/live", tmp_path), Asked(key_frames=True))
    assert "secret" not in str(caught.value)


def test_a_way_of_encoding_that_is_not_known_is_said(clip: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip("no B-frames").read_bytes().replace(b"avc1", b"xyzw"))
    with pytest.raises(SourceError, match=r"^clip.mp4: is no video \(how it is encoded is not known\)$"):
        open_capture(recognise("clip.mp4", tmp_path), Asked(key_frames=True))


def test_a_server_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(SourceError, match=r"does not answer; .* \(nothing came for 0.1 s\)$"):
            open_capture(recognise(source, tmp_path), Asked(key_frames=True, silent_after=0.1))


def test_a_damaged_key_frame_takes_no_other_one_with_it(clip: Callable[[str], Path], tmp_path: Path) -> None:
    path = tmp_path / "damaged.mp4"
    content = bytearray(clip("B-frames").read_bytes())
    with av.open(str(clip("B-frames"))) as container:
        _, second, *_ = [each for each in container.demux(video=0) if each.is_keyframe]
    content[second.pos + 5 : second.pos + second.size] = bytes(second.size - 5)
    path.write_bytes(content)
    whole = list(all_frames(clip("B-frames")))[::10]
    capture = open_capture(recognise(str(path), ROOT), Asked(key_frames=True))
    images = [capture.retrieve() for _ in iter(capture.grab, None)]
    capture.close()
    for number in (0, 2, 3, 4):
        np.testing.assert_array_equal(images[number], whole[number])
