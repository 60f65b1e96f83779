"""S3, the talking fruit scanner: rows of docs/seeds.md."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import cv2
import pytest

from edgefn.cli.new import New, run_new
from edgefn.contracts import EdgeMessage
from edgefn.host import Host
from edgefn.loader import load_app
from edgefn.source_addresses import SourceKind, recognise
from tests.end_to_end.apps import CARS, FRUITS
from tests.end_to_end.conftest import Load, Play, Played, play_app, upstream
from tests.steered import Steered, steered, until
from tests.templates import empty_app

# --- S3.1, S3.3 --------------------------------------------------------------------------------------------------

SCANNER = f"""
@app.video_frame_trigger("frame", "scans", capture_fps=1)
@app.inference_session("classifier", "{FRUITS}", labels="labels.txt", precision="f32", resize="custom-vision")
@app.edge_hub_output("$return", "output1", gate="label", gate_field="candidates", threshold="%Threshold%",
                     background="Hand", timeout="00:00:05", properties={{"appid": "scanner"}})
async def scanner(frame, classifier: edgefn.ClassificationSession):
    return {{"candidates": await classifier.infer_async(frame), "item": frame.item}}
"""
PICTURES = {
    "apple": ("apple5", "IMG_20200229_164926jpg", "IMG_20200229_164936"),
    "banana": ("banana4", "IMG_20200229_164947", "IMG_20200229_165008"),
    "orange": ("IMG_20200229_165220", "IMG_20200229_165202", "IMG_20200229_165115"),
    "unsure": ("IMG_20200229_164830",),
}
"""Pictures with a score above 0.99, and one whose best is 0.87 orange: an apple."""


def scanned(play: Play, tmp_path: Path, data: Path, seen: Iterable[str], labels: str) -> Played:
    """The scanner over pictures of these fruits, one a second, which are called as ``labels`` says."""
    (tmp_path / "scans").mkdir()
    for number, fruit in enumerate(seen):
        name = PICTURES[fruit][number % len(PICTURES[fruit])]
        folder = data / "images" / "fruits" / fruit.replace("unsure", "apple")
        shutil.copy(folder / f"{name}.jpg", tmp_path / "scans" / f"{number}.jpg")
    files = {"labels.txt": labels, "functions/f.py": SCANNER}
    return play(files, tmp_path, Threshold="0.95")


FRUIT_NAMES = "Apple\nBanana\nLemon\nOrange\n"
HAND = "Apple\nBanana\nLemon\nHand\n"
"""The model knows no hand: its oranges play it."""


def test_s3_1_one_message_a_change_of_label_above_the_threshold(play: Play, tmp_path: Path, test_data: Path) -> None:
    seen = ["apple", "apple", "unsure", "banana", "banana", "orange", "unsure", "orange", "apple"]
    played = scanned(play, tmp_path, test_data, seen, FRUIT_NAMES)
    messages = played.bodies("output1")
    assert [message["candidates"][0]["name"] for message in messages] == ["Apple", "Banana", "Orange", "Apple"]
    assert [message["item"] for message in messages] == ["0.jpg", "3.jpg", "5.jpg", "8.jpg"]
    assert min(message["candidates"][0]["score"] for message in messages) > 0.95
    assert [line["properties"] for line in played.lines] == [{"appid": "scanner"}] * 4
    assert played.functions["scanner"]["outputs"]["$return"]["held_back"] == {"label": 5}


@pytest.mark.parametrize(
    ("seen", "events"),
    [
        (["banana", "banana"], ["0.jpg"]),
        (["banana", "orange", "banana"], ["0.jpg", "2.jpg"]),
        (["banana", *["unsure"] * 4, "banana"], ["0.jpg"]),
        (["banana", *["unsure"] * 5, "banana"], ["0.jpg", "6.jpg"]),
        (["banana"] * 8, ["0.jpg"]),
    ],
    ids=["twice", "hand-between", "within-the-time-out", "longer-than-the-time-out", "all-the-time"],
)
def test_s3_3_the_same_fruit_again_is_an_event_after_a_hand_or_the_time_out(
    play: Play, tmp_path: Path, test_data: Path, seen: list[str], events: list[str]
) -> None:
    messages = scanned(play, tmp_path, test_data, seen, HAND).bodies("output1")
    assert [message["item"] for message in messages] == events
    assert {message["candidates"][0]["name"] for message in messages} == {"Banana"}


# --- S3.2 --------------------------------------------------------------------------------------------------------

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
    await site.host.app.services.spool.idle()
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


TAKE = """
@app.edge_hub_trigger("seen", "scans")
@app.edge_hub_output("$return", "output1", gate="label", threshold="%Threshold%", timeout="01:00:00")
async def take(seen: dict):
    return seen
