"""State in JSON files: whole or as it was, set aside where it can not be used, written later where no room was."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgefn.hubs.local_twin import LocalTwin
from edgefn.kept import Kept
from edgefn.mqtt.remembered import Memory
from tests.conftest import AppIn
from tests.faults.disks import small_disk
from tests.steered import QUICK, steered, until

WHOLE = {"id": "0123456789", "sessions": {"box": {"session": True, "filters": {"a/+": ["f"]}}}}


def test_what_is_kept_is_read_again_and_is_for_its_owner_only(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "deep" / "state.json", "nothing follows")
    assert kept.read() is None
    kept.write({"a": 1})
    assert (kept.read(), kept.is_behind) == ({"a": 1}, False)
    assert (tmp_path / "deep" / "state.json").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_leaves_what_was_kept_last_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        kept = Kept(disk.folder / "state.json", "nothing follows")
        kept.write({"number": 1})
        with disk.full():
            kept.write({"number": 2, "more": "x" * 5000})
            kept.write({"number": 3, "more": "x" * 5000})
            assert (kept.read(), kept.is_behind) == ({"number": 1}, True)
        kept.write({"number": 4})
        assert (kept.read(), kept.is_behind) == ({"number": 4}, False)
        assert sorted(path.name for path in disk.folder.iterdir()) == ["state.json"]
    assert caplog.text.count("can not be written") == 1


def test_writers_in_several_threads_leave_a_whole_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept(tmp_path / "state.json", "nothing follows")
    documents = [{"number": number, "pad": "x" * 1000 * number} for number in range(40)]
    with ThreadPoolExecutor(4) as several:
        list(several.map(kept.write, documents))
    assert kept.read() in documents
    assert caplog.text == ""


@pytest.mark.parametrize(
    "document",
    [
        {"id": 7, "sessions": {}},
        {"id": "0123456789"},
        {"id": "0123456789", "sessions": {"box": []}},
        {"id": "0123456789", "sessions": {"box": {"filters": ["a/+"]}}},
        {"id": "0123456789", "sessions": {"box": {"filters": {"a/+": "f"}}}},
    ],
)
def test_what_brokers_know_of_the_host_is_set_aside_where_it_is_of_another_shape(
    tmp_path: Path, document: object, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "mqtt.json"
    path.write_text(json.dumps(document))
    remembered = Memory(path).of("box")
    remembered.add(["a/+"])
    assert (remembered.filters, remembered.functions_of("a/+")) == (["a/+"], [])
    assert "mqtt.json: can not be used" in caplog.text
    (aside,) = tmp_path.glob("mqtt.json.unusable-*")
    assert json.loads(aside.read_text()) == document


def test_what_brokers_know_of_the_host_is_kept_as_soon_as_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        path = disk.folder / "mqtt.json"
        memory = Memory(path)
        with disk.full():
            name = memory.client_id("mqtt://broker:1883")
            remembered = memory.of(name)
            remembered.add(["a/+"])
            assert not path.exists()
        remembered.add(["a/+"])  # as with each look at what is wanted
        assert Memory(path).client_id("mqtt://broker:1883") == name
        assert Memory(path).of(name).filters == ["a/+"]


def test_what_brokers_know_of_the_host_outlives_it(tmp_path: Path) -> None:
    (tmp_path / "mqtt.json").write_text(json.dumps(WHOLE))
    remembered = Memory(tmp_path / "mqtt.json").of("box")
    assert (remembered.has_session, remembered.filters, remembered.functions_of("a/+")) == (True, ["a/+"], ["f"])


@pytest.mark.parametrize("version", [None, "three", [], {}])
def test_a_twin_whose_version_is_no_number_begins_anew(
    tmp_path: Path, version: object, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "twin.json"
    path.write_text(json.dumps({"desired": {"a": 1, "$version": version}, "reported": {}}))
    assert LocalTwin(path).get().desired == {"$version": 0}
    assert "twin.json: can not be used" in caplog.text


async def test_desired_properties_that_found_no_room_are_kept_as_soon_as_there_is_some(
    app_of: AppIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edgefn.operation.AGAIN", 0.01)
    app = app_of({"host.json": QUICK, "functions/f.py": ""})
    async with steered(app) as site:
        kept = app.services.state / "desired.json"
        await site.desire({"zoom": 1})
        assert json.loads(kept.read_text())["properties"] == {"zoom": 1}
        kept.with_name("desired.json.new").mkdir()  # nothing can be written there
        assert (await site.desire({"zoom": 2}))["status"] == "applied"
        assert json.loads(kept.read_text())["properties"] == {"zoom": 1}
        kept.with_name("desired.json.new").rmdir()
        await until(lambda: json.loads(kept.read_text()) == {"version": 2, "properties": {"zoom": 2}})
    assert caplog.text.count("can not be written") == 1
