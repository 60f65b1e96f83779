"""The books that tests keep: how imports go, where heavy libraries load, whether hooks and guides are in order."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgefn import hookspecs, plugins
from tests import commands
from tests.test_docs import ANY, MARK, PAGES, ROOT

PACKAGE = Path(__file__).parents[1] / "host" / "edgefn"
DOCS = Path(__file__).parents[1] / "docs"

LAYERS = [
    {"errors", "redaction", "ids", "routes", "scene", "ncrontab", "timely"},
    {"logs", "log_levels", "contracts", "metrics", "function"},
    {
        "settings",
        "extensions",
        "event_hubs",
        "spool",
        "hookspecs",
        "values",
        "places",
        "workers",
        "supervision",
        "threads",
        "context",
        "app",
        "app_sources",
        "retries",
        "deadlines",
        "methods",
        "desired",
        "twin_limits",
        "kept",
        "outward",
        "log_ring",
        "sight",
        "traces",
        "spans",
        "span_export",
        "scoring_script",
        "azure_ml",
        "protocols",
    },
    {
        "gates",
        "pacing",
        "captures",
        "source_addresses",
        "key_frames",
        "subscription",
        "video",
        "images",
        "picture_heads",
        "fetching",
        "custom_vision",
        "mqtt",
    },
    {"triggers", "bindings", "sessions", "hubs"},
    {
        "plugins",
        "imports",
        "import_reasons",
        "loader",
        "invocation",
        "invocation_lines",
        "turnstile",
        "telling",
        "heartbeat",
        "host",
        "running",
        "reload",
        "swap",
        "overlay",
        "twin",
        "reported",
        "sink",
        "by_hand",
        "steering",
        "operation",
    },
    {"web", "deploy", "doctor", "cli", "standin", "testing", "__main__"},
]
ROOMS = {"triggers", "bindings", "sessions", "hubs"}
HEAVY = {
    "watchdog": {"reload/watcher.py", "triggers/folder_watch.py"},
    "cv2": {
        "captures.py",
        "images.py",
        "web/page/encoding.py",
        "scene/__init__.py",
        "scene/drawing.py",
        "sessions/pictures.py",
        "gates/motion.py",
        "testing/pictures.py",
    },
    "openvino": {"sessions/openvino.py", "sessions/rewrites.py"},
    "nncf": {"sessions/int8.py"},
    "av": {"key_frames.py"},
    "azure.iot": {"hubs/iot_edge/sdk.py", "hubs/iot_edge/credentials.py"},
    "paho": {
        "hubs/iot_edge/sdk.py",
        "hubs/iot_edge/connection.py",
        "hubs/iot_edge/keeper.py",
        "mqtt/connection.py",
        "mqtt/dialling.py",
    },
    "uvicorn": {"web/server.py", "standin/server.py"},
    "starlette": {
        "web/server.py",
        "web/admin.py",
        "web/around.py",
        "web/pages.py",
        "web/page/__init__.py",
        "web/page/streams.py",
        "web/page/acts.py",
        "standin/server.py",
        "standin/workload.py",
        "standin/control_api.py",
    },
    "grpc": {"web/serving/grpc.py"},
    "google.protobuf": {"protocols/messages.py"},
    "cryptography": {"standin/certificates.py"},
    "opentelemetry": {"spans.py", "span_export.py"},
}
ONLY_POSIX = {"fcntl", "grp", "pwd", "resource", "termios"}
WIDE = {
    "code of users and plugins runs there": {
        "invocation.py",
        "invocation_lines.py",
        "loader/__init__.py",
        "loader/converters.py",
        "loader/signature.py",
        "plugins.py",
        "host.py",
        "running.py",
        "swap.py",
        "telling.py",
        "methods.py",
        "spans.py",
        "threads.py",
        "log_ring.py",
        "web/lifespans.py",
        "web/page/bulletin.py",
    },
    "a fault of ours would end a task that others wait for": {
        "hubs/inputs.py",
        "hubs/iot_edge/methods.py",
        "hubs/iot_edge/patches.py",
        "mqtt/driving.py",
        "mqtt/standing.py",
        "reload/watcher.py",
        "sessions/requests.py",
        "spool/sender.py",
        "spool/store.py",
        "testing/recorder.py",
        "twin.py",
        "video.py",
    },
    "whatever the far side sends is read there": {"hubs/iot_edge/hub.py", "mqtt/link.py"},
}
"""Where any exception is caught and does not go on, and why: docs/architecture.md."""


@dataclass(frozen=True, slots=True)
class Module:
    """A module of edgefn, and what it imports: when it runs, and for type checkers only."""

    path: Path
    tree: ast.Module
    imports: list[ast.Import | ast.ImportFrom]
    typing: list[ast.Import | ast.ImportFrom]

    @property
    def named(self) -> Iterator[str]:
        """All modules that its statements name."""
        for node in (*self.imports, *self.typing):
            yield from [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]

    @property
    def ours(self) -> Iterator[str]:
        """The modules of edgefn that it imports when it runs."""
        for node in self.imports:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("edgefn"):
                yield from [f"edgefn.{a.name}" for a in node.names] if node.module == "edgefn" else [node.module or ""]


@functools.cache
def modules() -> list[Module]:
    return [_module(path) for path in sorted(PACKAGE.rglob("*.py"))]


def _module(path: Path) -> Module:
    found = Module(path, ast.parse(path.read_text(encoding="utf-8")), [], [])
    waiting: list[tuple[ast.AST, bool]] = [(found.tree, False)]
    while waiting:
        node, is_guarded = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            (found.typing if is_guarded else found.imports).append(node)
        elif isinstance(node, ast.stmt | ast.mod | ast.excepthandler | ast.match_case):  # no expression imports
            is_typing = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            waiting.extend((each, is_guarded or is_typing) for each in ast.iter_child_nodes(node))
    return found


def layer(name: str) -> int:
    return next((number for number, names in enumerate(LAYERS) if name in names), -1)


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_module_has_a_place_in_the_layers() -> None:
    unplaced = {room(each.path) for each in modules() if layer(room(each.path)) < 0} - {"__init__"}
    assert unplaced == set()


def test_imports_go_one_way() -> None:
    upwards = [
        f"{each.path.relative_to(PACKAGE)} imports {name}"
        for each in modules()
        for name in each.ours
        if name.count(".") and layer(name.split(".")[1]) > layer(room(each.path)) >= 0
    ]
    assert upwards == []


def test_rooms_do_not_import_each_other() -> None:
    across = [
        f"{each.path.relative_to(PACKAGE)} imports {name}"
        for each in modules()
        for name in each.ours
        if room(each.path) in ROOMS and name.count(".") and name.split(".")[1] in ROOMS - {room(each.path)}
    ]
    assert across == []


def test_what_runs_functions_knows_no_trigger_no_session_and_no_hub() -> None:
    """They come in by the table of built-ins alone, as those of strangers do."""
    kernel = LAYERS[layer("host")]
    known = [
        f"{each.path.relative_to(PACKAGE)} imports {name}"
        for each in modules()
        for name in each.ours
        if room(each.path) in kernel and name.count(".") and name.split(".")[1] in ROOMS
    ]
    assert known == []


@pytest.mark.parametrize("library", HEAVY)
def test_heavy_libraries_are_imported_in_few_files_and_when_they_are_needed(library: str) -> None:
    found = {
        str(each.path.relative_to(PACKAGE))
        for each in modules()
        if any(f"{name}.".startswith(f"{library}.") for name in each.named)
    }
    assert found <= HEAVY[library]


def test_what_only_posix_has_is_imported_when_it_is_needed_but_for_the_stand_in_hub() -> None:
    at_once = {
        room(each.path)
        for each in modules()
        for node in each.imports
        if node.col_offset == 0 and isinstance(node, ast.Import) and {alias.name for alias in node.names} & ONLY_POSIX
    }
    assert at_once == {"standin"}


def test_any_exception_is_caught_only_where_the_book_says_why() -> None:
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in (ast.walk(ast.parse(path.read_text())) if "except" in path.read_text() else ())
        if isinstance(node, ast.ExceptHandler) and catches_all(node)
    }
    assert found == set().union(*WIDE.values())


def catches_all(handler: ast.ExceptHandler) -> bool:
    """Whether whatever is raised ends there; what cleans up and raises again lets it go on."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    is_wide = any(kind is None or ast.unparse(kind) in ("Exception", "BaseException") for kind in kinds)
    return is_wide and not any(isinstance(node, ast.Raise) for node in ast.walk(handler))


