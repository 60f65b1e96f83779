"""Sends what a model sees in a video to output1, in the words of Custom Vision; frames with nothing in them are none.

IMAGE_PROCESSING_ENDPOINT is a model's file, or with SCORING_KIND ``custom-vision`` the address of a container that
answers as Custom Vision's do. Where that one fails or hangs, the capture goes on.
"""

from typing import Any

import cv2
import edgefn
from edgefn import custom_vision

app = edgefn.FunctionApp()


@app.video_frame_trigger(
    arg_name="frame", source="%VIDEO_PATH%", on_end="%LOOP_VIDEO%", real_time=True, policy="latest", max_fps="%MAX_FPS%"
)
@app.inference_session(arg_name="model", model="%IMAGE_PROCESSING_ENDPOINT%", kind="%SCORING_KIND%")
@app.setting(arg_name="gray", name="CONVERT_TO_GRAY", default=False)
@app.setting(arg_name="width", name="RESIZE_WIDTH", default=0)
@app.setting(arg_name="height", name="RESIZE_HEIGHT", default=0)
@app.edge_hub_output(
    arg_name="$return", output_name="output1", gate="threshold", gate_field="predictions", threshold="%SEND_ABOVE%"
)
async def __NAME__(
    frame: edgefn.VideoFrame, model: edgefn.ClassificationSession, gray: bool, width: int, height: int
) -> dict[str, Any]:
    found = await model.infer_async(_prepared(frame.image, gray, width, height))
    return {"frame_id": frame.id, "timestamp": frame.timestamp, **custom_vision.prediction(found)}


def _prepared(image: Any, gray: bool, width: int, height: int) -> Any:
    """The picture as it was asked for; boxes are shares of it, so that they fit the whole one too."""
    if gray:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return cv2.resize(image, (width, height)) if width and height else image
