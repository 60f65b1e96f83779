"""Live sources: streams and cameras that break off, fall silent, are not there yet, or are killed."""

from __future__ import annotations

import asyncio
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgefn.captures import Asked
from edgefn.subscription import Subscription, Wanted
from edgefn.video import Playing
from tests.conftest import absent
from tests.video.sources import Sayings, opened, some


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    found = shutil.which("ffmpeg")
    if found is None:
        absent("ffmpeg is not installed")
    return found


@pytest.fixture
def transport_stream(ffmpeg: str, test_data: Path, tmp_path: Path) -> bytes:
    """428 frames, which is longer than FFmpeg looks into a stream before it begins."""
    clip, made = test_data / "videos/people-107-frames.mp4", tmp_path / "clip.ts"
    command = [ffmpeg, "-v", "error", "-stream_loop", "3", "-i", clip, "-c", "copy", made]
    subprocess.run(command, check=True, timeout=30)
    return made.read_bytes()


@contextmanager
def served(content: bytes, hang: threading.Event | None = None, port: int = 0) -> Iterator[int]:
    """A camera that speaks HTTP: each request gets the content; then it breaks off, or hangs until it is told."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            try:
                self.wfile.write(content)
                if hang is not None:
                    hang.wait(20)
            except OSError:
                self.close_connection = True

        def log_message(self, *args: object) -> None: ...

    class Server(http.server.ThreadingHTTPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", port), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        if hang is not None:
            hang.set()
        server.shutdown()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_stream_that_breaks_off_is_opened_again(transport_stream: bytes, sayings: Sayings) -> None:
    with served(transport_stream) as port:
        async with opened(f"http://viewer:secret@127.0.0.1:{port}/live.ts") as source:
            subscription = Subscription(source, Wanted(capacity=2000))
            subscription.join()
            frames = await some(subscription, 900)
            await sayings.until("the stream broke off; it is opened again until it answers", times=2)
            await sayings.until("gives frames", times=2)
    assert [frame.id for frame in frames] == list(range(900))
    assert [frame.id for frame in frames if frame.position == 0.0] == [0, 428, 856]
    assert source.reopened >= 2
    assert frames[0].source == f"http://127.0.0.1:{port}/live.ts"
    assert not any("secret" in line for line in sayings.lines)


async def test_a_silent_stream_is_opened_again(transport_stream: bytes, sayings: Sayings) -> None:
    with served(transport_stream, hang=threading.Event()) as port:
        async with opened(f"http://127.0.0.1:{port}/", Playing(Asked(silent_after=1.0))) as source:
            subscription = Subscription(source, Wanted(capacity=1000))
            subscription.join()
            await some(subscription, 428)
            await sayings.until("no frame for 1 s; it is opened again until it answers")
            await some(subscription, 1)
    assert source.reopened == 1


async def test_a_stream_that_is_not_there_is_waited_for(transport_stream: bytes, sayings: Sayings) -> None:
    port = free_port()
    async with opened(f"http://127.0.0.1:{port}/") as source:
        subscription = Subscription(source, Wanted(capacity=200))
        subscription.join()
        await sayings.until("does not answer; check the address, the credentials and the network; it is opened again")
        assert subscription.status()["state"] == "lost"
        with served(transport_stream, port=port):
            assert [frame.id for frame in await some(subscription, 3)] == [0, 1, 2]
    assert len([line for line in sayings.lines if "does not answer" in line]) == 1


async def test_a_live_source_is_never_held_back(transport_stream: bytes, sayings: Sayings) -> None:
    with served(transport_stream) as port:
        async with opened(f"http://127.0.0.1:{port}/") as source:
            subscription = Subscription(source, Wanted(capacity=6))
            subscription.join()
            await sayings.until("broke off")
            frames = await some(subscription, 6)
    assert [frame.id for frame in frames] == list(range(source.read - 6, source.read))
    assert subscription.dropped["busy"] == source.read - 6


async def test_a_camera_that_is_not_there_is_waited_for(sayings: Sayings) -> None:
    async with opened("/dev/video97") as source:
        subscription = Subscription(source, Wanted())
        subscription.join()
        await sayings.until("there is no /dev/video97; cameras here:")
        subscription.leave()
        assert await subscription.take() == []
    assert source.read == 0


class RtspCamera:
    """``rtsp.py`` in a process of its own, so that it can be killed."""

    def __init__(self, clip: Path, port: int) -> None:
        command = [sys.executable, str(Path(__file__).parents[1] / "rtsp.py"), str(clip), str(port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


@pytest.fixture
def rtsp_camera(ffmpeg: str, test_data: Path, tmp_path: Path) -> Iterator[Callable[[int], RtspCamera]]:
    """A camera at a port, of which each tenth frame is a key frame."""
    clip, made = test_data / "videos/people-107-frames.mp4", tmp_path / "camera.mp4"
    encode = "-an -c:v libx264 -preset ultrafast -g 10 -bf 2 -sc_threshold 0".split()
    subprocess.run([ffmpeg, "-v", "error", "-i", clip, *encode, made], check=True)
    started: list[RtspCamera] = []

    def start(port: int) -> RtspCamera:
        started.append(RtspCamera(made, port))
        return started[-1]

    yield start
    started[-1].kill()


@pytest.mark.parametrize(("key_frames", "count"), [(False, 20), (True, 4)])
async def test_a_camera_that_is_killed_and_started_again_recovers(
    rtsp_camera: Callable[[int], RtspCamera], sayings: Sayings, key_frames: bool, count: int
) -> None:
    port, asked = free_port(), Asked(silent_after=5.0, key_frames=key_frames)
    camera = await asyncio.to_thread(rtsp_camera, port)
    async with opened(f"rtsp://admin:secret@127.0.0.1:{port}/live", Playing(asked)) as source:
        subscription = Subscription(source, Wanted(capacity=6))
        subscription.join()
        before = await some(subscription, count)
        camera.kill()
        await sayings.until("opened again until it answers")
        await asyncio.to_thread(rtsp_camera, port)
        await sayings.until("gives frames")
        after = await some(subscription, count)
        assert source.status()["state"] == "running"
    ids = [frame.id for frame in before + after]
    assert ids == sorted(set(ids))
    assert source.reopened == 1
    assert before[0].image.shape == (382, 474, 3)
    assert before[0].source == f"rtsp://127.0.0.1:{port}/live"
    assert not any("secret" in line for line in sayings.lines)
