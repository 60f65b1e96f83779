from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from edgefn.captures import Asked, OpenedVideo, open_capture
from edgefn.errors import SourceError
from edgefn.redaction import hold
from edgefn.source_addresses import Address, SourceKind, finite, recognise

ROOT = Path(__file__).resolve().parents[1]
PIXEL = bytes.fromhex(  # a PNG of one pixel
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63606060000000040001f61738550000"
    "000049454e44ae426082"
)


def positions(address: Address, asked: Asked | None = None) -> list[float]:
    capture = open_capture(address, asked or Asked())
    found = list(iter(capture.grab, None))
    capture.close()
    return found


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("0", SourceKind.CAMERA),
        (" 2 ", SourceKind.CAMERA),
        ("/dev/video0", SourceKind.CAMERA),
        ("rtsp://camera/stream", SourceKind.STREAM),
        ("RTSPS://camera:322/stream", SourceKind.STREAM),
        ("https://host/live.m3u8", SourceKind.STREAM),
        ("udp://0.0.0.0:5000", SourceKind.STREAM),
        ("synthetic:", SourceKind.SYNTHETIC),
        ("synthetic:?width=64&frames=3", SourceKind.SYNTHETIC),
        (".", SourceKind.FOLDER),
        ("clip.mp4", SourceKind.FILE),
    ],
)
def test_sources_are_told_apart_by_their_value(value: str, kind: SourceKind, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    assert recognise(value, tmp_path).kind is kind


def test_an_unknown_scheme_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"unknown scheme 'rtps://'; known are rtsp://.*synthetic:, or a path"):
        recognise("rtps://camera/1", tmp_path)


def test_a_missing_file_names_both_places_and_the_clips_beside_it(tmp_path: Path) -> None:
    (tmp_path / "street.mp4").touch()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SourceError) as caught:
        recognise("stret.mp4", tmp_path)
    text = str(caught.value)
    assert str(tmp_path / "stret.mp4") in text
    assert str(Path.cwd() / "stret.mp4") in text
    assert "there are street.mp4; did you mean 'street.mp4'?" in text


