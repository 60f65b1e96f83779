"""Tells when a kind of object enters or leaves the picture: one message each, however long it stays."""

from typing import Any

import edgefn

app = edgefn.FunctionApp()
gate = edgefn.PresenceGate("__CLASSES__", threshold=0.6, hold=1.0)  # gone is what is missing for a second


@app.video_frame_trigger(arg_name="frame", source="__SOURCE__", real_time=True, max_fps=10)
@app.inference_session(arg_name="detector", model="%MODEL_XML_PATH%", device="%DEVICE%")
@app.edge_hub_output(arg_name="$return", output_name="__NAME__")
async def __NAME__(frame: edgefn.VideoFrame, detector: edgefn.DetectionSession) -> list[dict[str, Any]]:
    found = await detector.infer_async(frame)
    passages = gate.feed(found, frame.position)
    return [{"event": each.event, "name": each.name, "timestamp": frame.timestamp} for each in passages]
