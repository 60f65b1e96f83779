"""Day, dusk or night: classifies one frame a second, and tells when the light has changed."""

import edgefn

app = edgefn.FunctionApp()


@app.video_frame_trigger(arg_name="frame", source="%INPUT%", real_time=True, max_fps=1)
@app.inference_session(arg_name="classifier", model="%LIGHT_MODEL%", device="%DEVICE%")
@app.edge_hub_output(arg_name="$return", output_name="light", on_change="light")
def light(frame: edgefn.VideoFrame, classifier: edgefn.ClassificationSession) -> dict:
    best = classifier.infer(frame)[0]
    return {"light": best.name, "score": best.score, "timestamp": frame.timestamp}
