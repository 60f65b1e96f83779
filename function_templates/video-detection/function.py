"""Finds the objects in a video, and tells about them once a second."""

from typing import Any

import edgefn

app = edgefn.FunctionApp()


@app.video_frame_trigger(arg_name="frame", source="__SOURCE__", real_time=True, max_fps=10)
@app.inference_session(arg_name="detector", model="%MODEL_XML_PATH%", device="%DEVICE%")
@app.edge_hub_output(arg_name="$return", output_name="__NAME__", interval="00:00:01")
async def __NAME__(frame: edgefn.VideoFrame, detector: edgefn.DetectionSession) -> dict[str, Any]:
    found = await detector.infer_async(frame)
    return {"frame_id": frame.id, "timestamp": frame.timestamp, "source": frame.source, "objects": found}
