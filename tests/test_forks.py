"""A command that is forked can not be told from one that is started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests import forks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to another process")

PROBE = """
    import json, os, resource, signal, sys
    streams = [(each.name, each.encoding, each.errors, each.newlines, each.line_buffering, each.write_through,
                each.isatty(), type(each.buffer).__name__) for each in (sys.stdin, sys.stdout, sys.stderr)]
    print(json.dumps({
        "name": __name__, "argv": sys.argv, "orig_argv": sys.orig_argv, "path": sys.path, "cwd": os.getcwd(),
        "environment": {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"},
        "parent": os.getppid(), "group": os.getpgid(0), "session": os.getsid(0), "mask": os.umask(0),
        "nice": os.nice(0), "limits": [resource.getrlimit(kind) for kind in range(10)],
        "signals": {name: str(signal.getsignal(number)).partition(" at ")[0] for name, number in
                    vars(signal).items() if name.startswith("SIG") and name.isupper() and "_" not in name},
        "blocked": [*signal.pthread_sigmask(signal.SIG_BLOCK, ())], "streams": streams,
        "files": sorted(os.listdir("/proc/self/fd"))[:3], "open": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")), "bytecode": sys.dont_write_bytecode, "stdin": sys.stdin.read(),
    }))
    print("to the other", file=sys.stderr)
"""


def module(folder: Path, code: str) -> list[str]:
    """The command that runs this code as a module of the folder."""
    (folder / "probe.py").write_text(dedent(code))
    return [sys.executable, "-m", "probe"]


def both(folder: Path, code: str, *arguments: str, **how: Any) -> list[subprocess.CompletedProcess[str]]:
    """What came of it, forked and started."""
    command = [*module(folder, code), *arguments]
    return [
        forks.run(command, cwd=folder, **how),
        subprocess.run(command, cwd=folder, capture_output=True, text=True, **how),
    ]


def test_a_process_finds_all_as_if_it_had_been_started(tmp_path: Path) -> None:
    variables = {**os.environ, "PYTHONPATH": f"{tmp_path}/a{os.pathsep}{tmp_path}/b", "ÜMLAUT": "ß"}
    forked, started = both(tmp_path, PROBE, "one", "--two=3", env=variables, input="typed\n")
    assert json.loads(forked.stdout) == json.loads(started.stdout)
    assert (forked.stderr, forked.returncode) == (started.stderr, started.returncode) == ("to the other\n", 0)


@pytest.mark.parametrize(
    "code",
    [
        "print('end')",
        "import sys; print('end'); sys.exit(3)",
        "import sys; sys.exit('what was wrong')",
        "import sys; sys.exit(256 + 7)",
        "import atexit; atexit.register(print, 'at the end')",
        "from concurrent.futures import ThreadPoolExecutor\nThreadPoolExecutor().submit(print, 'in a thread')",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
        "import os; os._exit(9)",
        "import sys; sys.stdout.close()",
        "import edgefn.cli; edgefn.cli.main(['nonsense'])",
        "import edgefn.cli; edgefn.cli.main(['--version'])",
    ],
)
def test_a_process_ends_as_if_it_had_been_started(tmp_path: Path, code: str) -> None:
    forked, started = both(tmp_path, code)
    assert (forked.returncode, forked.stdout, forked.stderr) == (started.returncode, started.stdout, started.stderr)


@pytest.mark.parametrize("code", ["1 / 0", "import os, signal; os.kill(os.getpid(), signal.SIGINT); input()"])
def test_an_error_is_the_same_but_for_the_lines_of_the_server(tmp_path: Path, code: str) -> None:
    forked, started = both(tmp_path, code)
    assert forked.returncode == started.returncode
    assert forked.stderr.splitlines()[-1] == started.stderr.splitlines()[-1]


def test_a_process_is_a_child_that_is_waited_for_and_told_by_its_number(tmp_path: Path) -> None:
    command = module(tmp_path, "import os; print(os.getpid(), flush=True); input()")
    pipe = subprocess.PIPE
    with forks.Process(command, cwd=tmp_path, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == process.pid
        assert process.poll() is None
        assert os.getsid(process.pid) == os.getsid(0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_a_process_has_a_session_of_its_own_if_asked(tmp_path: Path) -> None:
    command = module(tmp_path, "import os; print(os.getsid(0) == os.getpgid(0) == os.getpid())")
    with forks.Process(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.communicate() == ("True\n", None)


def test_processes_that_run_together_draw_other_numbers(tmp_path: Path) -> None:
    command = module(tmp_path, "import random, edgefn.ids; print(random.getrandbits(128), edgefn.ids.new_id())")
    assert len({forks.run(command, cwd=tmp_path).stdout for _ in range(3)}) == 3


def test_what_is_read_before_python_begins_is_left_to_a_start(tmp_path: Path) -> None:
    code = "import sys; print('edgefn.cli' in sys.modules, sys.flags.dev_mode)"
    command = module(tmp_path, code)
    assert forks.run(command, cwd=tmp_path).stdout == "True False\n"
    assert forks.run(command, cwd=tmp_path, env={**os.environ, "PYTHONDEVMODE": "1"}).stdout == "False True\n"
