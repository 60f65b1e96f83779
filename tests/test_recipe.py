"""What of a folder gets into its image: the first stage of the Dockerfile, run by a shell in a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edgefn.deploy.image import recipe

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the steps are for a POSIX shell")
STAGE = recipe().partition(" AS app\n")[2].partition(" AS packages\n")[0]
STEPS = [step.replace("\\\n", " ") for step in re.findall(r"^RUN (.*?[^\\])$", STAGE, re.DOTALL | re.MULTILINE)]
FILES = {
    "host.json": "{}",
    "requirements.txt": "azure-functions\n",
    "functions/watch.py": "",
    "functions/__pycache__/watch.pyc": "",
    "variants/only.py": "",
    "variants/night/dusk.py": "",
    "docs/plan.md": "",
    "wheels/own.whl": "",
    "drivers/npu.deb": "",
}

Made = Callable[..., Path]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Runs the steps on files, with build arguments; gives the folder that stands for the root of the stage."""

    def make(files: dict[str, str] | None = None, **arguments: str) -> Path:
        for name, text in {**FILES, **(files or {})}.items():
            (tmp_path / "app" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "app" / name).write_text(text)
        for step in STEPS:
            inside = re.sub(r"(?<![\w./$])/(asked|drivers|functions)\b", rf"{tmp_path}/\1", step)
            variables = {"PATH": os.environ["PATH"], **arguments}
            subprocess.run(
                ["sh", "-c", inside], cwd=tmp_path / "app", env=variables, check=True, capture_output=True, text=True
            )
        return tmp_path

    return make


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_app_is_the_folder_without_what_only_the_build_needs(made: Made) -> None:
    root = made()
    assert files_in(root / "app") == set(FILES) - {
        "functions/__pycache__/watch.pyc",
        "wheels/own.whl",
        "drivers/npu.deb",
    }
    assert files_in(root / "asked") == {"requirements.txt", "wheels/own.whl"}
    assert files_in(root / "drivers") == {"npu.deb"}


def test_an_app_of_azure_functions_gets_edgefn_and_one_that_names_it_keeps_its_version(made: Made) -> None:
    assert (made() / "asked/requirements.txt").read_text() == "azure-functions\nedgefn\n"
    assert (made({"requirements.txt": "edgefn~=0.1\n"}) / "asked/requirements.txt").read_text() == "edgefn~=0.1\n"


def test_a_folder_that_is_a_package_is_installed_from_its_source(made: Made) -> None:
    root = made({"pyproject.toml": '[project]\nname = "x"\n', "requirements.txt": ".\n", "src/x.py": ""})
    assert {"pyproject.toml", "src/x.py"} <= files_in(root / "asked")
    assert (root / "asked/requirements.txt").read_text() == ".\n"


@pytest.mark.parametrize(
    ("arguments", "functions"),
    [
        ({"FUNCTIONS": "variants/only.py"}, {"only.py"}),
        ({"SCORING_SCRIPT": "variants/night"}, {"dusk.py"}),
        ({"FUNCTIONS": "functions/watch.py"}, {"watch.py"}),
    ],
)
def test_functions_are_chosen_by_an_argument(made: Made, arguments: dict[str, str], functions: set[str]) -> None:
    assert files_in(made(**arguments) / "app/functions") == functions


def test_a_choice_that_is_not_there_stops_the_build_and_lists_what_is(made: Made) -> None:
    with pytest.raises(subprocess.CalledProcessError) as error:
        made(FUNCTIONS="nowhere")
    assert "FUNCTIONS=nowhere: is not in this folder; it has: docs drivers functions host.json" in error.value.stderr


def test_what_funcignore_names_stays_outside(made: Made) -> None:
    assert {"docs/plan.md", "variants/only.py"} & files_in(
        made({".funcignore": "# not published\n\ndocs\nvariants/*.py\n"}) / "app"
    ) == set()
    with pytest.raises(subprocess.CalledProcessError) as error:
        made({".funcignore": "*.md\n!docs/plan.md\n"})
    assert ".funcignore: exceptions (!) are not read here" in error.value.stderr
