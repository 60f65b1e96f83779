"""Runs at times, and tells that it did."""

import logging
from datetime import UTC, datetime
from typing import Any

import azure.functions as func
import edgefn

app = edgefn.FunctionApp()
log = logging.getLogger(__name__)


@app.timer_trigger(arg_name="timer", schedule="__SCHEDULE__")
@app.edge_hub_output(arg_name="$return", output_name="__NAME__")
def __NAME__(timer: func.TimerRequest) -> dict[str, Any]:
    if timer.past_due:
        log.warning("The timer is late")
    return {"timestamp": datetime.now(UTC), "late": timer.past_due}
