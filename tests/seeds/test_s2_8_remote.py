"""Row S2.8 of docs/seeds.md: a detector elsewhere that fails never holds the capture."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from edgefn.host import Host
from tests.end_to_end.conftest import HEAD, LONGEST, Load
from tests.sessions.far_server import FarServer, far_server

CODE = f"""{HEAD}
FRAMES, FOUND = [], []

@app.video_frame_trigger("frame", "synthetic:?width=64&height=48", max_fps=50, real_time=True)
async def capture(frame: edgefn.VideoFrame):
    FRAMES.append(frame.id)

@app.video_frame_trigger("frame", "synthetic:?width=64&height=48", max_fps=50, real_time=True, policy="latest")
@app.inference_session("detector", "%DETECTOR%", kind="custom-vision", timeout=0.5, retries=1, backoff=0.01,
    circuit_failures=3, circuit_pause=0.1)
async def detect(frame: edgefn.VideoFrame, detector: edgefn.ClassificationSession):
    FOUND.append((frame.id, (await detector.infer_async(frame))[0].name))
"""
APPLE = {"probability": 0.9, "tagId": "1", "tagName": "apple", "boundingBox": None}


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONGEST):
        while not holds():  # noqa: ASYNC110  it watches a server on another thread
            await asyncio.sleep(0.005)


async def test_s2_8_a_back_end_that_fails_opens_the_circuit_and_never_holds_the_capture(load: Load) -> None:
    with far_server() as server:
        server.documents["/image"] = {"predictions": [APPLE]}
        url = f"http://127.0.0.1:{server.port}/image"
        host = Host(load({"functions/f.py": CODE}, DETECTOR=url))
        await host.start()
        try:
            for mood in ("500", "hang", "close"):
                await fails_and_recovers(host, server, mood)
        finally:
            server.leave.set()
            await host.stop()
    metrics = host.app.services.metrics.registry
    assert metrics.get_sample_value("edgefn_remote_circuit_open", {"model": url}) == 0
    assert metrics.get_sample_value("edgefn_remote_calls_total", {"model": url, "result": "failed"}) >= 9
    assert metrics.get_sample_value("edgefn_remote_calls_total", {"model": url, "result": "refused"}) > 0


async def fails_and_recovers(host: Host, server: FarServer, mood: str) -> None:
    seen = vars(host.app.manager.get_plugin("functions.f"))
    frames, found = seen["FRAMES"], seen["FOUND"]

    def circuit() -> dict[str, Any]:
        return dict(host.status()["functions"]["detect"]["inputs"]["detector"]["circuit"])

    before = len(found)
    await until(lambda: len(found) > before)
    opened, captured, calls = circuit()["opened"], len(frames), server.calls
    server.leave.clear()
    server.mood = mood
    await until(lambda: server.calls > calls and len(frames) >= captured + 4)
    await until(lambda: circuit()["opened"] > opened)
    captured = len(frames)
    await until(lambda: len(frames) >= captured + 4)
    assert circuit()["state"] in ("open", "half-open")
    server.mood = "well"
    server.leave.set()
    await until(lambda: circuit()["state"] == "closed")
    before = len(found)
    await until(lambda: len(found) > before)
    assert host.status()["functions"]["capture"]["failed"] == 0
    assert frames == sorted(frames)
