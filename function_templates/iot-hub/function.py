"""Takes IoT Hub's events, as it would in the cloud: there of the event hub __NAME__, here of the edgeHub input."""

import json
import logging

import azure.functions as func

app = func.FunctionApp()
log = logging.getLogger(__name__)


@app.event_hub_message_trigger(arg_name="event", event_hub_name="__NAME__", connection="IOT_HUB_EVENTS")
@app.event_hub_output(arg_name="$return", event_hub_name="__NAME__", connection="IOT_HUB_EVENTS")
def __NAME__(event: func.EventHubEvent) -> str:
    message = json.loads(event.get_body())
    names = sorted({found["name"] for found in message.get("objects", [])})
    log.info("Event %s: %s", event.sequence_number, ", ".join(names) or "nothing")
    return json.dumps({"names": names, "enqueued": str(event.enqueued_time)})
