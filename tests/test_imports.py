"""The modules of an app: which are loaded, under which names, and what is said of those that can not be."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import azure.functions as func
import pytest

from edgefn.errors import SettingError
from edgefn.imports import AppModule, has_functions, ignored, import_app, modules_of_app, v1_script
from tests.conftest import AppIn

Write = Callable[[Mapping[str, str]], Path]
TRIGGER = "@app.generic_trigger('m', type='edgeHubTrigger', input_name='i')\n"
APP = f"import azure.functions as func\napp = func.FunctionApp()\n{TRIGGER}"
V1 = '{"bindings": [{"name": "m", "type": "edgeHubTrigger", "direction": "in", "inputName": "i"}]}'


def imported(root: Path, script: str = "") -> dict[str, AppModule]:
    return {module.name: module for module in import_app(root, script)}


def error_of(root: Path, name: str) -> str:
    return imported(root)[name].error


def test_packages_beside_the_app_are_on_the_path(folder: Write) -> None:
    packages = {".python_packages/lib/site-packages/beside_the_app/__init__.py": "VALUE = 7"}
    module = imported(folder({**packages, "functions/a.py": "from beside_the_app import VALUE"}))["functions.a"].module
    assert module is not None
    assert module.VALUE == 7


# --- functions/ --------------------------------------------------------------------------------------------------


def test_modules_and_packages_of_the_folder_are_loaded_but_for_private_ones(folder: Write) -> None:
    files = ("a.py", "b/__init__.py", "my-own.py", "_c.py", "_d/__init__.py", ".hidden.py", "note.txt")
    modules = imported(folder({f"functions/{name}": "" for name in files}))
    assert list(modules) == ["functions.a", "functions.b", "functions.my-own"]
    assert all(module.module is not None for module in modules.values())


def test_a_module_may_have_the_name_of_one_of_python_or_of_an_installed_package(folder: Write) -> None:
    files = dict.fromkeys(("functions/json.py", "functions/azure.py", "functions/typing.py"), "WHOSE = 'mine'")
    modules = imported(folder({**files, "functions/a.py": "import json, azure.functions\nfrom . import typing"}))
    assert modules["functions.json"].module.WHOSE == "mine"  # type: ignore[union-attr]
    assert modules["functions.a"].module.json is json  # type: ignore[union-attr]
    assert modules["functions.a"].module.typing.WHOSE == "mine"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "@app.video_frame_trigger(arg_name='frame', sourse='0')\ndef f(frame): ...",
            "TypeError: video_frame_trigger() missing 1 required positional argument: 'source'; found 'sourse';"
            " did you mean 'source'?; it takes arg_name, source, policy, ",
        ),
        ("@app.edge_hub_trigger\ndef f(m): ...", "'input_name'; it takes arg_name, input_name, "),
        ("@app.twin_trigger\ndef f(t): ...", "found a function: the decorator has no brackets; arg_name="),
        (
            "@app.twin_trigger(arg_name=3)\ndef f(t): ...",
            "arg_name should be the name of a parameter, found 3; arg_name=",
        ),
        (
            "import azure.functions as func\nfunc.AuthLevel.ANON",
            "AuthLevel has no ANON; did you mean 'ANONYMOUS'?; it has FUNCTION, ANONYMOUS",
        ),
        ("@app.timer_trigger(arg_name='t', shedule='')\ndef f(t): ...", "found 'shedule'; did you mean 'schedule'?"),
        (
            "@app.video_trigger('f', '0')\ndef f(f): ...",
            "no attribute 'video_trigger'; did you mean 'video_frame_trigger'?",
        ),
        ("@edgefn.twin_trigger('t')\ndef f(t): ...", "app = edgefn.FunctionApp(), then @app.twin_trigger(...); it has"),
        ("@app.setting('s', 'S', 'd', 4)\ndef f(s): ...", "but 5 were given; it takes arg_name, name, default"),
        ("dict(a=1)(b=2)", "TypeError: 'dict' object is not callable"),
        ("def g(a): ...\ng()", "TypeError: g() missing 1 required positional argument: 'a'"),
    ],
)
def test_a_decorator_that_is_called_wrongly_is_told_with_what_it_takes(folder: Write, code: str, said: str) -> None:
    root = folder({"functions/a.py": f"import edgefn\napp = edgefn.FunctionApp()\n{code}\n"})
    error = error_of(root, "functions.a")
    assert error.startswith("functions/a.py:")
    assert said in error


def test_an_installed_package_named_functions_does_not_hide_the_folder(
    folder: Write, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "functions").mkdir()
    (other / "functions" / "__init__.py").touch()
    root = folder({"functions/a.py": ""})
    sys.path[:0] = [str(root), str(other)]
    assert error_of(root, "functions.a") == ""


def test_modules_import_each_other_by_every_road(folder: Write) -> None:
    files = {
        "shared.py": "S = 1",
        "functions/helper.py": "H = 2",
        "functions/part/__init__.py": "from .inner import I\nfrom ..helper import H",
        "functions/part/inner.py": "I = 3",
        "functions/a.py": "from functions.helper import H\nfrom .part import I\nfrom shared import S",
    }
    module = imported(folder(files))["functions.a"].module
    assert (module.S, module.H, module.I) == (1, 2, 3)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("\nraise ValueError('boom')", "functions/bad.py:2: ValueError: boom"),
        ("def f(:", "functions/bad.py:1: SyntaxError: invalid syntax: def f(:"),
        ("import sys\nsys.exit(3)", "functions/bad.py:2: SystemExit: 3; a module that ends the process"),
        ("raise KeyboardInterrupt", "functions/bad.py:1: KeyboardInterrupt: ; a module that ends the process"),
        ("raise GeneratorExit", "functions/bad.py:1: GeneratorExit"),
        ("class E(BaseException): ...\nraise E('x')", "functions/bad.py:2: E: x"),
        (
            "import no_such.thing",
            "functions/bad.py:1: ModuleNotFoundError: No module named 'no_such'; Cannot find module.",
        ),
        ("import json\njson.loads('{')", "functions/bad.py:2: JSONDecodeError: "),
        ("def f(): f()\nf()", "functions/bad.py:1: RecursionError: "),
        ("x = 1\0", "functions/bad.py: "),
    ],
)
def test_a_module_that_fails_says_where_and_keeps_no_other_out(folder: Write, code: str, reason: str) -> None:
    modules = imported(folder({"functions/bad.py": code, "functions/a.py": "", "functions/z.py": ""}))
    assert modules["functions.bad"].error.startswith(reason)
    assert [modules[name].error for name in ("functions.a", "functions.z")] == ["", ""]
    assert "Traceback" not in modules["functions.bad"].error


def test_ctrl_c_while_a_module_is_imported_leaves(folder: Write) -> None:
    root = folder({"functions/a.py": "import signal\nsignal.raise_signal(signal.SIGINT)\nfor _ in range(10**6): pass"})
    code = (
        "import sys, signal, pathlib; from edgefn.imports import import_app; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "  # a shell's background job is born deaf to it
        "import_app(pathlib.Path(sys.argv[1]))"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True)
    assert ended.returncode != 0
    assert ended.stderr.rstrip().endswith("KeyboardInterrupt")


def test_a_source_that_is_no_utf_8_is_an_error_of_its_module(folder: Write) -> None:
    root = folder({"functions/a.py": "", "functions/bad.py": ""})
    (root / "functions" / "bad.py").write_bytes("x = 'é'\n".encode("latin-1"))
    assert error_of(root, "functions.bad").startswith("functions/bad.py")
    assert "utf-8" in error_of(root, "functions.bad")


def test_a_package_with_a_broken_part_names_the_part_and_who_imports_it(folder: Write) -> None:
    root = folder({"functions/p/__init__.py": "\nfrom . import part", "functions/p/part.py": "1 / 0"})
    assert error_of(root, "functions.p") == (
        "functions/p/__init__.py:2: imports what can not be loaded: functions/p/part.py:1: "
        "ZeroDivisionError: division by zero"
    )


def test_a_folder_whose_own_init_fails_still_has_its_modules(folder: Write) -> None:
    modules = imported(folder({"functions/__init__.py": "1 / 0", "functions/a.py": "A = 1"}))
    assert modules["functions"].error == "functions/__init__.py:1: ZeroDivisionError: division by zero"
    assert modules["functions.a"].error == ""


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (("a.py", "a/__init__.py"), "functions/a.py: is hidden by the package functions/a/"),
        (("a.b.py",), "functions/a.b.py: a module can not have a '.' in its name"),
    ],
)
def test_a_file_that_can_never_be_imported_says_why(folder: Write, files: tuple[str, ...], reason: str) -> None:
    modules = import_app(folder({f"functions/{name}": "" for name in files}))
    assert next(module.error for module in modules if module.error).startswith(reason)


def test_a_module_that_is_loaded_again_is_new_and_so_is_what_it_imports(folder: Write) -> None:
    first = imported(folder({"functions/a.py": "from shared import S", "shared.py": "S = 1"}))
    second = imported(folder({"functions/a.py": "from shared import S", "shared.py": "S = 20"}))
    assert [m["functions.a"].module.S for m in (first, second)] == [1, 20]  # type: ignore[union-attr]


def test_a_converter_goes_with_the_module_that_registered_it(folder: Write) -> None:
    code = "from azure.functions import meta\nclass C(meta.InConverter, binding='own', trigger='ownTrigger'): ..."
    assert error_of(folder({"functions/a.py": code + "\n1 / 0"}), "functions.a").startswith("functions/a.py:3")
    assert error_of(folder({"functions/a.py": code}), "functions.a") == ""
    import_app(folder({"functions/a.py": ""}))
    assert func.get_binding_registry().get("ownTrigger") is None
    assert func.get_binding_registry().get("timerTrigger") is not None


# --- the script of model v2 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", ["main.py", "json.py", "my-app.py", "2nd.py"])
def test_the_script_has_the_name_that_the_setting_gives_it(app_of: AppIn, script: str) -> None:
    app = app_of({script: f"{APP}def f(m): ..."}, PYTHON_SCRIPT_FILE_NAME=script)
    assert ([f.name for f in app.functions], app.errors) == (["f"], [])
    assert json.dumps([]) == "[]"
    assert sys.modules["json"] is json


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("my app.py", "PYTHON_SCRIPT_FILE_NAME: 'my app.py' is no name of a script"),
        ("../x.py", "PYTHON_SCRIPT_FILE_NAME: '../x.py' is no name of a script"),
        ("gone.py", "PYTHON_SCRIPT_FILE_NAME: there is no gone.py in"),
    ],
)
def test_a_script_that_can_not_be_one_is_refused(folder: Write, script: str, reason: str) -> None:
    with pytest.raises(SettingError) as caught:
        import_app(folder({"function_app.py": APP}), script)
    assert str(caught.value).startswith(reason)


# --- function.json -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "document", "expected"),
    [
        (("only.py",), {}, "only.py"),
        (("a.py", "run.py"), {}, "run.py"),
        (("a.py", "__init__.py"), {}, "__init__.py"),
        (("a.py", "run.py", "__init__.py"), {}, "run.py"),
        (("a.py", "__init__.py"), {"scriptFile": "a.py"}, "a.py"),
        (("__init__.py",), {"scriptFile": "../shared/x.py"}, "x.py"),
    ],
)
def test_the_file_of_a_v1_function_is_named_or_found(
    folder: Write, files: tuple[str, ...], document: dict[str, str], expected: str
) -> None:
    root = folder({**{f"F/{name}": "" for name in files}, "shared/x.py": ""})
    assert v1_script(root / "F", document, root).name == expected


@pytest.mark.parametrize(
    ("files", "document", "reason"),
    [
        (("a.py", "b.py"), {}, "no scriptFile is named, and of the files a.py, b.py none is run.py or __init__.py"),
        ((), {}, "of the files none none is run.py"),
        (("a.py",), {"scriptFile": "b.py"}, "scriptFile names b.py, which is not there; the folder has a.py"),
        (("a.py", "a.txt"), {"scriptFile": "a.txt"}, "scriptFile names a.txt; it should be a .py file of the app"),
    ],
)
def test_a_v1_function_without_a_file_says_what_there_is(
    folder: Write, files: tuple[str, ...], document: dict[str, str], reason: str
) -> None:
    root = folder({f"F/{name}": "" for name in ("function.json", *files)})
    with pytest.raises(SettingError) as caught:
        v1_script(root / "F", document, root)
    assert str(caught.value).startswith("F/function.json: Invalid script file name configuration")
    assert reason in str(caught.value)


def test_v1_modules_import_each_other_by_every_road_azure_has(folder: Write) -> None:
    code = (
        "from __app__.shared import S\nfrom ..shared import S as T\nfrom . import near\nimport shared\ndef main(m): ..."
    )
    modules = imported(
        folder({"json/function.json": V1, "json/run.py": code, "json/near.py": "", "shared.py": "S = 1"})
    )
    assert modules["json"].error == ""
    assert (modules["json"].module.S, modules["json"].module.shared.S) == (1, 1)  # type: ignore[union-attr]


def test_two_v1_functions_may_share_a_file(app_of: AppIn) -> None:
    shared = V1.replace('{"bindings"', '{"scriptFile": "../s.py", "bindings"')
    app = app_of({"A/function.json": shared, "B/function.json": shared, "s.py": "def main(m): ..."})
    assert [(f.name, f.errors) for f in app.functions] == [("A", []), ("B", [])]
    assert app.errors == []


# --- which layout counts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (("function_app.py", "functions/a.py", "F/function.json"), ["function_app"]),
        (("functions/a.py", "F/function.json"), ["functions.a"]),
        (("F/function.json", "G/function.json"), ["F", "G"]),
        (("functions/function.json",), ["functions"]),
        ((), []),
    ],
)
def test_the_first_layout_that_is_there_counts(folder: Write, files: tuple[str, ...], expected: list[str]) -> None:
    root = folder({name: V1 if name.endswith("json") else "" for name in files})
    assert list(imported(root)) == expected
    assert has_functions(root) is bool(files)


def test_what_is_not_loaded_is_told(folder: Write) -> None:
    files = {"functions/a.py": "from functions.used import x", "functions/used/x.py": "", "functions/b/main.py": ""}
    root = folder({**files, "F/function.json": V1})
    import_app(root)
    assert ignored(root) == [
        "Detected mixed function app. Some functions may not be indexed - functions/ counts, "
        "function.json of F is ignored",
        "functions/b: is not loaded, it has no __init__.py; add one when it holds a function",
    ]


def test_a_folder_without_functions_says_where_they_would_be(app_of: AppIn) -> None:
    (warning,) = app_of({}).warnings
    assert warning.endswith("holds no function; put a module with a FunctionApp into functions/")


def test_a_folder_without_init_of_an_earlier_app_does_not_hide_a_module_of_this_one(tmp_path: Path) -> None:
    for name, shared in (("one", "shared/far.py"), ("two", "shared.py")):
        for file, text in {
            shared: "S = 1",
            "functions/a.py": "import shared" + (".far" if name == "one" else ""),
        }.items():
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_text(text)
    first = import_app(tmp_path / "one")
    sys.path.remove(str(tmp_path / "one"))
    second = import_app(tmp_path / "two")
    assert [module.error for module in (*first, *second)] == ["", ""]
    assert second[0].module is not None
    assert second[0].module.shared.S == 1


# --- edits ---------------------------------------------------------------------------------------------------------

EDITED = {
    "functions/f.py": ("functions.f", {}),
    "functions/words.py": ("functions.g", {"functions/g.py": "from functions.words import SAID"}),
    "function_app.py": ("function_app", {}),
    "helper.py": ("function_app", {"function_app.py": "from helper import SAID"}),
}


@pytest.mark.parametrize("edited", EDITED)
def test_an_edit_of_the_same_size_in_the_same_second_is_seen_and_no_bytecode_is_left(
    folder: Write, monkeypatch: pytest.MonkeyPatch, edited: str
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    name, others = EDITED[edited]
    for said in ("one", "two"):
        root = folder({**others, edited: f"SAID = {said!r}"})
        os.utime(root / edited, (1_700_000_000, 1_700_000_000))
        assert said == imported(root)[name].module.SAID  # type: ignore[union-attr]
        compileall.compile_dir(root, quiet=2)  # as a tool beside edgefn may do
    shutil.rmtree(root / "functions" / "__pycache__", ignore_errors=True)
    shutil.rmtree(root / "__pycache__", ignore_errors=True)
    imported(root)
    assert list(root.rglob("*.pyc")) == []


def test_an_app_that_is_itself_an_installed_package_is_read_from_its_source_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    root = tmp_path / "site-packages" / "sample"
    (root / "functions").mkdir(parents=True)
    (root / "functions" / "f.py").write_text("from . import _words")
    (root / "functions" / "_words.py").write_text("SAID = 'one'")
    assert imported(root)["functions.f"].module is not None
    assert list(root.rglob("*.pyc")) == []
    assert modules_of_app()["functions.f"] == root / "functions" / "f.py"


def test_an_app_that_is_an_installed_package_gives_way_to_the_next_one(tmp_path: Path) -> None:
    for place in ("site-packages/sample", "own"):
        (tmp_path / place / "functions").mkdir(parents=True)
        (tmp_path / place / "functions" / "f.py").touch()
        imported(tmp_path / place)
        assert modules_of_app()["functions.f"] == tmp_path / place / "functions" / "f.py"
