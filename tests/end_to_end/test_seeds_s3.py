"""S3, the talking fruit scanner: rows of SEEDS.md."""

from __future__ import annotations

import json

import pytest

from tests.end_to_end.conftest import Load, upstream
from tests.steered import Steered, steered, until

HOST = json.dumps({"version": "2.0", "extensions": {"twin": {"reportInterval": 0.01}}})
SCORES = [0.95, 0.97]
"""What the model gives for the frames, in turn."""
ANSWERS = json.dumps([[[0, "banana", score]] for score in SCORES])
SCAN = """
STEPS, BEGUN, OVER = asyncio.Semaphore(0), [], []
@app.video_frame_trigger("frame", "synthetic:?width=64&height=48", max_in_flight=1)
@app.inference_session("classifier", "stub:answers.json")
@app.setting("threshold", "Threshold", default=0.95)
@app.edge_hub_output("scanned", "output1", properties={"appid": "scanner"})
async def scan(frame, classifier: edgefn.ClassificationSession, threshold: float, scanned: edgefn.Out[dict]):
    best = classifier.infer(frame)[0]
    if best.score > threshold:
        scanned.set({"frame_id": frame.id, "score": best.score})
    BEGUN.append(frame.id)
    if not OVER:
        await STEPS.acquire()
"""


async def sent_of(site: Steered, frames: int) -> list[float]:
    """The scores that are sent of the next frames; the frame that waits at the step is not one of them."""
    module = site.module("scan")
    await until(lambda: bool(module.BEGUN))
    last = module.BEGUN[-1]
    for _ in range(frames + 1):
        module.STEPS.release()
    await until(lambda: module.BEGUN[-1] == last + frames + 1)
    sent = [line["body"] for line in upstream(site.host.app.services.state)]
    return [body["score"] for body in sent if last < body["frame_id"] <= last + frames]


@pytest.fixture
def files() -> dict[str, str]:
    return {"host.json": HOST, "answers.json": ANSWERS, "functions/scan.py": SCAN}


async def test_s3_2_the_threshold_is_a_number_and_the_twin_changes_it_for_the_next_frame(
    load: Load, files: dict[str, str]
) -> None:
    async with steered(load(files, Threshold="0.96")) as site:
        assert await sent_of(site, 9) == [0.97] * 5
        answer = await site.desire({"settings": {"Threshold": 0.94}})
        assert answer == {"version": 1, "status": "applied", "inForce": {"settings": {"Threshold": 0.94}}}
        assert await sent_of(site, 3) == [0.97, 0.95, 0.97]
        refused = await site.desire({"settings": {"Threshold": "high"}})
        assert (refused["status"], refused["inForce"]) == ("refused", answer["inForce"])
        assert "Threshold of the twin should be float" in refused["reason"]
        assert "found 'high'" in refused["reason"]
        assert await sent_of(site, 3) == [0.97, 0.95, 0.97]
        await site.desire({"settings": {"Threshold": None}})
        assert await sent_of(site, 3) == [0.97, 0.97]
        site.module("scan").OVER.append(True)
        site.module("scan").STEPS.release()
