"""Scores the pictures of a folder again and again, and tells for each what it shows and how long that took."""

import time
from pathlib import Path
from typing import Any

import azure.functions as func
import cv2
import edgefn

app = edgefn.FunctionApp()
ROOT = Path(__file__).parents[1]
KINDS = {".jpg", ".jpeg", ".png", ".bmp"}


@app.timer_trigger(arg_name="timer", schedule="%SCHEDULE%")
@app.inference_session(
    arg_name="classifier",
    model="%CLASSIFIER_XML_PATH%",
    device="%DEVICE%",
    labels="%CLASSIFIER_LABELS%",
    label_offset="%LABEL_OFFSET%",
    color_order="%COLOR_ORDER%",
    top_n=1,
)
@app.setting(arg_name="folder", name="IMAGE_DIR")
@app.edge_hub_output(arg_name="$return", output_name="__NAME__", rate="%MESSAGE_RATE%", suppress="%SUPPRESS_MESSAGES%")
def __NAME__(timer: func.TimerRequest, classifier: edgefn.ClassificationSession, folder: str) -> list[dict[str, Any]]:
    pictures = sorted(path for path in (ROOT / folder).rglob("*") if path.suffix.lower() in KINDS)
    return [scored for path in pictures if (scored := _score(path, classifier))]


def _score(path: Path, classifier: edgefn.ClassificationSession) -> dict[str, Any] | None:
    """What one picture shows; nothing for a file that is no picture."""
    began = time.perf_counter()
    image = cv2.imread(str(path))
    if image is None:
        return None
    read = time.perf_counter()
    best = classifier.infer(image)[0]
    ended = time.perf_counter()
    times = {"inference_ms": round(1000 * (ended - read), 3), "total_ms": round(1000 * (ended - began), 3)}
    return {"image": path.name, "label": best.name, "confidence": best.score, **times}
