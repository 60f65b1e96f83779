"""A talking scanner: says what is held before the camera, and tells the hub, when that changes.

SPEECH_MAP has the text for a label, TRANSLATIONS the translation of a text, both as JSON objects. MESSAGE_BODY is
``predictions``, or ``tags`` for the body of old: [{"Tag", "Probability"}]. Where there is no camera, loudspeaker or
hub, settings replace them: INPUT, SPEECH_PLAYER (``none``, or ``file``), and the hub by itself.
"""

import json
from typing import Any, Literal

import edgefn

app = edgefn.FunctionApp()
gate = edgefn.LabelGate(background="Hand", timeout=5.0)  # a hand without a thing is nothing, and ends what was before


@app.video_frame_trigger(
    arg_name="frame", source="%INPUT%", real_time=True, motion="%MOTION%", motion_hold=2, max_fps=5
)
@app.inference_session(arg_name="classifier", model="%CLASSIFIER_XML_PATH%", device="%DEVICE%", resize="__RESIZE__")
@app.setting(arg_name="threshold", name="Threshold", default=0.95)
@app.setting(arg_name="speech_map", name="SPEECH_MAP", default={})
@app.setting(arg_name="body", name="MESSAGE_BODY", default="predictions")
@app.edge_hub_output(arg_name="scanned", output_name="output1", properties={"appid": "scanner"})
@app.speech_output(
    arg_name="said",
    provider="%SPEECH_PROVIDER%",
    voice="%SPEECH_VOICE%",
    map="%TRANSLATIONS%",
    player="%SPEECH_PLAYER%",
    path="spoken",
    speech_key="%SPEECH_KEY%",
    speech_region="%SPEECH_REGION%",
)
async def __NAME__(
    frame: edgefn.VideoFrame,
    classifier: edgefn.ClassificationSession,
    threshold: float,
    speech_map: dict[str, str],
    body: Literal["predictions", "tags"],
    scanned: edgefn.Out[Any],
    said: edgefn.Out[str],
) -> None:
    seen = await classifier.infer_async(frame)
    gate.threshold = threshold
    label = gate.feed(seen, frame.position)
    if label is None:
        return
    scanned.set(_tags(seen) if body == "tags" else _predictions(label, frame.id, seen))
    said.set(speech_map.get(label, f"You scanned {label}"))


def _predictions(label: str, frame_id: int, seen: list[edgefn.Candidate]) -> dict[str, Any]:
    """The body in the words of Custom Vision."""
    predictions = [{"tagName": each.name, "probability": each.score} for each in seen]
    return {"label": label, "frame_id": frame_id, "predictions": predictions}


def _tags(seen: list[edgefn.Candidate]) -> edgefn.EdgeMessage:
    """The body of old, in one message: of a list each element would be one."""
    tags = [{"Tag": each.name, "Probability": each.score} for each in seen]
    return edgefn.EdgeMessage(json.dumps(tags).encode(), content_type="application/json")
