"""The spool: whether its file is sound, and how full it is."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edgefn.doctor.brokers import sent_to
from edgefn.doctor.lines import Line, State, note, ok, wrong
from edgefn.doctor.sizes import size
from edgefn.doctor.subject import Subject
from edgefn.errors import SettingError, listing
from edgefn.spool import FILE, SpoolOptions, spool_options
from edgefn.spool.options import DeadLetterOptions, InboxOptions, OutboxOptions
from edgefn.spool.schema import BUSY, VERSION, is_broken, remedy
from edgefn.spool.steady import time_in

MUCH, FULL = 0.8, 0.95
"""Shares of a bound. At the outbox's own the oldest goes for the newest, so it never stays quite full."""


Bounds = InboxOptions | OutboxOptions | DeadLetterOptions


class Box(NamedTuple):
    """A part of the spool."""

    name: str
    messages: int
    bytes: int
    oldest: float
    """Seconds."""
    share: float
    """Of its bounds, the nearer one."""
    broker: str = ""
    """For which these messages are, where they are not for the hub."""


def check_spool(subject: Subject) -> Iterator[Line]:
    path = subject.state.absolute() / FILE
    yield from _set_aside(path)
    if not path.is_file():
        yield ok("spool", f"none yet: {path} is made at the first start")
        return
    try:
        with contextlib.closing(opened(path)) as connection:
            yield from _read(connection, path, subject)
    except sqlite3.Error as error:
        right = (
            "nothing: the next start sets it aside, and saves what can be read" if is_broken(error) else remedy(error)
        )
        yield wrong("spool", f"{path}: {error}", right)


def opened(path: Path) -> sqlite3.Connection:
    """A connection that writes nothing, beside a host that runs or without one.

    Where no journal lies beside the file nobody has it open. It is then taken as it is: else SQLite would leave
    journals there, of the doctor's user, that the host's might not write.
    """
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=BUSY)


def _read(connection: sqlite3.Connection, path: Path, subject: Subject) -> Iterator[Line]:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        found = f"{path}: written by a later edgefn (version {version}, this one knows {VERSION})"
        yield wrong("spool", found, "install that edgefn again, or name another folder with --state")
        return
    if version < VERSION:
        yield note(
            "spool", f"{path}: of version {version}, this is {VERSION}", "start the host once, which brings it on"
        )
        return
    sound = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if sound != "ok":
        yield wrong("spool", f"{path}: damaged: {sound}", "restart the host: it sets it aside, and saves what it can")
        return
    options, served = _options(subject), sent_to(subject)
    for box in _boxes(connection, options):
        yield _fill(box) if not box.broker or box.broker in served or subject.errors else _unserved(box)


def _boxes(connection: sqlite3.Connection, options: SpoolOptions) -> Iterator[Box]:
    """Inbox, outbox and dead letters; the outbox for the hub, and for each broker that something waits for."""
    brokers = "SELECT DISTINCT destination FROM outbox WHERE destination <> '' ORDER BY destination"
    yield _box(connection, "inbox", options.inbox)
    for (broker,) in [("",), *connection.execute(brokers)]:
        yield _box(connection, "outbox", options.outbox, broker)
    yield _box(connection, "dead", options.dead_letters)


def _box(connection: sqlite3.Connection, name: str, bound: Bounds, broker: str = "") -> Box:
    where, given = ("WHERE destination = ?", (broker,)) if name == "outbox" else ("", ())
    query = f"SELECT count(*), coalesce(sum(size), 0), min(stored) FROM {name} {where}"
    messages, used, oldest = connection.execute(query, given).fetchone()
    age = max(0.0, time_in(connection) - oldest) if oldest is not None else 0.0
    return Box(name, messages, used, age, max(messages / bound.max_messages, used / bound.max_bytes), broker)


def _unserved(box: Box) -> Line:
    found = f"outbox: {box.messages} messages wait for {box.broker}, to which no function that runs sends"
    return note("spool", found, "name that broker in an mqtt output again; else they are dropped when they are too old")


def _fill(box: Box) -> Line:
    about = f"{box.messages} messages, {size(box.bytes)}, {box.share:.0%} full"
    about += f", the oldest {box.oldest:.0f} s old" if box.messages else ""
    if box.name == "dead":
        if not box.messages:
            return ok("spool", "dead letters: none")
        return note("spool", f"dead letters: {about}", "edgefn dead-letter list, show, then replay or discard")
    where = box.broker or "the hub"
    right = "let functions keep up" if box.name == "inbox" else f"let {where} be reached: what waits is sent then"
    state = State.WRONG if box.share >= FULL else State.NOTE if box.share >= MUCH else State.OK
    bounds = f"{right}; or raise extensions.spool.{box.name} in host.json" if state is not State.OK else ""
    name = f"{box.name} for {box.broker}" if box.broker else box.name
    return Line(state, "spool", f"{name}: {about}", bounds)


def _set_aside(path: Path) -> Iterator[Line]:
    damaged = sorted(each.name for each in path.parent.glob(f"{path.stem}.damaged-*.db"))
    if damaged:
        yield note("spool", f"damaged files were set aside: {listing(damaged)}", "look at the disk; delete them then")


def _options(subject: Subject) -> SpoolOptions:
    """Wrong ones are an error of the app already."""
    try:
        return spool_options(subject.config, subject.root)
    except SettingError:
        return SpoolOptions()
