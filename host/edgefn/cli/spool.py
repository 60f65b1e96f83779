"""``edgefn spool`` and ``edgefn dead-letter``: what waits in a state folder, and what failed for good.

They work on the file itself, beside a running host or without one; a running host notices within a second.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import typer

from edgefn.cli.display import counted
from edgefn.cli.opening import app_root, state_asked
from edgefn.contracts import EdgeMessage
from edgefn.errors import EdgefnError, listing
from edgefn.settings import load_host_config
from edgefn.spool import FILE, connect
from edgefn.spool.dead_letters import DeadLetter, discard, letter, letters, replay
from edgefn.spool.options import SpoolOptions, spool_options
from edgefn.spool.schema import VERSION
from edgefn.spool.steady import time_in

SHOWN = 60
"""Characters of a reason in the list."""


def show_spool(root: Path | None, state: Path | None, *, as_json: bool) -> int:
    """Prints how much waits, and since when."""
    return _told(lambda: _show_spool(root, state, as_json=as_json))


def _show_spool(root: Path | None, state: Path | None, *, as_json: bool) -> None:
    with _opened(root, state) as connection:
        boxes = {box: _depth(connection, box) for box in ("inbox", "outbox", "dead")}
    if as_json:
        typer.echo(orjson.dumps(boxes, option=orjson.OPT_INDENT_2).decode())
        return
    names = {"inbox": "inbox (for functions)", "outbox": "outbox (for the hub, and brokers)", "dead": "dead letters"}
    for box, depth in boxes.items():
        oldest = f", the oldest {depth['oldest_seconds']:.0f} s old" if depth["messages"] else ""
        typer.echo(f"{names[box]}: {counted(depth['messages'], 'message')}, {depth['bytes']} bytes{oldest}")
        for name, count in depth["by_name"].items():
            typer.echo(f"    {name or 'messages'}: {count}")


def _depth(connection: sqlite3.Connection, box: str) -> dict[str, Any]:
    name = {"inbox": "function", "outbox": "output", "dead": "name"}[box]
    count, size, oldest = connection.execute(
        f"SELECT count(*), coalesce(sum(size), 0), min(stored) FROM {box}"
    ).fetchone()
    by_name = dict(connection.execute(f"SELECT {name}, count(*) FROM {box} GROUP BY {name}").fetchall())
    age = max(0.0, time_in(connection) - oldest) if oldest is not None else 0.0
    return {"messages": count, "bytes": size, "oldest_seconds": round(age, 1), "by_name": by_name}


def list_letters(root: Path | None, state: Path | None, limit: int, *, as_json: bool) -> int:
    """Prints the newest dead letters, a line each."""

    def run() -> None:
        with _opened(root, state) as connection:
            found = letters(connection, limit)
            total = connection.execute("SELECT count(*) FROM dead").fetchone()[0]
        if as_json:
            typer.echo(orjson.dumps([_described(each) for each in found], option=orjson.OPT_INDENT_2).decode())
            return
        for each in found:
            reason = each.reason if len(each.reason) <= SHOWN else each.reason[: SHOWN - 1] + "…"
            typer.echo(f"{each.id:>6}  {_time(each.died)}  {_where(each)}  attempts {each.attempts}  {reason}")
        if not found:
            typer.echo("no dead letters")
        elif total > len(found):
            typer.echo(f"... and {total - len(found)} older ones; --limit shows more")

    return _told(run)


def show_letter(root: Path | None, state: Path | None, number: int) -> int:
    """Prints all that is known of one dead letter, as JSON."""

    def run() -> None:
        with _opened(root, state) as connection:
            found = letter(connection, number)
            if found is None:
                raise _none(connection, number)
        described = {**_described(found), "traceback": found.traceback, **_body(found.message)}
        typer.echo(orjson.dumps(described, option=orjson.OPT_INDENT_2).decode())

    return _told(run)


def replay_letters(root: Path | None, state: Path | None, numbers: list[int], *, everything: bool) -> int:
    """Puts dead letters back where they were; a function or the hub gets them again."""
    age = _age(root)
    return _for_each(root, state, numbers, everything, "replayed", lambda c, n: replay(c, n, time_in(c), age))


def discard_letters(root: Path | None, state: Path | None, numbers: list[int], *, everything: bool) -> int:
    """Removes dead letters for good."""
    return _for_each(root, state, numbers, everything, "discarded", discard)


def _age(root: Path | None) -> float:
    with contextlib.suppress(EdgefnError):
        found = app_root(root)
        return spool_options(load_host_config(found), found).outbox.max_age
    return SpoolOptions().outbox.max_age


def _for_each(
    root: Path | None,
    state: Path | None,
    numbers: list[int],
    everything: bool,
    done: str,
    act: Callable[[sqlite3.Connection, int], bool],
) -> int:
    def run() -> None:
        if bool(numbers) == everything:
            raise EdgefnError("name dead letters by their numbers, or give --all; edgefn dead-letter list shows them")
        with _opened(root, state) as connection:
            connection.execute("BEGIN IMMEDIATE")
            chosen = (
                [row[0] for row in connection.execute("SELECT id FROM dead ORDER BY id")] if everything else numbers
            )
            for number in chosen:
                if not act(connection, number):
                    raise _not_done(connection, number)
            connection.execute("COMMIT")
        typer.echo(f"{len(chosen)} {done}")

    return _told(run)


def _not_done(connection: sqlite3.Connection, number: int) -> EdgefnError:
    found = letter(connection, number)
    if found is not None and not found.is_whole:
        return EdgefnError(f"dead letter {number}: not all of it was kept; it can be discarded only")
    return _none(connection, number)


def _none(connection: sqlite3.Connection, number: int) -> EdgefnError:
    known = [str(row[0]) for row in connection.execute("SELECT id FROM dead ORDER BY id DESC LIMIT 10")]
    return EdgefnError(f"no dead letter {number}; there are: {listing(known)}")


def _told(run: Callable[[], None]) -> int:
    """0, or 1 with the error as one line."""
    try:
        run()
    except EdgefnError as error:
        typer.echo(str(error), err=True)
        return 1
    except sqlite3.Error as error:
        typer.echo(f"{FILE}: {error}; is it the spool of a host of this version?", err=True)
        return 1
    return 0


@contextlib.contextmanager
def _opened(root: Path | None, state: Path | None) -> Iterator[sqlite3.Connection]:
    path = state_asked(root, state) / FILE
    if not path.is_file():
        raise EdgefnError(
            f"{path}: there is no spool; name the folder of the host with --state, or the app with --script-root"
        )
    with contextlib.closing(connect(path)) as connection:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found != VERSION:
            raise EdgefnError(f"{path}: a file of version {found}, this edgefn knows {VERSION}; start its host once")
        yield connection


def _described(each: DeadLetter) -> dict[str, Any]:
    known = {"id": each.id, "box": each.box, "function": each.function, "name": each.name, "attempts": each.attempts}
    if each.destination:
        known["broker"] = each.destination
    times = {"received": _time(each.stored), "failed": _time(each.died)}
    message = each.message
    properties = {"messageId": message.message_id, "properties": dict(message.properties)}
    return {**known, **times, "reason": each.reason, "bytes": len(message.body), **properties}


def _body(message: EdgeMessage) -> dict[str, Any]:
    try:
        return {"body": orjson.loads(message.body)}
    except orjson.JSONDecodeError:
        return {"body": message.body.decode(errors="backslashreplace")}


def _where(each: DeadLetter) -> str:
    if each.box == "inbox":
        return f"{each.name} -> {each.function}"
    output = each.name.removeprefix(f"{each.destination}/") if each.destination else each.name
    return f"{output or 'messages'} -> {each.destination or 'hub'}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
