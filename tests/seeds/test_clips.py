"""What is found in two clips: rows of S0 and S2 that look at the same runs; see docs/seeds.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.end_to_end.apps import CARS, PEOPLE, PERSONS, VEHICLES, detect
from tests.end_to_end.conftest import Play, Played

# --- the car clip: S0.2, S2.5 ------------------------------------------------------------------------------------

DETECT = """
    found = await detector.infer_async(frame)
    body = {"frame_id": frame.id, "count": len(found), "objects": found}
"""
POLICIES = {
    "always": "",
    "interval": ", interval='01:00:00'",
    "changes": ", on_change='count'",
    "passages": ", gate='presence', gate_field='objects', classes='vehicle', hold='00:00:02'",
    "glimpses": ", gate='presence', gate_field='objects', hold=0.44",
    "sure": ", gate='threshold', gate_field='objects', threshold='%SURE%'",
}
GATED = "".join(
    [
        f'@app.video_frame_trigger("frame", "{CARS}", max_in_flight=4)\n',
        f'@app.inference_session("detector", "{VEHICLES}", precision="f32", labels="labels.txt")\n',
        *(f'@app.edge_hub_output("{name}", "{name}"{options})\n' for name, options in POLICIES.items()),
        f"async def gated(frame, detector: edgefn.DetectionSession, {', '.join(POLICIES)}):",
        DETECT,
        *(f"    {name}.set(body)\n" for name in POLICIES),
    ]
)
MOVING = f"""
@app.video_frame_trigger("frame", "{CARS}", motion=0.01, motion_hold="00:00:03")
@app.inference_session("detector", "{VEHICLES}", precision="f32", labels="labels.txt")
@app.edge_hub_output("$return", "moving", gate="presence", classes="vehicle", hold="00:00:02")
async def moving(frame, detector: edgefn.DetectionSession):
    return await detector.infer_async(frame)
