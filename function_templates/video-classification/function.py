"""Says what a video shows, and tells when that changes."""

from typing import Any

import edgefn

app = edgefn.FunctionApp()


@app.video_frame_trigger(arg_name="frame", source="__SOURCE__", real_time=True, max_fps=1)
@app.inference_session(arg_name="classifier", model="%CLASSIFIER_XML_PATH%", device="%DEVICE%", top_n=3)
@app.edge_hub_output(arg_name="$return", output_name="__NAME__", on_change="label")
async def __NAME__(frame: edgefn.VideoFrame, classifier: edgefn.ClassificationSession) -> dict[str, Any]:
    candidates = await classifier.infer_async(frame)
    return {"label": candidates[0].name, "candidates": candidates, "frame_id": frame.id, "timestamp": frame.timestamp}
