"""Takes temperatures of an MQTT broker, and publishes those that are too high."""

from typing import Any

import edgefn

app = edgefn.FunctionApp()


@app.mqtt_trigger(arg_name="reading", topic="__TOPIC__", broker="%MQTT_BROKER%")
@app.setting(arg_name="highest", name="HIGHEST", default=30.0)
@app.mqtt_output(arg_name="$return", topic="alarms/temperature", broker="%MQTT_BROKER%")
def __NAME__(reading: dict[str, Any], highest: float) -> dict[str, Any] | None:
    return {**reading, "highest": highest} if reading["temperature"] > highest else None
