"""An event as the trigger makes it."""

import json

import azure.functions as func

from functions.__NAME__ import __NAME__


def event(document: object) -> func.EventHubEvent:
    return func.EventHubEvent(body=json.dumps(document).encode(), sequence_number=1)


def test_the_names_of_an_event_are_told_once_each() -> None:
    objects = [{"name": "truck"}, {"name": "car"}, {"name": "car"}]
    assert json.loads(__NAME__(event({"objects": objects})))["names"] == ["car", "truck"]


def test_an_event_without_objects_is_told_too() -> None:
    assert json.loads(__NAME__(event({})))["names"] == []
