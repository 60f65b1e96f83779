"""The tables of options in the guides say what the models say; those of docs/bindings are held by test_reference.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from edgefn.bindings.edge_hub import EdgeHubOutputOptions
from edgefn.bindings.file import FileOutputOptions
from edgefn.bindings.mqtt import MqttOutputOptions
from edgefn.bindings.result_gate import GatedOptions
from edgefn.event_hubs import EventHubs
from edgefn.hubs.options import EdgeHubOptions
from edgefn.mqtt.options import MqttOptions
from edgefn.operation import TwinOptions
from edgefn.sessions.custom_vision import CustomVisionOptions
from edgefn.sessions.kserve import KserveOptions
from edgefn.sessions.options import OpenVinoOptions
from edgefn.spool.options import SpoolOptions
from edgefn.triggers.edge_hub import EdgeHubTrigger
from edgefn.triggers.file_options import FileTrigger
from edgefn.triggers.mqtt import MqttTrigger
from edgefn.triggers.video_frame import VideoFrameTrigger
from edgefn.web.options import HttpOptions
from edgefn.web.page.options import PageOptions
from edgefn.web.serving.options import ServingOptions
from tests.test_docs import ROOT

TABLES: dict[str, list[tuple[type[BaseModel], ...]]] = {
    "delivery": [(SpoolOptions,)],
    "files": [(FileTrigger,), (FileOutputOptions,)],
    "gates": [(GatedOptions,)],
    "http": [(HttpOptions,)],
    "hubs": [(EdgeHubOptions,), (EdgeHubOptions,), (EdgeHubOutputOptions,), (EdgeHubTrigger,)],
    "mqtt": [(MqttOptions,), (MqttTrigger,), (MqttOutputOptions,)],
    "serving": [(ServingOptions,)],
    "sessions": [(OpenVinoOptions,), (KserveOptions, CustomVisionOptions)],
    "video": [(VideoFrameTrigger,)],
}
"""The models of the tables of options, in the order in which a guide has them."""
EXTENSIONS = {
    "azure-functions": EventHubs,
    "delivery": SpoolOptions,
    "http": HttpOptions,
    "hubs": EdgeHubOptions,
    "mqtt": MqttOptions,
    "page": PageOptions,
    "serving": ServingOptions,
    "twin": TwinOptions,
}
"""The parts of host.json, which no reference page has: the guide names all of their options."""
HEAD = re.compile(r"^\| option(?: of `extensions\.\w+`)? \|.*\| default \|\n\|[-|]+\|\n((?:\|.*\n)+)", re.MULTILINE)
NUMBER = re.compile(r"^(-?[\d,.]+)(?: (s|days|MiB|GiB))?\b")
UNITS = {"s": 1, "days": 86_400, "MiB": 2**20, "GiB": 2**30, None: 1}


class Row(NamedTuple):
    option: str
    default: str


def rows_of(table: str) -> Iterator[Row]:
    """Each option with its default; a row of several has as many defaults, or one for all."""
    for line in table.splitlines():
        first, *_, last = (cell.strip() for cell in line.strip("|").split(" | "))
        options = re.findall(r"`([\w.]+)`", first)
        defaults = last.strip("| ").split(", ") if len(options) > 1 else [last.strip("| ")]
        for number, option in enumerate(options):
            yield Row(option, defaults[min(number, len(defaults) - 1)])


def leaves(model: type[BaseModel], before: str = "") -> Iterator[tuple[str, Any]]:
    """The options of a model with their defaults, those of its parts with a dot."""
    for name, field in model.model_fields.items():
        option = before + (field.alias or name)
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from leaves(kind, f"{option}.")
        else:
            yield option, None if field.is_required() else field.get_default(call_default_factory=True)


def agrees(told: str, default: Any) -> bool:
    """Whether a cell tells that default; where there is none, a guide says in words what happens then."""
    if isinstance(default, bool):
        return told.startswith(str(default).lower())
    if isinstance(default, int | float):
        found = NUMBER.match(told)
        return found is not None and float(found[1].replace(",", "")) * UNITS[found[2]] == default
    if default and isinstance(default, str):
        return told.startswith((f"`{default}`", f"`{to_camel(default)}`"))
    return True


@pytest.mark.parametrize(
    ("told", "default"),
    [("64 MiB", 65 * 2**20), ("1 s", 2.0), ("false", True), ("`keep`", "move"), ("none", 1), ("", 0)],
)
def test_another_default_is_seen(told: str, default: object) -> None:
    assert not agrees(told, default)


@pytest.mark.parametrize("guide", TABLES)
def test_the_tables_of_a_guide_name_options_that_there_are_with_their_defaults(guide: str) -> None:
    tables = HEAD.findall((ROOT / "docs" / f"{guide}.md").read_text())
    assert len(tables) == len(TABLES[guide])
    wrong: list[Row] = []
    for table, models in zip(tables, TABLES[guide], strict=True):
        known = {option: default for model in models for option, default in leaves(model)}
        wrong += [
            row for row in rows_of(table) if row.option not in known or not agrees(row.default, known[row.option])
        ]
    assert wrong == []


def test_every_table_of_options_of_a_guide_is_held_against_a_model() -> None:
    found = {page.stem for page in (ROOT / "docs").glob("*.md") if HEAD.search(page.read_text())}
    assert found - TABLES.keys() == {"models", "templates"}, "those are options of commands"


@pytest.mark.parametrize("guide", EXTENSIONS)
def test_a_guide_names_each_option_of_its_part_of_host_json(guide: str) -> None:
    named = set(re.findall(r"`(?:extensions\.\w+\.)?([\w.]+)`", (ROOT / "docs" / f"{guide}.md").read_text()))
    assert [option for option, _ in leaves(EXTENSIONS[guide]) if not {option, option.split(".")[0]} & named] == []
