"""Models, clips and functions that several rows of SEEDS.md are about."""

from __future__ import annotations

MODELS = "%DATA%/models"
SQUEEZENET = f"{MODELS}/squeezenet1.1/squeezenet1.1.xml"
SQUEEZENET_LABELS = f"{MODELS}/squeezenet1.1/imagenet_labels.txt"
VEHICLES = f"{MODELS}/vehicle-detection-adas-0002/vehicle-detection-adas-0002.xml"
PERSONS = f"{MODELS}/person-detection-retail-0013/person-detection-retail-0013.xml"
FRUITS = f"{MODELS}/custom-vision-fruits/model.pb"
MOBILENET = f"{MODELS}/mobilenet-v2-quant/mobilenet_v2_1.0_224_quant.tflite"
REJECTED = f"{MODELS}/rejected-by-openvino/person_detect.tflite"
CARS = "%DATA%/videos/car-detection.mp4"
PEOPLE = "%DATA%/videos/people-107-frames.mp4"
LYING = "%DATA%/videos/header-says-66-decodes-65.mkv"
PICTURES = "%DATA%/images/imagenet"


def detect(name: str, source: str, model: str, *, in_flight: int = 1, is_async: bool = False) -> str:
    """A function that sends what it finds in each frame to the output of its own name."""
    call = "await detector.infer_async(frame)" if is_async else "detector.infer(frame)"
    return f"""
@app.video_frame_trigger("frame", "{source}", max_in_flight={in_flight})
@app.inference_session("detector", "{model}", precision="f32", labels="labels.txt")
@app.edge_hub_output("$return", "{name}")
{"async " * is_async}def {name}(frame: edgefn.VideoFrame, detector: edgefn.DetectionSession) -> dict:
    return {{"frame_id": frame.id, "objects": {call}}}
"""


def classify(name: str, source: str, model: str, more: str = "") -> str:
    """A function that sends the best class of each frame to the output of its own name."""
    return f"""
@app.video_frame_trigger("frame", "{source}")
@app.inference_session("classifier", "{model}"{more})
@app.edge_hub_output("$return", "{name}")
async def {name}(frame: edgefn.VideoFrame, classifier: edgefn.ClassificationSession) -> dict:
    best = (await classifier.infer_async(frame))[0]
    return {{"index": best.index, "name": best.name, "score": best.score}}
"""


def counting(name: str, source: str, frames: int, more: str = "") -> str:
    """A function that keeps the ids of its frames, and sets an event at the one that makes so many."""
    return f"""
IDS, POSITIONS, ENOUGH = [], [], asyncio.Event()
@app.video_frame_trigger("frame", "{source}"{more})
async def {name}(frame: edgefn.VideoFrame):
    IDS.append(frame.id)
    POSITIONS.append(frame.position)
    if len(IDS) == {frames}:
        ENOUGH.set()
"""
