"""A folder with Azure ML's scoring script is an app: POST /score, GET /."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from edgefn.host import Host
from edgefn.loader import load_app
from edgefn.reload import Reloader
from edgefn.scoring_script import is_scoring_folder
from edgefn.web.http import NO_TEXT
from tests.cli.command import edgefn
from tests.web.conftest import served

SCRIPT = """
    import json, os
    import numpy as np
    def init():
        global model
        model = lambda data: np.asarray(data, np.float32) * FACTOR
    FACTOR = 2
    def run(raw_data):
        data = json.loads(raw_data)["data"]
        return {"result": model(data), "models": os.environ["AZUREML_MODEL_DIR"]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path / "models"))
    (tmp_path / "score.py").write_text(dedent(SCRIPT))
    return tmp_path


async def test_a_scoring_script_answers_at_azure_mls_addresses_and_takes_edits(folder: Path) -> None:
    app = load_app(folder, environment={})
    assert (app.errors, app.warnings) == ([], [])
    async with served(app) as site:
        assert (await site.client.get("/")).status_code == 200
        answer = await site.client.post("/score", json={"data": [1, 2.5]})
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == {"result": [2.0, 5.0], "models": str(folder / "models")}
        assert (await site.client.post("/score", content=b"no JSON")).status_code == 500
        assert (await site.client.get("/score")).status_code == 404
        path = folder / "score.py"
        path.write_text(path.read_text().replace("FACTOR = 2", "FACTOR = 3"))
        await Reloader(site.host).reload({path})
        assert (await site.client.post("/score", json={"data": [1]})).json()["result"] == [3.0]


@pytest.mark.parametrize("error", ["FileNotFoundError: model.pkl", "SystemExit: no model"])
async def test_an_init_that_raises_is_an_error_of_the_function_with_the_line(folder: Path, error: str) -> None:
    path = folder / "score.py"
    kind, _, text = error.partition(": ")
    path.write_text(path.read_text().replace("global model", f"raise {kind}({text!r})"))
    host = Host(load_app(folder, environment={}))
    await host.start()
    functions = host.status()["functions"]
    await host.stop()
    assert functions["score"]["errors"] == [f"score.py:5: init() raised {error}"]
    assert functions["healthy"]["errors"] == []


async def test_a_body_that_is_no_text_is_the_fault_of_whoever_sent_it(folder: Path) -> None:
    async with served(load_app(folder, environment={})) as site:
        answer = await site.client.post("/score", content=b'{"data": "\xff"}')
        assert (answer.status_code, answer.text) == (400, NO_TEXT)


async def test_without_a_page_it_is_healthy_as_azure_mls_server_is(folder: Path) -> None:
    app = load_app(folder, environment={}, given={"AzureWebJobsDisableHomepage": "true"})
    async with served(app) as site:
        assert (await site.client.get("/")).text == "Healthy"


def test_the_commands_know_it(folder: Path) -> None:
    assert edgefn("check", cwd=folder).returncode == 0
    assert "score" in edgefn("list", cwd=folder).stdout


def test_a_file_of_that_name_in_another_app_is_no_scoring_script(folder: Path) -> None:
    assert is_scoring_folder(folder)
    (folder / "functions").mkdir()
    assert not is_scoring_folder(folder)
    (folder / "functions").rmdir()
    (folder / "score.py").write_text("def run(data): ...\n")
    assert not is_scoring_folder(folder)