"""


async def test_s3_2_the_threshold_of_a_gate_is_changed_by_the_twin_and_what_it_has_seen_stays(load: Load) -> None:
    async with steered(load({"host.json": HOST, "functions/f.py": TAKE}, Threshold="0.96")) as site:
        inbox = site.host.app.services.spool.inbox

        async def shown(label: str, score: float) -> int:
            """The messages so far, when a label has been seen."""
            body = json.dumps({"label": label, "score": score}).encode()
            await inbox.on_input(EdgeMessage(body, input_name="scans"))
            await inbox.idle()
            outputs = site.function("take")["outputs"]
            return int(outputs["$return"]["published"])

        assert [await shown("banana", 0.95), await shown("banana", 0.97)] == [0, 1]
        assert (await site.desire({"settings": {"Threshold": 0.94}}))["status"] == "applied"
        assert [await shown("banana", 0.95), await shown("apple", 0.95)] == [1, 2]
        refused = await site.desire({"settings": {"Threshold": "96"}})
        assert refused["status"] == "refused"
        assert "threshold" in refused["reason"]
        assert [await shown("apple", 0.95), await shown("banana", 0.95)] == [2, 3]


# --- S3.4 --------------------------------------------------------------------------------------------------------

MOVES = """
@app.video_frame_trigger("frame", "{source}", motion=0.01)
@app.edge_hub_output("$return", "moves")
def moves(frame):
    return frame.id
"""
STILL = 60
PASSAGES = [(60, 104), (185, 232), (320, 344)]
"""First and last frame on which vehicle-detection-adas-0002 finds a vehicle, with gaps of up to two seconds."""


def clip(path: Path, frames: Iterable[cv2.typing.MatLike], size: tuple[int, int]) -> str:
    """Writes a clip of 12.5 frames a second with frames of this size."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 12.5, size)
    for frame in frames:
        writer.write(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))
    writer.release()
    return str(path)


def frames_of(path: Path) -> Iterable[cv2.typing.MatLike]:
    video = cv2.VideoCapture(str(path))
    while (read := video.read())[0]:
        yield read[1]


def passages(moves: list[int]) -> list[tuple[int, int]]:
    """First and last frame of the stretches in which no second passes without motion; without the first frame."""
    runs: list[tuple[int, int]] = []
    for frame in moves[1:]:
        if runs and frame - runs[-1][1] <= 12:
            runs[-1] = (runs[-1][0], frame)
        else:
            runs.append((frame, frame))
    return runs


def test_s3_4_a_still_clip_triggers_once(play: Play, tmp_path: Path, test_data: Path) -> None:
    first = next(iter(frames_of(test_data / "videos" / "car-detection.mp4")))
    source = clip(tmp_path / "still.avi", [first] * STILL, (768, 432))
    played = play({"functions/f.py": MOVES.format(source=source)})
    assert played.bodies("moves") == [0]
    assert played.functions["moves"]["trigger"]["dropped"] == {"still": STILL - 1}


def test_s3_4_the_car_clip_triggers_in_its_passages_the_same_at_every_resolution(
    play: Play, tmp_path: Path, test_data: Path
) -> None:
    frames, found = list(frames_of(test_data / "videos" / "car-detection.mp4")), {}
    for name, size in (("small", (320, 180)), ("large", (1280, 720)), ("as-it-is", None)):
        source = clip(tmp_path / f"{name}.avi", frames, size) if size else CARS
        played = play({"functions/f.py": MOVES.format(source=source)})
        found[name] = passages(played.bodies("moves"))
        assert played.bodies("moves")[0] == 0
        assert played.functions["moves"]["trigger"]["dropped"]["still"] > 180
    for runs in found.values():
        assert len(runs) == len(PASSAGES)
        for (first, last), (seen_first, seen_last) in zip(runs, PASSAGES, strict=True):
            assert seen_first - 12 <= first <= seen_first
            assert seen_last <= last <= seen_last + 25
    for runs in (found["small"], found["large"]):
        assert runs == [(pytest.approx(a, abs=2), pytest.approx(b, abs=2)) for a, b in found["as-it-is"]]


