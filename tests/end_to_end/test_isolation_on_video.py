"""A healthy function beside six bad ones on one clip: it loses no frame, and each of them is reported by its place."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgefn.logs import logging_to
from tests.end_to_end.apps import PEOPLE, SQUEEZENET
from tests.end_to_end.conftest import Load, Played, play_app

SAMPLE = Path(__file__).parents[2] / "sample"
CLIPS = {"people": (PEOPLE, 107), "sample": (f"{SAMPLE}/street.mp4", 225)}
TRIGGER = '@app.video_frame_trigger("frame", "CLIP", policy="every"{})\n'
FUNCTIONS = {
    "raises": f"{TRIGGER.format('')}def raises(frame):\n    return frame.id / 0\n",
    "hangs": f"{TRIGGER.format('')}@app.function_timeout(1)\ndef hangs(frame):\n    time.sleep(3)\n",
    "blocks": f"{TRIGGER.format(', every_nth=1000')}async def blocks(frame):\n    time.sleep(0.9)\n",
    "syntax": f"{TRIGGER.format('')}def syntax(frame:\n    pass\n",
    "option": f"{TRIGGER.format(', max_fsp=3')}def option(frame): ...\n",
    "model": f"{TRIGGER.format('')}@app.inference_session('net', 'gone/net.xml')\ndef model(frame, net): ...\n",
    "healthy": f"""
@app.video_frame_trigger("frame", "CLIP", policy="every")
@app.inference_session("classifier", "{SQUEEZENET}")
@app.edge_hub_output("$return", "healthy")
async def healthy(frame, classifier: edgefn.ClassificationSession):
    await classifier.infer_async(frame)
    return frame.id
""",
}


@dataclass(frozen=True, slots=True)
class Street:
    """What became of the seven functions over one clip of so many frames, and the log of it."""

    played: Played
    log: str
    frames: int

    def __getitem__(self, name: str) -> Any:
        return self.played.functions[name]


@pytest.fixture(scope="module", params=CLIPS)
def street(load: Load, request: pytest.FixtureRequest) -> Street:
    clip, frames = CLIPS[request.param]
    app = load({f"functions/{name}.py": code.replace("CLIP", clip) for name, code in FUNCTIONS.items()})
    log = io.StringIO()
    with logging_to(log):
        played = asyncio.run(play_app(app))
    return Street(played, log.getvalue(), frames)


def test_the_healthy_function_loses_no_frame(street: Street) -> None:
    assert street.played.bodies("healthy") == list(range(street.frames))
    assert (street["healthy"]["failed"], street["healthy"]["trigger"]["dropped"]) == (0, {})
    assert street["healthy"]["state"] == "ended"


def test_a_function_that_raises_gets_every_frame_and_is_reported_with_its_line(street: Street) -> None:
    assert (street["raises"]["invocations"], street["raises"]["failed"]) == (street.frames, street.frames)
    assert street["raises"]["last_error"] == "ZeroDivisionError: division by zero"
    assert 'functions/raises.py", line 6, in raises' in street.log


def test_a_function_that_hangs_is_given_up_and_reported_with_its_line(street: Street) -> None:
    said = "Timeout value of 00:00:01 exceeded by function 'Functions.hangs'"
    assert street["hangs"]["timed_out"] >= 1
    assert said in street["hangs"]["last_error"]
    assert "at functions/hangs.py:7 `time.sleep(3)`. It keeps its thread, and gets no further event" in street.log


def test_a_function_that_blocks_the_loop_is_reported_with_its_line_and_what_to_do(street: Street) -> None:
    blocked = {
        place: times for place, times in street.played.status["blocked"].items() if place
    }  # none: a busy machine
    assert blocked == {"functions/blocks.py:6 `time.sleep(0.9)`": 1}
    assert "functions/blocks.py:6 `time.sleep(0.9)` has blocked the event loop for" in street.log
    assert "await what takes time, or write `def` in place of `async def`" in street.log


def test_a_syntax_error_is_reported_with_its_line(street: Street) -> None:
    (error,) = street.played.status["errors"]
    assert error == "functions/syntax.py:5: SyntaxError: '(' was never closed: def syntax(frame:"
    assert "syntax" not in street.played.functions


def test_an_unknown_option_is_reported_with_its_line_and_the_known_ones(street: Street) -> None:
    (error,) = street["option"]["errors"]
    assert street["option"]["state"] == "error"
    assert error.startswith("functions/option.py:4: unknown option 'max_fsp' of videoFrameTrigger; did you mean 'max_")
    assert "known options: source, policy, max_fps" in error


def test_a_missing_model_is_reported_with_its_line_and_where_it_was_looked_for(street: Street) -> None:
    (error,) = street["model"]["errors"]
    assert street["model"]["state"] == "error"
    assert error.startswith("functions/model.py:5: inferenceSession 'net' of function 'model': model 'gone/net.xml'")
    assert f"looked for '{street.played.app.root}/gone/net.xml'" in error
    assert f"The 'model' function is in error: {error}" in street.log
