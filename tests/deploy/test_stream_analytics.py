"""The guide to Stream Analytics says what real messages have."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgefn.cli.init import Init, run_init
from edgefn.loader import load_app
from edgefn.routes import RoutedMessage, parse_route
from tests.deploy.apps import ROOT
from tests.steered import steered, until

GUIDE = (ROOT / "docs" / "stream-analytics.md").read_text()
ADDED = ("IoTHub.ConnectionDeviceId", "IoTHub.MessageId", "EventEnqueuedUtcTime")
"""What Stream Analytics knows of every message of IoT Hub."""

Messages = dict[str, dict[str, Any]]
"""The first message of each output, as the hub keeps it, by ``output of app``."""


@dataclass(frozen=True, slots=True)
class Routed:
    """A message as conditions see it."""

    source: str
    body: bytes
    properties: dict[str, str]
    system_properties: dict[str, str]


async def first_messages(root: Path, state: Path, name: str, *outputs: str) -> Messages:
    """Runs an app until each output has sent something that is not empty."""
    app = load_app(root, environment={}, state=state)
    found: Messages = {}
    file = state / "upstream.jsonl"

    def are_there() -> bool:
        lines = file.read_text().splitlines() if file.exists() else []
        for line in map(json.loads, lines):
            is_full = all(value != [] for value in line["body"].values())
            if is_full:
                found.setdefault(f"{line['output']} of {name}", line)
        return len(found) == len(outputs)

    async with steered(app):
        await until(are_there, 60)
    return found


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> Messages:
    """Real messages of the sample, and of the template that is the first seed's."""
    folder = tmp_path_factory.mktemp("messages")
    assert run_init(Init(folder / "app", "accelerated-video")) == 0

    async def both() -> Messages:
        sample = await first_messages(ROOT, folder / "1", "the sample", "detections", "light", "passages")
        video = await first_messages(folder / "app", folder / "2", "accelerated-video", "detections", "classification")
        return sample | video

    return asyncio.run(both())


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """The paths of what a body holds: ``objects[].box.x_min``."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, f"{path}[]")
    else:
        yield path


def tables() -> dict[str, set[str]]:
    """The fields that the guide has for each output."""
    found = {}
    for title, text in re.findall(r"^### (.+?)\n(.*?)(?=^##)", GUIDE, re.MULTILINE | re.DOTALL):
        rows = re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
        found[title.replace("`", "")] = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    return found


def test_the_tables_have_every_field_of_the_messages_and_no_other(messages: Messages) -> None:
    assert tables() == {name: set(leaves(line["body"])) for name, line in messages.items()}


def queries() -> list[tuple[str, str]]:
    return re.findall(r"^```sql\n-- (.+?)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def paths_in(query: str) -> Iterator[str]:
    """What a query reads of the body: columns, and parts of the elements of the list that it applies."""
    plain = query.replace("[timestamp]", "timestamp").replace("[source]", "source")
    applied = re.search(r"GetArrayElements\(message\.(\w+)\)", plain)
    for path in re.findall(r"\bmessage\.([\w.]+)", plain):
        if path not in ADDED:
            yield path
    for path in re.findall(r"\bfound\.ArrayValue\.([\w.]+)", plain):
        assert applied is not None
        yield f"{applied[1]}[].{path}"


@pytest.mark.parametrize(("output", "query"), queries(), ids=[query.split("[")[-1][:20] for _, query in queries()])
def test_a_query_reads_what_the_messages_have(messages: Messages, output: str, query: str) -> None:
    known = {*leaves(messages[output]["body"]), *messages[output]["body"]}
    assert {path for path in paths_in(query) if path not in known} == set()
    if kind := re.search(r"\[User\]\.\[(\w+)\]'\) = '(\w+)'", query):
        assert messages[output]["properties"][kind[1]] == kind[2]


def routed(line: dict[str, Any], **changes: Any) -> RoutedMessage:
    body = json.dumps(line["body"] | changes).encode()
    system = {"contentType": line["contentType"], "contentEncoding": line["contentEncoding"]}
    return Routed("/messages/modules/m/outputs/o", body, line["properties"], system)


def test_the_routing_conditions_take_the_messages_that_the_guide_says(messages: Messages) -> None:
    conditions = re.findall(r"^\| `([^`]+ [=<] [^`]+)` \|", GUIDE, re.MULTILINE)
    passage, night, slow = (
        parse_route("r", f"FROM /messages/* WHERE {text} INTO $upstream").matches for text in conditions
    )
    assert [passage(routed(line)) for line in messages.values()] == [
        name == "passages of the sample" for name in messages
    ]
    light, speed = messages["light of the sample"], messages["detections of accelerated-video"]
    assert [night(routed(light, light=word)) for word in ("day", "night")] == [False, True]
    assert [slow(routed(speed, inference_fps=fps)) for fps in (4.9, 20.0)] == [True, False]


def test_every_message_says_that_it_is_json_and_has_an_id_of_its_own(messages: Messages) -> None:
    assert {(line["contentType"], line["contentEncoding"]) for line in messages.values()} == {
        ("application/json", "utf-8")
    }
    assert len({line["id"] for line in messages.values()}) == len(messages)
