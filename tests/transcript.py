"""Writes docs/transcript.md: what a terminal shows to somebody who begins with an empty folder.

python -m tests.transcript
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.cli.test_new import NAMES, typed
from tests.test_docs import ROOT, Reader, reader_in

HEAD = """# A transcript

From an empty folder to a changed and tested function, with nothing but what the terminal says. Written by
`python -m tests.transcript`, which runs the commands and notes what they print; long lines are cut. The tests of edgefn
run the same commands again.
"""
LONGEST = 118
CHANGE = r"""sed -i 's/return {"frame_id"/return {"count": len(found), "frame_id"/' functions/detect.py"""
TYPED = "shown: it is typed into a terminal, as in tests/cli/test_new.py"
START = "edgefn start --port 0 > start.log 2>&1 & echo $! > start.pid"
BREAK = """sed -i 's/"count": len(found)/"count": len(found/' functions/detect.py"""
MEND = """sed -i 's/"count": len(found/"seen": len(found)/' functions/detect.py"""
STOP = "kill $(cat start.pid); rm start.pid"
TEST = """cat >> tests/test_detect.py <<'END'


def test_objects_are_counted() -> None:
    assert asyncio.run(detect(frame(9), Recorded(CAR, CAR)))["count"] == 2
END"""


def parts(reader: Reader) -> Iterator[str]:
    """The transcript, a paragraph or block at a time."""
    yield "## An app\n"
    yield block(reader, "edgefn init street", "cd street", "edgefn start --max-seconds 3 --upstream")
    yield "(Without `--max-seconds` it runs until Ctrl+C.)\n"
    yield "## A second function\n\nWithout arguments, `edgefn new` asks:\n"
    answers = [str(NAMES.index("edge-hub-filter") + 1), "", ""]
    yield f"```console {TYPED}\n$ edgefn new\n{cut(typed(reader.folder, 'new', answers))}```\n"
    yield "With arguments it does not; a template's name may be shortened, and a mistake is said:\n"
    yield block(reader, "edgefn new --template video --name watch", mark="fails")
    yield block(reader, "edgefn new --template video-g --name watch", "edgefn check", "python -m pytest -q")
    yield "## A change\n\nFirst the test of what is wanted, which fails:\n"
    yield block(reader, TEST)
    yield block(reader, "python -m pytest -q tests/test_detect.py", mark="fails")
    yield "Then the change of the function, and the test passes:\n"
    yield block(reader, CHANGE, "python -m pytest -q tests/test_detect.py", "edgefn start --max-seconds 3 --upstream")
    yield "## Saved is running\n\nHere the host runs in the background, and its lines go to a file:\n"
    yield block(reader, START, said("started and initialized"), "edgefn status")
    yield "A save that is broken changes nothing, and is said; what is saved next is what the next frame runs:\n"
    yield block(reader, BREAK, said("Not reloaded"), "edgefn status", MEND, said("Reloaded"), "edgefn tail -n 1", STOP)
    yield "A slip is found before anything runs:\n"
    yield block(reader, "sed -i 's/max_fps/max_fsp/' functions/detect.py")
    yield block(reader, "edgefn check", mark="fails")
    yield block(reader, "sed -i 's/max_fsp/max_fps/' functions/detect.py", "edgefn check")


def said(text: str) -> str:
    """The command that waits until the host in the background has said something, and shows it."""
    return f'tail -n +1 -f start.log | grep -m 1 "{text}"'


def block(reader: Reader, *commands: str, mark: str = "replay") -> str:
    shown = [f"$ {command}\n{cut(reader.run(command, fails=mark == 'fails'))}" for command in commands]
    return f"```console {mark}\n{''.join(shown)}```\n"


def cut(text: str) -> str:
    """The text without what is of this machine or too long to be read."""
    lines = (line if len(line) <= LONGEST else f"{line[:LONGEST]}…" for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ.pop("VIRTUAL_ENV", None)
        work = Path(folder) / "ada"
        reader = reader_in(Path(folder), work)
        text = "\n".join([HEAD, *parts(reader)])
    (ROOT / "docs" / "transcript.md").write_text(text.replace(os.path.realpath(folder), "/home"))
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
