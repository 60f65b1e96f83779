"""Finds the objects in a video, and says what it shows: two models on one source, with all that a message needs.

OUTPUT_DIR takes the last pictures with the boxes drawn into them; ``none`` is for none.
"""

import time
from typing import Any

import cv2
import edgefn

app = edgefn.FunctionApp()


@app.video_frame_trigger(arg_name="frame", source="%INPUT%", real_time=True)
@app.inference_session(
    arg_name="detector", model="%MODEL_XML_PATH%", device="%DEVICE%", labels="%LABELS%", threshold="%PROB_THRESHOLD%"
)
@app.edge_hub_output(arg_name="detections", output_name="detections", interval="00:00:01")
@app.file_output(arg_name="picture", path="%OUTPUT_DIR%", file_name="{function}-{frame_id:08}.jpg", max_files=100)
async def __NAME__(
    frame: edgefn.VideoFrame,
    detector: edgefn.DetectionSession,
    detections: edgefn.Out[dict[str, Any]],
    picture: edgefn.Out[Any],
) -> None:
    began = time.perf_counter()
    found = await detector.infer_async(frame)
    detections.set({"detections": found, **_about(frame, detector, began)})
    picture.set(_drawn(frame, found))


@app.video_frame_trigger(arg_name="frame", source="%INPUT%", real_time=True)
@app.inference_session(
    arg_name="classifier",
    model="%CLASSIFIER_XML_PATH%",
    device="%DEVICE%",
    labels="%CLASSIFIER_LABELS%",
    top_n="%TOP_N%",
)
@app.edge_hub_output(arg_name="$return", output_name="classification", interval="00:00:01")
async def __NAME___classes(frame: edgefn.VideoFrame, classifier: edgefn.ClassificationSession) -> dict[str, Any]:
    began = time.perf_counter()
    return {"candidates": await classifier.infer_async(frame), **_about(frame, classifier, began)}


def _about(frame: edgefn.VideoFrame, session: Any, began: float) -> dict[str, Any]:
    """What each message says of the frame, and of the inference that began then."""
    fps = round(1 / max(time.perf_counter() - began, 1e-6), 1)
    about = {"frame_id": frame.id, "timestamp": frame.timestamp, "source": frame.source}
    return {**about, "inference_fps": fps, "model": session.status().get("model", "")}


def _drawn(frame: edgefn.VideoFrame, found: list[edgefn.Detection]) -> Any:
    """The picture with the boxes, drawn on a copy: other functions see the frame too."""
    image = frame.image.copy()
    for each in found:
        corner = (each.pixels.x_min, each.pixels.y_min)
        cv2.rectangle(image, corner, (each.pixels.x_max, each.pixels.y_max), (80, 200, 80), 2)
        cv2.putText(image, f"{each.name} {each.score:.2f}", corner, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (80, 200, 80), 1)
    return image
