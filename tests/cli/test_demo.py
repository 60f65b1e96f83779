"""``edgefn demo``: each demo makes an app without faults, whose functions run on the sample data."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from edgefn.cli.demo import DEMOS, DemoAsked, find_demo, has_display, make_demo, run_demo
from edgefn.errors import EdgefnError
from edgefn.loader import load_app
from tests.cli.command import LONGEST, edgefn, started
from tests.steered import until
from tests.web.conftest import served

BY_CALL = {"image"}
"""Functions that run when somebody calls them."""


@pytest.mark.parametrize("name", DEMOS)
async def test_a_demo_has_no_faults_and_each_of_its_functions_runs(tmp_path: Path, name: str) -> None:
    make_demo(find_demo(name), tmp_path / "app")
    app = load_app(tmp_path / "app", environment={}, given={"SCHEDULE": "* * * * * *"})
    assert [*app.errors, *app.warnings, *(error for function in app.functions for error in function.errors)] == []
    async with served(app) as site:
        running = {function.name for function in app.functions} - BY_CALL
        await until(lambda: all(site.function(each)["invocations"] for each in running), 30)
        assert (await site.client.get("/")).status_code == 200
        assert {each: site.function(each)["failed"] for each in running} == dict.fromkeys(running, 0)


def test_a_demo_starts_with_its_page_goes_on_in_its_folder_when_it_starts_anew_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    with started("demo", "s0", "--port", "0", "--no-browser", cwd=tmp_path, ready="Page: http://localhost:") as running:
        folder = Path(next(line for line in running.log.splitlines() if "The app is in" in line).rpartition(" ")[2])
        running.wait_for("Worker process started")
        function = folder / "functions/watch.py"
        function.write_text(function.read_text() + "# mine\n")
        page = next(line for line in running.log.splitlines() if "Page: " in line).rpartition(" ")[2]
        request = urllib.request.Request(f"{page.rstrip('/')}/admin/host/restart", method="POST")
        urllib.request.urlopen(request, timeout=LONGEST).close()
        running.wait_for("Starting anew")
        running.wait_for(f"The app is in {folder}")
        running.wait_for("Worker process started")
        assert "# mine" in function.read_text()
        running.process.terminate()
        assert running.end() == 0
    assert not folder.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_keeps_the_app_and_what_was_changed_in_it(tmp_path: Path) -> None:
    for _ in range(2):
        asked = ("demo", "capture", "--folder", "mine", "--port", "0", "--no-browser", "--max-seconds", "1")
        assert edgefn(*asked, cwd=tmp_path).returncode == 0
        function = tmp_path / "mine/functions/act.py"
        function.write_text(function.read_text() + "# mine\n")
    assert function.read_text().count("# mine") == 2


def test_a_folder_with_something_else_is_not_run_and_nothing_is_written_into_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_demo(find_demo("s1"), tmp_path / "other")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").touch()
    for name in ("other", "notes"):
        before = sorted((tmp_path / name).rglob("*"))
        assert run_demo(DemoAsked("s2", tmp_path / name)) == 1
        assert sorted((tmp_path / name).rglob("*")) == before
    other, notes = capsys.readouterr().err.splitlines()
    assert f"{tmp_path / 'other'}: is neither empty nor this demo: no functions/image.py, functions/" in other
    assert (
        "it has a.txt; name another folder, which may be new, or run what is there: edgefn start --script-root" in notes
    )
    assert run_demo(DemoAsked("s2", tmp_path / "notes/a.txt")) == 1
    assert "a.txt: is a file; name a folder" in capsys.readouterr().err


def test_without_a_name_the_demos_are_listed_and_a_wrong_one_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_demo(DemoAsked()) == 0
    assert run_demo(DemoAsked("captur")) == 1
    said = capsys.readouterr()
    assert all(f"{name} " in said.out for name in DEMOS)
    assert "there is no 'captur'; did you mean 'capture'?; demos: accelerated-video" in said.err
    with pytest.raises(EdgefnError):
        find_demo("")


def test_a_browser_is_opened_where_there_is_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert [has_display({}), has_display({"DISPLAY": ":0"}), has_display({"WAYLAND_DISPLAY": "w"})] == [0, 1, 1]
