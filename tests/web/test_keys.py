"""Key files: how Azure keeps them, who may read them, and what opens what."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from edgefn.errors import SettingError
from edgefn.web.keys import Keys


def opened(folder: Path, *functions: str) -> Keys:
    keys = Keys(folder)
    keys.open(functions or ("Hello",))
    return keys


def document(path: Path) -> Any:
    return json.loads(path.read_text())


def test_the_first_start_makes_files_as_azure_keeps_them_and_only_the_owner_can_read_them(tmp_path: Path) -> None:
    opened(tmp_path / "secrets")
    host, function = document(tmp_path / "secrets" / "host.json"), document(tmp_path / "secrets" / "hello.json")
    assert host["masterKey"] == {"name": "master", "value": host["masterKey"]["value"], "encrypted": False}
    assert [key["name"] for key in host["functionKeys"]] == ["default"]
    assert host["systemKeys"] == []
    assert [key["name"] for key in function["keys"]] == ["default"]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()} == {0o600}
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


def test_later_starts_keep_the_keys(tmp_path: Path) -> None:
    assert opened(tmp_path).listed("keys") == opened(tmp_path).listed("keys")


def test_each_key_opens_what_it_is_for(tmp_path: Path) -> None:
    keys = opened(tmp_path, "one", "two")
    master, shared = (key["value"] for key in keys.listed("keys") or [])
    own = (keys.listed("keys", "one") or [])[0]["value"]
    opens = {
        name: [keys.allow("function", "one", key), keys.allow("function", "TWO", key), keys.allow("admin", "one", key)]
        for name, key in {"master": master, "shared": shared, "own": own, "none": "", "wrong": "é\udcff"}.items()
    }
    assert opens == {
        "master": [True, True, True],
        "shared": [True, True, False],
        "own": [True, False, False],
        "none": [False, False, False],
        "wrong": [False, False, False],
    }
    assert keys.allow("anonymous", "one", "")


def test_keys_that_are_set_renewed_and_deleted_count_at_once_and_after_a_restart(tmp_path: Path) -> None:
    keys = opened(tmp_path)
    assert keys.put("keys", "hello", "mine", "secret") == ({"name": "mine", "value": "secret"}, True)
    old = (keys.listed("keys") or [])[0]["value"]
    keys.put("keys", "", "_master", None)
    again = opened(tmp_path)
    assert again.allow("function", "hello", "secret")
    assert not again.is_master(old)
    assert again.delete("keys", "hello", "MINE")
    assert not again.allow("function", "hello", "secret")
    assert not again.delete("keys", "", "_master")
    assert keys.put("keys", "unknown", "x", None) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "it holds no JSON"),
        ("[]", "it holds no object with masterKey"),
        ('{"masterKey": {"name": "master", "value": ""}}', "has no name or value"),
        ('{"masterKey": {"name": "master", "value": "planted", "encrypted": true}}', "is encrypted"),
        ('{"masterKey": {"name": "master", "value": "planted"}, "functionKeys": 5}', "are no lists"),
    ],
)
def test_a_file_that_can_not_be_used_is_set_aside_and_said_without_what_it_holds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, fault: str
) -> None:
    (tmp_path / "host.json").write_text(text)
    opened(tmp_path)
    assert len(list(tmp_path.glob("host.json.unusable-*"))) == 1
    assert fault in caplog.text
    assert "planted" not in caplog.text
    assert document(tmp_path / "host.json")["masterKey"]["value"] != "planted"


def test_a_file_that_others_can_read_is_closed_to_them_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opened(tmp_path)
    (tmp_path / "hello.json").chmod(0o644)
    caplog.set_level(logging.WARNING)
    opened(tmp_path)
    assert (tmp_path / "hello.json").stat().st_mode & 0o777 == 0o600
    assert "others may read the keys in it" in caplog.text


def test_a_folder_that_can_not_be_written_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("a file")
    with pytest.raises(SettingError, match=r"the keys can not be kept: .*; choose another folder with --state"):
        opened(tmp_path / "secrets")
