"""Says aloud what a video shows, when that changes."""

import edgefn

app = edgefn.FunctionApp()
gate = edgefn.LabelGate(threshold=0.9)


@app.video_frame_trigger(arg_name="frame", source="__SOURCE__", real_time=True, max_fps=2)
@app.inference_session(arg_name="classifier", model="%CLASSIFIER_XML_PATH%", device="%DEVICE%", top_n=1)
@app.speech_output(arg_name="$return", player="%SPEECH_PLAYER%", path="spoken", ttl=10)
async def __NAME__(frame: edgefn.VideoFrame, classifier: edgefn.ClassificationSession) -> str | None:
    seen = await classifier.infer_async(frame)
    return f"It is {seen[0].name}." if gate.feed(seen, frame.position) else None