"""


@pytest.fixture(scope="module")
def cars(play: Play) -> Played:
    """One function on the car clip with an output for each policy, and one that sees only the frames that move."""
    files = {"labels.txt": "background\nvehicle\n", "functions/f.py": GATED, "functions/g.py": MOVING}
    return play(files, SURE="0.99")


def test_s0_2_detection_over_the_car_clip(cars: Played, golden: dict[str, Any]) -> None:
    messages = cars.bodies("always")
    (right,) = (figures for clip, figures in golden["videos"].items() if "car-detection" in clip)
    found = {message["frame_id"]: message["objects"] for message in messages if message["objects"]}
    assert [message["frame_id"] for message in messages] == list(range(right["frames"])) == list(range(377))
    assert (len(found), sum(map(len, found.values()))) == (right["frames_with_detection"], right["total"]) == (55, 61)
    assert max(map(len, found.values())) == right["max"]
    assert segments(found) == right["segments_gap5_min3"]
    for each in (each for objects in found.values() for each in objects):
        assert (each["index"], each["name"]) == (1, "vehicle")
        assert 0.5 <= each["score"] <= 1.0
        assert all(0.0 <= value <= 1.0 for value in each["box"].values())
    values = [value for objects in found.values() for each in objects for value in each["box"].values()]
    assert share_of_fine(values) > 0.9


def share_of_fine(values: Iterable[float]) -> float:
    """The share of the numbers within the picture that are given with 5 decimals or more; a few end in zeros."""
    decimals = [len(repr(value).partition(".")[2]) for value in values if 0 < value < 1]
    return sum(number >= 5 for number in decimals) / len(decimals)


def segments(frames: Iterable[int]) -> list[list[int]]:
    """First and last of the stretches of at least 3 frames in which no more than 5 frames lie between two finds."""
    runs: list[list[int]] = []
    for frame in sorted(frames):
        if runs and frame - runs[-1][1] <= 5:
            runs[-1][1] = frame
        else:
            runs.append([frame, frame])
    return [[first, last] for first, last in runs if last - first >= 2]


def merged(segments: list[list[int]], gap: float) -> list[tuple[float, float]]:
    """First and last second of the stretches of a clip between which nothing is seen for longer than ``gap``."""
    runs: list[tuple[float, float]] = []
    for first, last in segments:
        if runs and first / 12.5 - runs[-1][1] <= gap:
            runs[-1] = (runs[-1][0], last / 12.5)
        else:
            runs.append((first / 12.5, last / 12.5))
    return runs


def passages(played: Played, output: str) -> list[tuple[str, str, float]]:
    """What the messages of an output say of who came and went."""
    told = [line["properties"] for line in played.lines if line["output"] == output]
    return [(each["event"], each["name"], float(each["position"])) for each in told]


def ends_of(runs: list[tuple[float, float]]) -> list[tuple[str, str, float]]:
    wanted = [each for first, last in runs for each in (("enter", first), ("leave", last))]
    return [(event, "vehicle", pytest.approx(at, abs=0.002)) for event, at in wanted]


def test_s2_5_published_always_on_an_interval_and_on_change(cars: Played) -> None:
    always = cars.bodies("always")
    counts = [body["count"] for body in always]
    changes = [body for body, before in zip(always, [None, *counts], strict=False) if body["count"] != before]
    assert [body["frame_id"] for body in always] == list(range(377))
    assert cars.bodies("interval") == always[:1]
    assert cars.bodies("changes") == changes
    assert 10 < len(changes) < 60
    assert cars.bodies("sure") == [b for b in always if any(found["score"] >= 0.99 for found in b["objects"])]


def test_s2_5_one_enter_and_one_leave_a_passage(cars: Played, golden: dict[str, Any]) -> None:
    (right,) = (figures for clip, figures in golden["videos"].items() if "car-detection" in clip)
    segments = right["segments_gap5_min3"]
    assert passages(cars, "glimpses") == ends_of(merged(segments, 0.44))
    assert passages(cars, "passages") == ends_of(merged(segments, 2.0))
    assert (len(passages(cars, "glimpses")), len(passages(cars, "passages"))) == (16, 6)
    told = cars.functions["gated"]["outputs"]["passages"]
    assert (told["published"], told["held_back"]) == (6, {"presence": 371})


def test_s2_5_a_motion_gate_before_it_saves_inferences_and_loses_no_passage(cars: Played) -> None:
    moving = cars.functions["moving"]
    assert passages(cars, "moving") == passages(cars, "passages")
    assert moving["trigger"]["dropped"] == {"still": 377 - moving["invocations"]}
    assert moving["invocations"] < 300


# --- the crossing: S0.10, S2.3 -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def people(play: Play) -> Played:
    """Three functions on the clip of the crossing, with the same model."""
    return play(
        {
            "labels.txt": "0 background\n1 person\n",
            "functions/one.py": detect("synchronous", PEOPLE, PERSONS),
            "functions/two.py": detect("threads", PEOPLE, PERSONS, in_flight=4),
            "functions/three.py": detect("pipelined", PEOPLE, PERSONS, in_flight=4, is_async=True),
        }
    )


def test_s0_10_synchronous_and_pipelined_give_the_same_ordered_results(people: Played) -> None:
    synchronous = people.bodies("synchronous")
    assert [message["frame_id"] for message in synchronous] == list(range(107))
    assert people.bodies("threads") == synchronous
    assert people.bodies("pipelined") == synchronous


def test_s2_3_people_at_the_crossing(people: Played, golden: dict[str, Any]) -> None:
    messages = people.bodies("pipelined")
    (right,) = (figures for clip, figures in golden["videos"].items() if "people-107" in clip)
    found = [message["objects"] for message in messages if message["objects"]]
    assert [message["frame_id"] for message in messages] == list(range(107))
    assert (len(found), sum(map(len, found))) == (right["frames_with_detection"], right["total"]) == (105, 527)
    assert max(map(len, found)) == right["max"]
    assert {each["name"] for objects in found for each in objects} == {"person"}
    assert min(each["score"] for objects in found for each in objects) >= 0.5
