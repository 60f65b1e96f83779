"""Sends a message on when something in it is at least as sure as the setting THRESHOLD says."""

from typing import Any

import edgefn

app = edgefn.FunctionApp()


@app.edge_hub_trigger(arg_name="message", input_name="__NAME__")
@app.setting(arg_name="threshold", name="THRESHOLD", default=0.6)
@app.edge_hub_output(arg_name="$return", output_name="__NAME__", properties={"kind": "sure"})
def __NAME__(message: dict[str, Any], threshold: float) -> dict[str, Any] | None:
    objects = [found for found in message["objects"] if found["score"] >= threshold]
    return {**message, "objects": objects} if objects else None
