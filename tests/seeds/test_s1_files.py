"""S1.2: pictures that arrive in a folder are scored, each once, also after the host was killed."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from textwrap import dedent

from tests.cli.command import app_in, sent, started
from tests.end_to_end.apps import SQUEEZENET, SQUEEZENET_LABELS
from tests.standin.hubs import wait_until

SCORE = """
import time
from pathlib import Path
import edgefn
app = edgefn.FunctionApp()

@app.file_trigger("picture", "arrivals", pattern=["*.jpg", "*.png"], settle=0.05, interval=0.2)
@app.inference_session("classifier", "{model}", labels="{labels}", precision="f32", top_n=1)
@app.edge_hub_output("$return", "scores")
def score(picture: edgefn.VideoFrame, classifier: edgefn.ClassificationSession) -> dict:
    began = time.perf_counter()
    best = classifier.infer(picture)[0]
    inferred = time.perf_counter()
    if picture.item == "tiger.jpg" and not Path("killed").exists():
        Path("killed").touch()
        print("TIGER", flush=True)
        time.sleep(60)
    return {{"image": picture.item, "label": best.name, "confidence": best.score,
             "inference_ms": (inferred - began) * 1000, "total_ms": (time.perf_counter() - began) * 1000}}
"""


def arrives(app: Path, pictures: Path, *names: str) -> None:
    """Pictures come one after the other, each copied under another name first."""
    (app / "arrivals").mkdir(exist_ok=True)
    for at, name in enumerate(names):
        shutil.copy(pictures / name, app / "arrivals" / f"{name}.part")
        os.utime(app / "arrivals" / f"{name}.part", (at, at))
        (app / "arrivals" / f"{name}.part").rename(app / "arrivals" / name)


def waiting(app: Path) -> int:
    """Messages that are not known to have left."""
    with closing(sqlite3.connect(f"file:{app / '.edgefn/spool.db'}?mode=ro", uri=True)) as file:
        return int(file.execute("SELECT count(*) FROM outbox").fetchone()[0])


def test_s1_2_pictures_that_arrive_in_a_folder_run_once_each_also_after_a_kill_and_a_restart(
    tmp_path: Path, test_data: Path
) -> None:
    pictures = test_data / "images" / "seed-001"
    model, labels = (path.replace("%DATA%", str(test_data)) for path in (SQUEEZENET, SQUEEZENET_LABELS))
    app = app_in(tmp_path / "app", score=dedent(SCORE.format(model=model, labels=labels)))
    arrives(app, pictures, "dog.jpg", "tiger.jpg", "schoolbus.jpg")
    with started("start", "--no-reload", cwd=app) as host:
        host.wait_for("TIGER")
        wait_until(lambda: waiting(app) == 0)  # else a message that left might leave again, which is not looked at here
        host.send(signal.SIGKILL)
        host.end()
    assert [body["image"] for body in sent(app / ".edgefn", "scores")] == ["dog.jpg"]
    arrives(app, pictures, "elephant.jpg", "snowleopardgaze.jpg")
    (app / "arrivals" / "cut.jpg").write_bytes((pictures / "dog.jpg").read_bytes()[:3000])
    with started("start", "--no-reload", cwd=app) as host:
        for _ in range(4):
            host.wait_for("Executed 'Functions.score' (Succeeded")
        host.wait_for("cut.jpg: is a picture that is cut short")
        host.send(signal.SIGTERM)
        assert host.end() == 0
    with started("start", "--no-reload", cwd=app) as host:
        arrives(app, pictures, "indian-elephant.jpg")
        host.wait_for("Executed 'Functions.score' (Succeeded")
        host.send(signal.SIGTERM)
        assert host.end() == 0
    bodies = sent(app / ".edgefn", "scores")
    images = [body["image"] for body in bodies]
    assert sorted(images) == sorted(path.name for path in pictures.glob("*.jpg"))
    assert images[1:3] == ["tiger.jpg", "schoolbus.jpg"], "what was in hand comes first, then the others in their order"
    assert {body["image"]: body["label"] for body in bodies}["schoolbus.jpg"] == "school bus"
    assert all(body["confidence"] > 0 and 0 < body["inference_ms"] <= body["total_ms"] for body in bodies)
