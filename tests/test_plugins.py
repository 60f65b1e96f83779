"""Plugins from elsewhere: an installed package, and a module of the app."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgefn.host import Host
from edgefn.loader import load_app
from edgefn.plugins import PluginManager, plugin_manager
from tests.conftest import AppIn
from tests.ticks import HEAD, PLUGIN

SESSION_PLUGIN = """
import hashlib
import edgefn
from edgefn.function import Options

class Hashes(Options):
    model: str
    kind: str = "hash"
    length: int = 4

class HashSession:
    def __init__(self, length): self.length = length
    def infer(self, data): return hashlib.sha256(str(data).encode()).hexdigest()[: self.length]
    async def infer_async(self, data): return self.infer(data)
    def status(self): return {"length": self.length}
    def close(self): ...

class HashKind:
    name, options = "hash", Hashes
    def open(self, binding, task): return HashSession(binding.options.length)
    def close(self): ...

@edgefn.hookimpl
def edgefn_session_kinds(root, state):
    return [HashKind()]
"""

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "edgefn-ticks"
version = "1.0"
[project.entry-points.edgefn]
ticks = "edgefn_ticks.ticks"
hashes = "edgefn_ticks.hashes"
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of its own, really installed by pip into a folder of the test."""
    source, target = tmp_path / "package", tmp_path / "installed"
    (source / "edgefn_ticks").mkdir(parents=True)
    (source / "pyproject.toml").write_text(PYPROJECT)
    (source / "edgefn_ticks" / "__init__.py").touch()
    (source / "edgefn_ticks" / "ticks.py").write_text(PLUGIN)
    (source / "edgefn_ticks" / "hashes.py").write_text(SESSION_PLUGIN)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*pip, str(source)], check=True, capture_output=True)
    monkeypatch.syspath_prepend(str(target))
    for name in [name for name in sys.modules if name.startswith("edgefn_ticks")]:
        monkeypatch.delitem(sys.modules, name)
    return target


async def test_an_installed_package_adds_a_trigger_an_output_and_a_session_kind(installed: Path, app_of: AppIn) -> None:
    code = f"""{HEAD}
@app.generic_trigger(arg_name="tick", type="ticksTrigger", count=2)
@app.inference_session(arg_name="session", model="none needed", kind="hash", length=6)
@app.generic_output_binding(arg_name="out", type="keep")
async def f(tick, session, out):
    out.set(await session.infer_async(tick))
"""
    host = Host(app_of({"functions/f.py": code}))
    await host.start()
    await host.wait_for_end()
    function = host.status()["functions"]["f"]
    await host.stop()
    assert function["outputs"]["out"]["kept"] == ["5feceb", "6b86b2"]
    assert function["inputs"]["session"]["length"] == 6


INPUT_PLUGIN = """
import edgefn
from edgefn.function import Options

class Stamp(Options):
    prefix: str = ""

class StampInput:
    def __init__(self, prefix): self.prefix = prefix
    def value(self, event): return f"{self.prefix}{event.value}"
    def status(self): return {"prefix": self.prefix}
    async def close(self): CLOSED.append(self.prefix)

class StampKind:
    type, options = "stamp", Stamp
    def check(self, binding): ...
    async def open(self, binding): return StampInput(binding.options.prefix)
    async def close(self): CLOSED.append("kind")

CLOSED = []

@edgefn.hookimpl
def edgefn_inputs(services):
    return [StampKind()]
"""


async def test_a_module_of_the_app_adds_an_input_and_it_is_closed_with_the_host(app_of: AppIn) -> None:
    code = f"""{HEAD}
@app.generic_trigger(arg_name="tick", type="ticksTrigger", count=2)
@app.generic_input_binding(arg_name="stamp", type="stamp", prefix="no. ")
@app.generic_output_binding(arg_name="$return", type="keep")
async def f(tick, stamp):
    return stamp
"""
    host = Host(app_of({"functions/f.py": code, "functions/ticks.py": PLUGIN, "functions/stamps.py": INPUT_PLUGIN}))
    await host.start()
    await host.wait_for_end()
    function = host.status()["functions"]["f"]
    await host.stop()
    assert function["outputs"]["$return"]["kept"] == ["no. 0", "no. 1"]
    assert function["inputs"]["stamp"] == {"prefix": "no. "}
    assert sys.modules["functions.stamps"].CLOSED == ["no. ", "kind"]


def test_a_package_that_can_not_be_loaded_is_an_error_of_its_own(installed: Path, app_of: AppIn) -> None:
    (installed / "edgefn_ticks" / "hashes.py").write_text("import no_such_module")
    app = app_of({"functions/f.py": HEAD})
    assert [error.split(":")[0] for error in app.errors] == ["edgefn-ticks"]
    assert "No module named 'no_such_module'" in app.errors[0]
    assert "tickstrigger" in app.kinds.triggers


def test_a_hook_that_is_only_imported_does_not_count_twice(app_of: AppIn) -> None:
    files = {"functions/ticks.py": PLUGIN, "functions/other.py": "from functions.ticks import edgefn_triggers"}
    manager = app_of(files).manager
    owners = [impl.plugin_name for impl in manager.hook.edgefn_triggers.get_hookimpls()]
    assert owners.count("functions.ticks") == 1
    assert "functions.other" not in owners


def test_of_two_plugins_that_claim_a_type_the_later_one_has_it(app_of: AppIn) -> None:
    own = PLUGIN.replace('"ticksTrigger"', '"edgeHubTrigger"')
    assert type(app_of({"functions/own.py": own}).kinds.triggers["edgehubtrigger"]).__name__ == "TicksKind"


def test_a_plugin_hears_of_the_host_and_of_each_invocation(tmp_path: Path) -> None:
    import asyncio

    heard = """
import edgefn
HEARD = []
@edgefn.hookimpl
def edgefn_host_started(services): HEARD.append("started")
@edgefn.hookimpl
def edgefn_host_stopped(services): HEARD.append("stopped")
@edgefn.hookimpl
def edgefn_invocation_ended(function, event, outcome): HEARD.append((function.name, event.value, outcome.status.value))
"""
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "heard.py").write_text(heard)
    (tmp_path / "functions" / "ticks.py").write_text(PLUGIN)
    (tmp_path / "functions" / "f.py").write_text(
        f"{HEAD}@app.generic_trigger(arg_name='tick', type='ticksTrigger', count=1)\nasync def f(tick): ..."
    )
    app = load_app(tmp_path, environment={})

    async def run() -> None:
        host = Host(app)
        await host.start()
        await host.wait_for_end()
        await host.stop()

    asyncio.run(run())
    assert sys.modules["functions.heard"].HEARD == ["started", ("f", 0, "ok"), "stopped"]


def test_the_manager_checks_hooks_against_their_specification() -> None:
    manager, errors = plugin_manager()
    assert errors == []
    assert isinstance(manager, PluginManager)
    manager.check_pending()
