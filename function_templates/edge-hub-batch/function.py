"""Counts what was seen in the messages that have come since the last run, and tells the sum of them."""

from collections import Counter
from typing import Any

import edgefn

app = edgefn.FunctionApp()


@app.edge_hub_trigger(arg_name="messages", input_name="__NAME__", cardinality="many", max_batch_size=64)
@app.edge_hub_output(arg_name="$return", output_name="__NAME__")
def __NAME__(messages: list[dict[str, Any]]) -> dict[str, Any]:
    counts = Counter(found["name"] for message in messages for found in message["objects"])
    return {"messages": len(messages), "seen": dict(counts)}
