"""The doctor on cameras, clips and streams."""

from __future__ import annotations

import errno
import socket
import struct
from contextlib import closing
from pathlib import Path

from edgefn.doctor import State, v4l2
from edgefn.doctor.functions import check_functions
from edgefn.doctor.sources import check_sources
from tests.doctor.subjects import Subjects, of, the_wrong


def test_no_camera_is_fine_where_none_is_asked_for(subject: Subjects, tmp_path: Path) -> None:
    cameras, source = check_sources(subject(), tmp_path)
    assert (cameras.state, cameras.found) == (State.OK, f"none: there is no {tmp_path}/video*")
    assert source.state is State.OK


def test_a_camera_that_is_asked_for_and_not_there_is_wrong(subject: Subjects, tmp_path: Path) -> None:
    line = the_wrong(check_sources(subject(SOURCE="/dev/video63"), tmp_path))
    assert line.found.endswith("/dev/video63: there is no /dev/video63")


def test_a_file_that_is_no_camera_does_not_answer_as_one(subject: Subjects, tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    (line,) = of(check_sources(subject(), tmp_path), State.NOTE)
    assert line.found.startswith(f"{tmp_path}/video0 does not answer as a camera")


def camera(request: int, about: bytearray) -> None:
    """A camera with two formats, as the kernel would answer."""
    index, second = struct.unpack_from("<II", about)
    yuyv, mjpg = struct.unpack("<II", b"YUYVMJPG")
    if request == v4l2.QUERYCAP:
        about[:] = v4l2.CAPABILITY.pack(b"uvcvideo", b"HD Cam", b"usb", 0, 0x84200001, 0x04200001)
    elif request == v4l2.ENUM_FMT and index < 2 and second == 1:
        about[:] = v4l2.FORMAT.pack(index, 1, 0, b"a format", (yuyv, mjpg)[index], 0)
    elif request == v4l2.ENUM_FRAMESIZES and second == mjpg and index < 2:
        about[:] = v4l2.FRAME_SIZE.pack(index, mjpg, 1, *((1920, 1080), (640, 480))[index], *[0] * 4)
    elif request == v4l2.ENUM_FRAMESIZES and second == yuyv and index == 0:
        about[:] = v4l2.FRAME_SIZE.pack(0, yuyv, 3, 32, 1280, 8, 24, 720, 8)
    else:
        raise OSError(errno.EINVAL, "Invalid argument")


def test_a_camera_tells_its_formats_and_sizes() -> None:
    found = v4l2.describe(camera)
    assert (found.name, found.formats) == ("HD Cam", ("YUYV 32x24..1280x720", "MJPG 1920x1080 640x480"))


def test_the_numbers_of_the_ioctls_hold_the_sizes_of_their_structures() -> None:
    sizes = [(number >> 16) & 0x3FFF for number in (v4l2.QUERYCAP, v4l2.ENUM_FMT, v4l2.ENUM_FRAMESIZES)]
    assert sizes == [v4l2.CAPABILITY.size, v4l2.FORMAT.size, v4l2.FRAME_SIZE.size]


def test_a_clip_that_is_not_there_is_an_error_of_its_function(subject: Subjects) -> None:
    line = the_wrong(check_functions(subject(SOURCE="clip.mp4")))
    assert "clip.mp4: there is no such file or folder" in line.found


def test_a_clip_that_vanished_since_then_is_wrong(subject: Subjects, tmp_path: Path) -> None:
    looked = subject({"clip.mp4": "frames"}, SOURCE="clip.mp4")
    assert of(check_sources(looked), State.WRONG) == []
    (tmp_path / "clip.mp4").unlink()
    assert "clip.mp4: there is no such file or folder" in the_wrong(check_sources(looked)).found


def test_a_clip_that_is_empty_is_wrong(subject: Subjects) -> None:
    assert "clip.mp4 is empty" in the_wrong(check_sources(subject({"clip.mp4": ""}, SOURCE="clip.mp4"))).found


def test_a_folder_without_pictures_is_wrong(subject: Subjects) -> None:
    assert "functions holds no pictures" in the_wrong(check_sources(subject(SOURCE="functions"))).found


def test_a_stream_that_does_not_answer_is_wrong_without_its_password(subject: Subjects) -> None:
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))  # nobody listens
        port = bound.getsockname()[1]
        line = the_wrong(check_sources(subject(SOURCE=f"rtsp://admin:hunter2xyz@127.0.0.1:{port}/1")))
    assert f"127.0.0.1:{port} does not answer" in line.found
    assert "hunter2xyz" not in repr(line)


def test_a_stream_whose_server_answers_is_fine(subject: Subjects) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = f"http://127.0.0.1:{server.getsockname()[1]}/video"
        assert of(check_sources(subject(SOURCE=source)), State.WRONG) == []
