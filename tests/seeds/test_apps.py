"""The apps of the seeds, as their templates make them, on the models and clips of the seeds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgefn.cli.commands import commands
from edgefn.cli.demo import DEMOS, find_demo, make_demo
from edgefn.loader import load_app
from tests.end_to_end.apps import CARS, FRUITS, SQUEEZENET, SQUEEZENET_LABELS
from tests.end_to_end.conftest import upstream
from tests.steered import steered, until
from tests.web.conftest import served

PROMISED = {"frame_id", "timestamp", "source", "inference_fps", "model"}


def made(folder: Path, demo: str) -> Path:
    make_demo(find_demo(demo), folder / "app")
    return folder / "app"


def placed(data: Path, **settings: str) -> Mapping[str, str]:
    return {name: value.replace("%DATA%", str(data)) for name, value in settings.items()}


async def test_s0_as_a_whole_sends_all_that_was_promised_and_takes_its_direct_method(
    tmp_path: Path, test_data: Path
) -> None:
    app = made(tmp_path, "s0")
    (app / "labels.txt").write_text("background\nvehicle\n")
    settings = placed(
        test_data,
        INPUT=CARS,
        MODEL_XML_PATH="%DATA%/models/vehicle-detection-adas-0002/vehicle-detection-adas-0002.xml",
        LABELS="labels.txt",
        CLASSIFIER_XML_PATH=SQUEEZENET,
        CLASSIFIER_LABELS=SQUEEZENET_LABELS,
        OUTPUT_DIR=str(tmp_path / "out"),
    )
    async with steered(load_app(app, environment={}, given=settings)) as site:
        state = site.host.app.services.state
        await until(lambda: len({line["output"] for line in upstream(state)}) == 2, 60)
        done = (200, {"Response": "Executed direct method SetTelemetryInterval"})
        assert await site.call("SetTelemetryInterval", 1000) == done
        await until(lambda: any((tmp_path / "out").glob("watch-*.jpg")), 60)
        messages = {line["output"]: line["body"] for line in upstream(state)}
        held = site.function("watch")["outputs"]["detections"]["held_back"]
        await until(lambda: site.function("watch")["outputs"]["detections"]["held_back"] != held, 60)
    assert messages["detections"].keys() == PROMISED | {"detections"}
    assert messages["classification"].keys() == PROMISED | {"candidates"}
    assert len(messages["classification"]["candidates"]) == 10
    assert datetime.fromisoformat(messages["detections"]["timestamp"]).tzname() == "UTC"


async def test_s2_in_one_host_captures_answers_pictures_and_acts(tmp_path: Path, test_data: Path) -> None:
    app = made(tmp_path, "s2")
    settings = placed(
        test_data,
        VIDEO_PATH="%DATA%/images/fruits/banana",
        LOOP_VIDEO="No",
        MAX_FPS="1000",
        IMAGE_PROCESSING_ENDPOINT=FRUITS,
        CUSTOM_VISION_MODEL=FRUITS,
    )
    async with served(load_app(app, environment={}, given=settings)) as site:
        await until(lambda: site.function("act")["invocations"] >= 5, 60)
        answer = await site.client.post("/image", content=(test_data / "images/fruits/banana/banana4.jpg").read_bytes())
        assert answer.json()["predictions"][0]["tagName"] == "Banana"
        await until(lambda: any(line["output"] == "act" for line in upstream(site.host.app.services.state)), 60)
        acted = [line["body"] for line in upstream(site.host.app.services.state) if line["output"] == "act"]
    assert {body["tag"] for body in acted} == {"Banana"}
    assert min(body["probability"] for body in acted) > 0.9


@pytest.mark.parametrize("name", DEMOS)
def test_each_app_has_a_manifest_without_a_fault(tmp_path: Path, name: str) -> None:
    app, manifest = made(tmp_path, name), tmp_path / "deployment.json"
    arguments = ["manifest", "make", str(app), "--image", "registry.example.com/app:1.0", "--output", str(manifest)]
    assert CliRunner().invoke(commands, arguments, catch_exceptions=False).exit_code == 0
    checked = CliRunner().invoke(commands, ["manifest", "check", str(manifest)], catch_exceptions=False)
    assert (checked.exit_code, "0 errors, 0 warnings" in checked.stdout) == (0, True)
    assert max(len(path.read_text().splitlines()) for path in (app / "functions").glob("*.py")) <= 80