# --- S3.6, S3.7 --------------------------------------------------------------------------------------------------

WORDS = {"SPEECH_MAP": json.dumps({"Banana": "A banana"}), "TRANSLATIONS": json.dumps({"A banana": "Eine Banane"})}


@pytest.fixture
def scanner_app(tmp_path: Path, test_data: Path) -> Path:
    """The app of the template, and a folder of two fruits."""
    app = empty_app(tmp_path / "app")
    assert run_new(New("talking-scanner", "scan", ("--resize", "custom-vision"), app)) == 0
    (app / "scans").mkdir()
    for number, fruit in enumerate(("apple", "banana")):
        picture = test_data / "images" / "fruits" / fruit / f"{PICTURES[fruit][0]}.jpg"
        shutil.copy(picture, app / "scans" / f"{number}.jpg")
    return app


def scans(app: Path, data: Path, **settings: str) -> Played:
    """The scanner over the two pictures, until both have been said."""
    desk = {"INPUT": "scans", "SPEECH_PLAYER": "file", **WORDS}
    desk["CLASSIFIER_XML_PATH"] = FRUITS.replace("%DATA%", str(data))

    async def said(host: Host) -> None:
        await host.wait_for_end()
        await until(lambda: host.status()["functions"]["scan"]["outputs"]["said"]["spoken"] == 2, 60)

    return asyncio.run(play_app(load_app(app, environment={}, given={**desk, **settings}), said))


def test_s3_6_on_a_desktop_camera_speaker_and_hub_are_replaced_by_settings_alone(
    scanner_app: Path, test_data: Path
) -> None:
    played = scans(scanner_app, test_data)
    assert [body["label"] for body in played.bodies("output1")] == ["Apple", "Banana"]
    assert [line["properties"] for line in played.lines] == [{"appid": "scanner"}] * 2
    sounds = sorted((scanner_app / "spoken").glob("*.wav"))
    assert [sound.stem.partition("-")[2] for sound in sounds] == ["You-scanned-Apple", "Eine-Banane"]
    key = "HostName=hub.example;DeviceId=pi;ModuleId=scanner;SharedAccessKey=a2V5"
    device = {"INPUT": "0", "SPEECH_PLAYER": "aplay", "CONNECTIONSTRING": key}
    on_device = load_app(scanner_app, environment={}, given=device)
    (function,) = on_device.functions
    assert function.errors == []
    assert function.trigger is not None
    assert recognise(function.trigger.options.source, scanner_app).kind is SourceKind.CAMERA
    assert [b.options.player for b in function.outputs if b.type == "speech"] == ["aplay"]
    assert (played.app.services.hub.name, on_device.services.hub.name) == ("local", "iotedge")


@pytest.mark.parametrize("body", ["predictions", "tags"])
def test_s3_7_the_old_body_and_the_new_one_are_both_declared(scanner_app: Path, test_data: Path, body: str) -> None:
    first, second = scans(scanner_app, test_data, MESSAGE_BODY=body).bodies("output1")
    if body == "tags":
        assert [list(each) for each in first] == [["Tag", "Probability"]] * 4
        assert [message[0]["Tag"] for message in (first, second)] == ["Apple", "Banana"]
        assert first[0]["Probability"] > 0.95
    else:
        assert [message["predictions"][0]["tagName"] for message in (first, second)] == ["Apple", "Banana"]
        assert first["predictions"][0]["probability"] > 0.95
    (function,) = load_app(scanner_app, environment={}, given={"MESSAGE_BODY": "both"}).functions
    assert "MESSAGE_BODY should be" in function.errors[0]
