"""A healthy function beside six bad ones on the same clip: it loses no frame, each of them is reported with its place."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.apps import PEOPLE, SQUEEZENET
from tests.end_to_end.conftest import Load, Played, play_app

SAMPLE = str(Path(__file__).parents[2] / "sample")
CLIPS = {"people": (PEOPLE, 107), "sample": (f"{SAMPLE}/street.mp4", 225)}

TRIGGER = '@app.video_frame_trigger("frame", "%CLIP%", policy="every"{})\n'
BAD = {
    "raises": f"{TRIGGER.format('')}def raises(frame):\n    return frame.id / 0",
    "hangs": f"{TRIGGER.format('')}@app.function_timeout(1)\ndef hangs(frame):\n    time.sleep(2)",
    "blocks": f"{TRIGGER.format(', max_fps=0.5')}async def blocks(frame):\n    time.sleep(0.8)",
    "syntax": f"{TRIGGER.format('')}def syntax(frame:\n    pass",
    "option": f"{TRIGGER.format(', max_fsp=3')}def option(frame): ...",
    "model": f"{TRIGGER.format('')}@app.inference_session('net', 'gone/squeezenet1.1.xml')\ndef model(frame, net): ...",
}
HEALTHY = f"""
@app.video_frame_trigger("frame", "%CLIP%", policy="every")
@app.inference_session("classifier", "{SQUEEZENET}")
@app.edge_hub_output("$return", "healthy")
async def healthy(frame, classifier: edgefn.ClassificationSession):
    await classifier.infer_async(frame)
    return frame.id
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """A run of the seven functions: what became of it, what was logged, how many frames the clip has."""

    played: Played
    log: str
    frames: int

    def __getattr__(self, name: str) -> Any:
        return self.played.functions[name]


@pytest.fixture(scope="module", params=CLIPS)
def case(load: Load, request: pytest.FixtureRequest) -> Case:
    clip, frames = CLIPS[request.param]
    files = {f"functions/{name}.py": code for name, code in {**BAD, "healthy": HEALTHY}.items()}
    lines: list[str] = []
    app = load(files, CLIP=clip)
    with logging_to_lines(lines):
        played = asyncio.run(play_app(app))
    return Case(played, "\n".join(lines), frames)
