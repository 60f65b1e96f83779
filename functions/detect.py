"""What is on the street: finds cars, trucks and people in each frame, and tells about it once a second."""

import edgefn

app = edgefn.FunctionApp()


@app.video_frame_trigger(arg_name="frame", source="%INPUT%", real_time=True, max_fps=10)
@app.inference_session(arg_name="detector", model="%MODEL_XML_PATH%", device="%DEVICE%")
@app.edge_hub_output(arg_name="detections", output_name="detections", interval="00:00:01")
async def detect(frame: edgefn.VideoFrame, detector: edgefn.DetectionSession, detections: edgefn.Out[dict]) -> None:
    found = await detector.infer_async(frame)
    detections.set({"frame_id": frame.id, "timestamp": frame.timestamp, "source": frame.source, "objects": found})
