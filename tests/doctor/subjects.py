"""What the doctor looks at, and what it says of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from edgefn.doctor import Line, State, Subject
from edgefn.spool.schema import open_file

WATCH = """
import edgefn
app = edgefn.FunctionApp()
@app.video_frame_trigger("frame", "%SOURCE%")
@app.inference_session("model", "%MODEL%", device="%DEVICE%", fallback="%FALLBACK%")
def watch(frame, model):
    pass
"""
SETTINGS = {"SOURCE": "synthetic:", "MODEL": "m.xml", "DEVICE": "CPU", "FALLBACK": "none"}
KEY = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"

Subjects = Callable[..., Subject]


def of(lines: Iterator[Line], state: State) -> list[Line]:
    return [line for line in lines if line.state is state]


def the_wrong(lines: Iterator[Line]) -> Line:
    """The only line that is wrong; it says what to do."""
    (line,) = of(lines, State.WRONG)
    assert line.remedy
    return line


def spool_in(folder: Path, *rows: tuple[str, int]) -> None:
    """A spool with messages of these sizes, by box."""
    connection, _ = open_file(folder, power=False)
    with closing(connection):
        for box, size in rows:
            extra = {"outbox": ("output, expires", "'o', 9e9"), "inbox": ("function, input", "'f', 'i'")}
            names, values = extra.get(
                box, ("box, function, name, died, attempts, reason, traceback", "'outbox', '', 'o', 0, 1, 'r', ''")
            )
            connection.execute(
                f"INSERT INTO {box} (size, stored, head, body, {names}) VALUES (?, ?, '', '', {values})",
                (size, time.time()),
            )
