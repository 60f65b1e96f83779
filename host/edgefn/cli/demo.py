"""``edgefn demo``: apps of templates over the sample data that comes with the package, with their page open."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from edgefn.cli.generate import generated
from edgefn.cli.init import make_app
from edgefn.cli.start import Start, run_start
from edgefn.cli.templates import find
from edgefn.errors import EdgefnError, listing, nearest
from edgefn.settings import read_json
from edgefn.web.options import DEFAULT_PORT, Asked


@dataclass(frozen=True, slots=True)
class Demo:
    """An app: the templates that it is made of, and what host.json and the settings say besides."""

    about: str
    templates: tuple[str, ...]
    extensions: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    hint: str = ""
    """What to try beside the page; ``URL`` stands for the address of the host."""


DEMOS: Mapping[str, Demo] = {
    "accelerated-video": Demo(
        "a video is classified, and objects are found in it; a message a second",
        ("accelerated-video",),
        hint="On the page: call the direct method SetTelemetryInterval with 5, and watch the messages",
    ),
    "scoring-host": Demo(
        "pictures of a folder are scored every ten seconds; the model is served by KServe v2 too",
        ("score-folder", "file"),
        {"serving": {"http": True}},
        hint="curl URL/v2/models/light-classifier",
    ),
    "capture": Demo(
        "a video is captured and scored, and what it shows acted on; pictures get Custom Vision's answers",
        ("custom-vision-http", "capture", "highest-tag"),
        {"http": {"routePrefix": ""}},
        {"THRESHOLD": "0.9"},
        hint="curl --data-binary @picture.jpg URL/image",
    ),
    "talking-scanner": Demo(
        "what the video shows is said aloud when it changes, and sent",
        ("talking-scanner",),
        settings={"MOTION": "0", "Threshold": "0.8"},
        hint="On the page: pull the cable, and plug it in again",
    ),
}
ALIASES = {"s0": "accelerated-video", "s1": "scoring-host", "s2": "capture", "s3": "talking-scanner"}


INHERITED = "EDGEFN_DEMO_FOLDER"
"""By what a demo that starts anew tells the process in its place which folder goes on, and is removed at the end."""


@dataclass(frozen=True, slots=True)
class DemoAsked:
    """What the command was asked for; without a name the demos are listed."""

    name: str | None = None
    folder: Path | None = None
    port: int | None = None
    opens: bool = True
    max_seconds: float | None = None


def run_demo(asked: DemoAsked) -> int:
    """Makes the app and runs it; 1 when it can not be made or run."""
    if asked.name is None:
        return _list()
    try:
        demo, goes_on = find_demo(asked.name), _inherited() is not None
        with _folder(asked) as folder:
            if not is_made(demo, folder):
                make_demo(demo, folder)
            typer.echo(f"The app is in {folder}", err=True)
            if demo.hint:
                typer.echo(
                    f"Try: {demo.hint.replace('URL', f'http://localhost:{asked.port or DEFAULT_PORT}')}", err=True
                )
            opens = asked.opens and not goes_on and has_display(os.environ)
            web = Asked(port=asked.port, page=True)
            return run_start(Start(folder, max_seconds=asked.max_seconds, web=web, opens_page=opens))
    except EdgefnError as error:
        typer.echo(str(error), err=True)
        return 1


def find_demo(name: str) -> Demo:
    """The demo of this name; raises EdgefnError that lists them."""
    plain = name.strip().lower()
    found = DEMOS.get(ALIASES.get(plain, plain))
    if found is None:
        raise EdgefnError(f"edgefn demo: there is no '{name}'{nearest(plain, DEMOS)}; demos: {listing(DEMOS)}")
    return found


def is_made(demo: Demo, folder: Path) -> bool:
    """Whether the folder has the demo already, rather than nothing; raises EdgefnError for one with something else."""
    if folder.exists() and not folder.is_dir():
        raise EdgefnError(f"{folder}: is a file; name a folder, which may be new")
    found = sorted(path.name for path in folder.iterdir() if path.name[0] != ".") if folder.exists() else []
    if not found:
        return False
    functions = (f"functions/{find(name).function}.py" for name in demo.templates)
    missing = [name for name in ("host.json", *functions) if not (folder / name).exists()]
    if missing:
        raise EdgefnError(
            f"{folder}: is neither empty nor this demo: no {listing(missing)}; it has {listing(found[:10])}; name"
            f" another folder, which may be new, or run what is there: edgefn start --script-root {folder}"
        )
    return True


def make_demo(demo: Demo, folder: Path) -> None:
    """Writes the app; raises EdgefnError."""
    make_app(folder)
    for name in demo.templates:
        template = find(name)
        generated(folder, template, template.function, {}, force=False).plan.write()
    _change(folder / "host.json", {"extensions": demo.extensions})
    _change(folder / "local.settings.json", {"Values": demo.settings})


def has_display(environment: Mapping[str, str]) -> bool:
    """Whether a browser could be seen here."""
    return sys.platform in ("darwin", "win32") or any(map(environment.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def _list() -> int:
    width = max(map(len, DEMOS))
    for name, demo in DEMOS.items():
        typer.echo(f"{name:<{width}}  {demo.about}")
    typer.echo("\nNext: edgefn demo NAME; --folder FOLDER keeps the app to be changed")
    return 0


@contextmanager
def _folder(asked: DemoAsked) -> Iterator[Path]:
    if asked.folder is not None:
        yield asked.folder.resolve()
        return
    folder = _inherited() or Path(tempfile.mkdtemp(prefix=f"edgefn-{asked.name}-"))
    os.environ[INHERITED] = f"{os.getpid()} {folder}"
    try:
        yield folder
    finally:
        del os.environ[INHERITED]
        shutil.rmtree(folder, ignore_errors=True)


def _inherited() -> Path | None:
    """The folder of this process before it was started anew."""
    process, _, folder = os.environ.get(INHERITED, "").partition(" ")
    before = os.getppid() if os.name == "nt" else os.getpid()
    return Path(folder) if process == str(before) and Path(folder).is_dir() else None


def _change(path: Path, more: Mapping[str, Mapping[str, Any]]) -> None:
    """Adds to the objects of a JSON file."""
    document = read_json(path)
    for name, values in more.items():
        document[name] = {**document.get(name, {}), **values}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
