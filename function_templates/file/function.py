"""Says what each picture that arrives in a folder shows, each once, whatever is restarted in between."""

from typing import Any

import edgefn

app = edgefn.FunctionApp()


@app.file_trigger(arg_name="picture", path="__FOLDER__", pattern=["*.jpg", "*.png"])
@app.inference_session(arg_name="classifier", model="%CLASSIFIER_XML_PATH%", device="%DEVICE%", top_n=3)
@app.edge_hub_output(arg_name="$return", output_name="__NAME__")
def __NAME__(picture: edgefn.VideoFrame, classifier: edgefn.ClassificationSession) -> dict[str, Any]:
    best = classifier.infer(picture)[0]
    return {"picture": picture.item, "label": best.name, "score": best.score}
