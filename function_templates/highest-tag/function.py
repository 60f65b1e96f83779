"""Tells the highest tag of a message of Custom Vision's, where it is above the setting THRESHOLD."""

from typing import Any

import edgefn

app = edgefn.FunctionApp()


@app.edge_hub_trigger(arg_name="message", input_name="input1")
@app.setting(arg_name="threshold", name="THRESHOLD", default=0.6)
@app.edge_hub_output(arg_name="$return", output_name="__NAME__")
def __NAME__(message: dict[str, Any], threshold: float) -> dict[str, Any] | None:
    best = max(message["predictions"], key=lambda tag: tag["probability"], default={"probability": 0.0})
    if best["probability"] <= threshold:
        return None
    return {"tag": best["tagName"], "probability": best["probability"], "frame_id": message.get("frame_id")}