def test_relative_paths_start_at_the_app_root(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    assert recognise("clips", tmp_path).target == str(tmp_path / "clips")


@pytest.mark.parametrize("value", ["cam", "CAM", " Cam "])
def test_cam_is_the_first_camera(tmp_path: Path, value: str) -> None:
    (tmp_path / "cam").mkdir()
    address = recognise(value, tmp_path)
    assert (address.kind, address.shown) == (SourceKind.CAMERA, value.strip())
    assert address == recognise("0", tmp_path)
    assert recognise("./cam", tmp_path).kind is SourceKind.FOLDER


def test_a_secret_of_a_setting_is_not_shown(tmp_path: Path) -> None:
    hold("test", ["s3cr3t-path"])
    address = recognise("rtsp://10.0.0.7/s3cr3t-path/live", tmp_path)
    hold("test", ())
    assert (address.target, address.shown) == ("rtsp://10.0.0.7/s3cr3t-path/live", "rtsp://10.0.0.7/***/live")


def test_credentials_are_never_shown(tmp_path: Path) -> None:
    address = recognise("rtsp://admin:s3:cr@t@10.0.0.7:554/live?channel=1&access_token=abc#x", tmp_path)
    assert address.shown == "rtsp://10.0.0.7:554/live?channel=1&access_token=***#x"
    assert "s3" not in repr(address)
    assert "s3:cr@t" in address.target


def test_credentials_are_not_in_the_error_of_an_unknown_scheme(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        recognise("ftp://admin:secret@host/clip", tmp_path)
    assert "secret" not in str(caught.value)


def test_the_first_camera_has_one_address_by_index_and_by_path(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("cameras have paths on Linux only")
    assert recognise("0", tmp_path).target == recognise("/dev/video0", tmp_path).target


def test_a_camera_that_is_not_there_is_an_error_when_it_is_opened(tmp_path: Path) -> None:
    address = recognise("97", tmp_path)
    with pytest.raises(SourceError, match=r"^97: (there is no /dev/video97; cameras here: |does not open)"):
        open_capture(address, Asked())


def test_a_device_that_is_no_camera_is_an_error(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("devices have paths on Linux only")
    with pytest.raises(SourceError, match="be no camera"):
        open_capture(recognise("/dev/null", tmp_path), Asked(width=640, height=480))


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("synthetic:?heigth=9", "unknown parameter 'heigth'; known are width=&height=.*did you mean 'height'"),
        ("synthetic:?width=wide", "width is 'wide'; it takes 16 to 7680, known are width="),
        ("synthetic:?fps=0", "fps is '0'"),
        ("synthetic:?fps=nan", "fps is 'nan'"),
        ("synthetic:street", "'street' is not understood; write synthetic:"),
    ],
)
def test_wrong_parameters_of_the_scene_list_the_known_ones(value: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=fault):
        recognise(value, tmp_path)


def test_the_scene_ends_after_the_frames_asked_for(tmp_path: Path) -> None:
    address = recognise("synthetic:?width=64&height=48&fps=10&frames=3", tmp_path)
    capture = open_capture(address, Asked())
    assert [capture.grab() for _ in range(2)] == [0.0, 0.1]
    image = capture.retrieve()
    assert image is not None
    assert image.shape == (48, 64, 3)
    assert [capture.grab(), capture.grab()] == [0.2, None]


def test_a_scene_without_a_number_of_frames_has_no_end(tmp_path: Path) -> None:
    assert finite(recognise("synthetic:?frames=3", tmp_path))
    assert not finite(recognise("synthetic:", tmp_path))
    assert not finite(recognise("rtsp://camera", tmp_path))


def test_pictures_come_in_natural_order_one_a_second(tmp_path: Path) -> None:
    for name in ("img10.png", "img9.PNG", "img1.jpg", "readme.txt"):
        (tmp_path / name).write_bytes(PIXEL)
    capture = open_capture(recognise(str(tmp_path), tmp_path), Asked())
    found = [(capture.grab(), capture.item) for _ in range(3)]
    assert found == [(0.0, "img1.jpg"), (1.0, "img9.PNG"), (2.0, "img10.png")]
    assert capture.grab() is None


def test_a_picture_that_can_not_be_read_gives_nothing(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"no picture")
    (tmp_path / "2.jpg").touch()
    (tmp_path / "3.png").write_bytes(PIXEL)
    capture = open_capture(recognise(str(tmp_path), tmp_path), Asked(fps=2.0))
    found = [capture.retrieve() for _ in iter(capture.grab, None)]
    assert [image is None for image in found] == [True, True, False]


def test_a_folder_without_pictures_says_what_it_takes(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has no pictures; put files of \.bmp, \.jpeg, \.jpg"):
        open_capture(recognise(str(tmp_path), tmp_path), Asked())


def test_a_file_that_is_no_video_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(SourceError, match=r"^clip.mp4: is not a video"):
        open_capture(recognise("clip.mp4", tmp_path), Asked())


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    address = recognise("clip.mp4", tmp_path)
    (tmp_path / "clip.mp4").unlink()
    with pytest.raises(SourceError, match="is gone; put it back"):
        open_capture(address, Asked())


def test_frames_have_media_time(test_data: Path) -> None:
    found = positions(recognise("videos/car-detection.mp4", test_data))
    assert len(found) == 377
    assert [round(at, 3) for at in found[:3]] == [0.0, 0.08, 0.16]
    assert round(found[-1], 3) == 30.08


def test_a_file_whose_header_lies_ends_where_its_frames_end(test_data: Path) -> None:
    assert len(positions(recognise("videos/header-says-66-decodes-65.mkv", test_data))) == 65


def test_a_stream_without_times_counts_its_frames(test_data: Path, tmp_path: Path) -> None:
    import cv2

    clip = open_capture(recognise("videos/people-107-frames.mp4", test_data), Asked())
    with (tmp_path / "raw.mjpeg").open("wb") as raw:
        for _ in range(5):
            clip.grab()
            raw.write(cv2.imencode(".jpg", clip.retrieve())[1].tobytes())
    found = positions(recognise("raw.mjpeg", tmp_path))
    assert [round(at, 3) for at in found] == [0.0, 0.04, 0.08, 0.12, 0.16]


@pytest.mark.parametrize(("source", "frames"), [("color=black:s", 12), ("color=black:s", 9), ("testsrc=s", 12)])
def test_a_video_that_is_black_from_its_beginning_is_told_to_be_so(
    source: str, frames: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Interlaced ones are, as OpenCV gives them."""
    options = "-flags +ildct+ilme" if source == "testsrc=s" else ""
    made = f"ffmpeg -v error -f lavfi -i {source}=160x90 -frames:v {frames} -c:v mpeg2video {options}".split()
    subprocess.run([*made, str(tmp_path / "clip.mkv")], check=True)
    capture = open_capture(recognise("clip.mkv", tmp_path), Asked())
    seen = [capture.retrieve() for _ in iter(capture.grab, None)]
    capture.close()
    is_black = not any(image is not None and image.any() for image in seen)
    expected = "clip.mkv: its first frames are black, as OpenCV gives interlaced video"
    assert [expected in text for text in caplog.messages] == [True] * (is_black and frames >= 10)


def test_a_scheme_may_be_written_in_capitals() -> None:
    assert recognise("RTSP://Camera/Live", ROOT).target == "rtsp://Camera/Live"


def test_importing_the_trigger_imports_no_opencv() -> None:
    code = "import sys, edgefn.triggers.video_frame; sys.exit(sorted({'cv2', 'numpy'} & set(sys.modules)) != [])"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("processors", "threads"), [(1, 1), (2, 1), (8, 2), (16, 4)])
def test_a_file_is_decoded_by_a_quarter_of_the_processors(
    processors: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENCV_FFMPEG_THREADS", raising=False)
    monkeypatch.setattr("edgefn.captures.processors", lambda: processors)
    capture = open_capture(recognise("sample/street.mp4", ROOT), Asked())
    assert isinstance(capture, OpenedVideo)
    assert capture._get(cv2.CAP_PROP_N_THREADS) == threads
    capture.close()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x" * 300 + ".mp4", "can not be looked for: File name too long"),
        ("x/" * 3000 + "clip.mp4", "can not be looked for: File name too long"),
        ("zero\0byte.mp4", "there is no such file or folder"),
    ],
    ids=["a long name", "a long path", "a zero byte"],
)
def test_what_no_file_can_be_called_is_an_error_of_the_source(source: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=said):
        recognise(source, tmp_path)
