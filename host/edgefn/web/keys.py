"""Keys as Azure Functions keeps them in files, in the folder ``secrets`` of the state.

    host.json        {"masterKey": KEY, "functionKeys": [KEY, ...], "systemKeys": [KEY, ...]}
    <function>.json  {"keys": [KEY, ...]}        where KEY is {"name": "default", "value": "...", "encrypted": false}

A value is never part of a log line or an error, whoever writes it.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import os
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from edgefn.errors import SettingError
from edgefn.redaction import hold

log = logging.getLogger("edgefn.web")

HOST = "host"
MASTER = "_master"
SCOPES = {"keys": "functionKeys", "functionkeys": "functionKeys", "systemkeys": "systemKeys"}
"""The lists of host.json by the name that they have in the admin endpoints."""


class Keys:
    """The keys of one host and its functions. Names of functions and keys match without regard to case."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._host: dict[str, Any] = {}
        self._functions: dict[str, dict[str, Any]] = {}
        self._accepted: dict[str, list[bytes]] = {HOST: []}
        self._shared: list[bytes] = []

    def open(self, functions: Iterable[str]) -> None:
        """Reads the files, and makes those that are missing; raises SettingError when that can not be done."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._host = self._opened(HOST, "masterKey") or self._written(HOST, _new_host())
            for name in sorted({name.lower() for name in functions}):
                document = self._opened(name, "keys") or self._written(name, {"keys": [_key("default")]})
                self._functions[name] = document
        except OSError as error:
            raise SettingError(
                f"{self._folder}: the keys can not be kept: {error.strerror}; choose another folder with --state"
            ) from None
        self._count_in()

    def allow(self, level: str, function: str, given: str) -> bool:
        """Whether a key opens a function of that level; takes the same time for all that do not."""
        if level == "anonymous":
            return True
        accepted = self._accepted[HOST] if level == "admin" else self._accepted.get(function.lower(), self._shared)
        found = given.encode("utf-8", "replace")
        return sum(hmac.compare_digest(found, key) for key in accepted) > 0

    def is_master(self, given: str) -> bool:
        return self.allow("admin", "", given)

    # --- management ----------------------------------------------------------------------------------------------

    def listed(self, scope: str, function: str = "") -> list[dict[str, str]] | None:
        """The keys of a scope (see SCOPES), or of a function; None when there is no such function."""
        keys = self._list(scope, function)
        if keys is None:
            return None
        shown = [{"name": str(key["name"]), "value": str(key["value"])} for key in keys]
        if not function and scope == "keys":
            shown.insert(0, {"name": MASTER, "value": str(self._host["masterKey"]["value"])})
        return shown

    def put(self, scope: str, function: str, name: str, value: str | None) -> tuple[dict[str, str], bool] | None:
        """Sets a key, to a new value when None is given; the key, and whether it is new. None for no such function."""
        value = value or new_value()
        keys = self._list(scope, function)
        if keys is None:
            return None
        if name.lower() == MASTER and not function:
            self._host["masterKey"] = {**self._host["masterKey"], "value": value, "encrypted": False}
            is_new = False
        else:
            known = next((key for key in keys if _is_named(key, name)), None)
            is_new = known is None
            if known is None:
                keys.append(_key(name, value))
            else:
                known.update(value=value, encrypted=False)
        self._keep(function)
        return {"name": name, "value": value}, is_new

    def delete(self, scope: str, function: str, name: str) -> bool:
        """Takes a key away; the master key stays."""
        keys = self._list(scope, function)
        known = next((key for key in keys or () if _is_named(key, name)), None)
        if keys is None or known is None:
            return False
        keys.remove(known)
        self._keep(function)
        return True

    def _list(self, scope: str, function: str) -> list[dict[str, Any]] | None:
        if not function:
            keys: list[dict[str, Any]] = self._host.setdefault(SCOPES[scope], [])
            return keys
        document = self._functions.get(function.lower())
        return None if document is None else document["keys"]

    def _keep(self, function: str) -> None:
        name = function.lower() or HOST
        self._written(name, self._functions[name] if function else self._host)
        self._count_in()

    def _count_in(self) -> None:
        """What opens what: the master key everything, a key of the host every function, a function's key that one."""
        master = [_value(self._host["masterKey"])]
        self._shared = master + [_value(key) for key in self._host.get("functionKeys", ())]
        self._accepted = {
            name: self._shared + [_value(key) for key in document["keys"]] for name, document in self._functions.items()
        }
        self._accepted[HOST] = master
        system = [_value(key) for key in self._host.get("systemKeys", ())]
        every = {key for keys in (*self._accepted.values(), self._shared, system) for key in keys}
        hold(f"keys in {self._folder}", (key.decode("utf-8", "replace") for key in every))

    # --- files ---------------------------------------------------------------------------------------------------

    def _opened(self, name: str, needed: str) -> dict[str, Any] | None:
        """The document of a file that is there and can be used; one that can not is set aside."""
        path = self._folder / f"{name}.json"
        try:
            document = orjson.loads(path.read_bytes())
            _check(document, needed)
        except FileNotFoundError:
            return None
        except ValueError as error:
            aside = path.with_name(f"{path.name}.unusable-{datetime.now(UTC):%Y%m%dT%H%M%S}")
            path.replace(aside)
            log.error(
                "%s: can not be used: %s; it is kept as %s, and new keys are made", path, _fault(error), aside.name
            )
            return None
        if path.stat().st_mode & 0o077 and os.name == "posix":
            log.warning("%s: others may read the keys in it; now only its owner can", path)
            path.chmod(0o600)
        return dict(document)

    def _written(self, name: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Keeps a document whole or not at all, readable for its owner only."""
        path = self._folder / f"{name}.json"
        temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(orjson.dumps(document, option=orjson.OPT_INDENT_2))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return dict(document)


def new_value() -> str:
    """A key that nobody can guess."""
    return secrets.token_urlsafe(42)


def _key(name: str, value: str | None = None) -> dict[str, Any]:
    return {"name": name, "value": value or new_value(), "encrypted": False}


def _new_host() -> dict[str, Any]:
    return {"masterKey": _key("master"), "functionKeys": [_key("default")], "systemKeys": []}


def _is_named(key: Mapping[str, Any], name: str) -> bool:
    return str(key["name"]).lower() == name.lower()


def _value(key: Mapping[str, Any]) -> bytes:
    return str(key["value"]).encode("utf-8", "replace")


class _UnusableError(ValueError):
    """What is wrong with a file, in words that hold nothing of it."""


def _fault(error: ValueError) -> str:
    return str(error) if isinstance(error, _UnusableError) else "it holds no JSON"


def _check(document: Any, needed: str) -> None:
    if not isinstance(document, dict) or needed not in document:
        raise _UnusableError(f"it holds no object with {needed}")
    lists = [document[name] for name in ("keys", "functionKeys", "systemKeys") if name in document]
    if not all(isinstance(keys, list) for keys in lists):
        raise _UnusableError("its keys are no lists")
    keys = [key for several in lists for key in several]
    for key in [*keys, *([document["masterKey"]] if "masterKey" in document else [])]:
        if not isinstance(key, dict) or not isinstance(key.get("value"), str) or not key["value"] or "name" not in key:
            raise _UnusableError("a key in it has no name or value")
        if key.get("encrypted"):
            raise _UnusableError("a key in it is encrypted, and only Azure can decrypt it; put it in as plain text")
