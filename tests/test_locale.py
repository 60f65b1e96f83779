"""OpenVINO sets the locale of the whole process to C while it looks for a model in its cache, in whichever thread: text
that is opened meanwhile is UTF-8 all the same.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.test_architecture import modules

TEXT = {"read_text", "write_text", "open", "run", "Popen", "check_output"}
"""Calls that open text by the locale, unless they are told how."""

APP = {
    "host.json": '{"version": "2.0", "extensions": {"edgeHub": {"moduleId": "müller"}}}',
    "local.settings.json": '{"IsEncrypted": false, "Values": {"GREETING": "Grüße, 世界"}}',
    "functions/wörter.py": """
import edgefn
from functions._wort import WORT

app = edgefn.FunctionApp()

@app.edge_hub_trigger("m", "straße")
@app.setting("greeting", "GREETING")
@app.edge_hub_output("$return", "out")
def words(m: str, greeting: str) -> dict:
    return {"word": WORT, "greeting": greeting}
""",
    "functions/_wort.py": 'WORT = "Äpfel"\n',
    "labels.txt": "Äpfel\n世界\n",
}
RUN = """
import asyncio, json, locale, sys
from pathlib import Path

locale.setlocale(locale.LC_ALL, "C")
root = Path(sys.argv[1])
try:
    (root / "labels.txt").read_text()
except UnicodeDecodeError:
    pass
else:
    sys.exit("the locale does not count here")

from edgefn.contracts import EdgeMessage
from edgefn.host import Host
from edgefn.loader import load_app
from edgefn.sessions.labels import read_labels

async def run():
    host = Host(load_app(root, environment={}))
    await host.start()
    spool = host.app.services.spool
    await spool.inbox.on_input(EdgeMessage("größer".encode(), input_name="straße"))
    await spool.idle()
    errors = [*host.app.errors, *(error for each in host.running for error in each.function.errors)]
    await host.stop()
    return errors, spool.inbox.heard()

errors, heard = asyncio.run(run())
line = json.loads((root / ".edgefn" / "upstream.jsonl").read_bytes())
labels = list(read_labels(root / "labels.txt").values())
print(json.dumps([errors, heard, line["body"], labels]))
"""


def test_an_app_with_letters_of_its_own_is_read_right_while_a_model_is_compiled(
    folder: Callable[[Mapping[str, str]], Path],
) -> None:
    root = folder({})
    for name, text in APP.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C.UTF-8"}
    ran = subprocess.run(
        [sys.executable, "-c", RUN, str(root)], env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert ran.returncode == 0, ran.stderr
    errors, heard, body, labels = json.loads(ran.stdout.splitlines()[-1])
    assert errors == []
    assert heard == ["straße"]
    assert body == {"word": "Äpfel", "greeting": "Grüße, 世界"}
    assert labels == ["Äpfel", "世界"]


def test_all_text_is_opened_with_its_encoding() -> None:
    bare = [
        f"{each.path.name}:{node.lineno}"
        for each in modules()
        for node in ast.walk(each.tree)
        if isinstance(node, ast.Call) and _name(node) in TEXT and _is_text(node) and not _says_encoding(node)
    ]
    assert bare == []


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _is_text(call: ast.Call) -> bool:
    """Whether a call opens text, as far as can be told: ``open`` without a mode is one of ours that opens no file."""
    name, given = _name(call), {keyword.arg: keyword.value for keyword in call.keywords}
    if name in ("run", "Popen", "check_output"):
        return "text" in given or "universal_newlines" in given
    if name != "open":
        return True
    is_path = isinstance(call.func, ast.Attribute)
    modes = [each for each in (given.get("mode"), *call.args[not is_path :][:1]) if isinstance(each, ast.Constant)]
    return any(isinstance(each.value, str) and "b" not in each.value for each in modes)


def _says_encoding(call: ast.Call) -> bool:
    return any(keyword.arg in ("encoding", None) for keyword in call.keywords)