def test_the_command_line_and_the_built_in_plugins_load_without_heavy_libraries() -> None:
    code = (
        "import sys; from edgefn.cli.commands import commands; from edgefn.cli import around;"
        "early = {'azure', 'pydantic', 'cv2'} & set(sys.modules);"
        "from edgefn.plugins import plugin_manager; plugin_manager();"
        "from edgefn.cli import served, show;"
        "late = {'numpy', 'cv2', 'openvino', 'azure.iot', 'paho', 'grpc', 'opentelemetry'} & set(sys.modules);"
        "print(early, late)"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert seen.strip() == "set() set()"


def test_every_hook_is_described_in_the_documentation_and_implemented_by_a_test() -> None:
    hooks = [
        name for name, value in vars(hookspecs).items() if inspect.isfunction(value) and name.startswith("edgefn_")
    ]
    text = (DOCS / "plugins.md").read_text()
    assert [name for name in hooks if name not in text] == []
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    assert [name for name in hooks if f"def {name}(" not in tests] == []
    assert len(hooks) >= 8


def test_taking_a_line_out_of_the_built_ins_removes_that_feature_only() -> None:
    for missing in plugins.BUILTINS:
        manager, errors = plugins.plugin_manager([name for name in plugins.BUILTINS if name != missing])
        assert errors == []
        assert not manager.has_plugin(missing)


def test_each_block_says_how_it_is_run_or_why_not() -> None:
    pages = [*PAGES, *(ROOT / "sample").glob("*.md"), *(ROOT / "docs" / "bindings").glob("README.md")]
    marks = [(page.name, mark, MARK.fullmatch(mark)) for page in pages for mark in ANY.findall(page.read_text())]
    unmarked = [(name, mark) for name, mark, found in marks if found is None]
    assert unmarked == [], "mark each block of Python or a console: tests/test_docs.py says how"
    tests = {(name, found["test"]) for name, _, found in marks if found and found["test"]}
    assert [(name, test) for name, test in tests if name not in (ROOT / test).read_text()] == []


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    assert commands.PAGE.read_text("utf-8") == commands.page(), "python -m tests.commands renews it"
    assert [line for line in commands.page().splitlines() if line.startswith("| `") and " |  | " in line] == []


def test_each_guide_is_in_the_index_and_no_link_leads_nowhere() -> None:
    links = [
        (page, *target.partition("#")[::2])
        for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
        if "://" not in target
    ]
    assert [(page.name, file, anchor) for page, file, anchor in links if not leads(page, file, anchor)] == []
    index = ROOT / "docs" / "README.md"
    named = {file for page, file, _ in links if page == index}
    missing = [path.name for path in (ROOT / "docs").glob("*.md") if path != index and path.name not in named]
    assert missing == [], "docs/README.md is the index"


def test_each_file_of_the_repository_that_is_named_is_there() -> None:
    pages = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "sample/README.md",
        ROOT / "tests/faults/README.md",
    ]
    found = {
        (page.name, file)
        for page in pages
        for file in re.findall(r"`((?:tests|benchmarks|host|sample)/[\w./-]+)", page.read_text())
    }
    of_apps = {"tests/test_detect.py", "tests/test_"}
    assert {(page, file) for page, file in found if file not in of_apps and not (ROOT / file).exists()} == set()


def leads(page: Path, file: str, anchor: str) -> bool:
    """Whether a link leads to a file that is there, and to a heading of it."""
    target = page.parent / file if file else page
    if not anchor or not target.exists():
        return target.exists()
    headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
    return anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
