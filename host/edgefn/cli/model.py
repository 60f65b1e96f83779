"""``edgefn model``: what a model file holds, the same model as IR, and how fast it is."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import typer

from edgefn.cli.around import told
from edgefn.cli.opening import settings_given
from edgefn.errors import EdgefnError, listing
from edgefn.images import ENDINGS, decoded

if TYPE_CHECKING:
    from edgefn.sessions.agreement import Agreement, Shown
    from edgefn.sessions.bench import Result
    from edgefn.sessions.model_files import Description, Opened

ANNOTATIONS = {"classification": "ClassificationSession", "detection": "DetectionSession", "raw": "Session"}
MOST = 300
"""Pictures that are used at most: as many as NNCF takes."""
DRAWN = 8
"""Frames of the drawn street, where there are no pictures."""


@dataclass(frozen=True, slots=True)
class Convert:
    """What is to be converted, and how."""

    model: Path
    out: Path
    half: bool = True
    int8: bool = False
    pictures: Path | None = None
    given: tuple[str, ...] = ()


def inspect(model: Path, given: tuple[str, ...], *, as_json: bool) -> int:
    """Prints what a model holds, and what a session of it would be."""

    def run() -> None:
        from edgefn.sessions.model_files import describe, find, opened, options_of, sessions

        path, options = find(model), settings_given(given, "--option")
        options_of(path, options)
        found = describe(path)
        session: Opened | None = None
        fault = ""
        try:
            with _quiet(), sessions() as kind:
                session = opened(kind, path, options)[1]
        except EdgefnError as error:
            fault = str(error)
        if as_json:
            typer.echo(_json(_document(found, session, fault)))
        else:
            for line in _lines(model, found, session, fault, options):
                typer.echo(line)

    return told(run)


def _document(found: Description, session: Opened | None, fault: str) -> dict[str, Any]:
    document = asdict(replace(found, weights=dict(found.weights), layouts=dict(found.layouts)))
    document["session"] = None if session is None else {**session.facts, "labels_file": session.labels}
    return {**document, "fault": fault or None}


def _lines(
    model: Path, found: Description, session: Opened | None, fault: str, options: Mapping[str, str]
) -> Iterator[str]:
    weights = ", ".join(f"{count:,} {kind}" for kind, count in found.weights.items())
    yield f"{model}: {found.format}, {found.size:,} bytes{', quantised to INT8' if found.quantised else ''}"
    for port in found.inputs:
        layout = found.layouts.get(port.split(" ")[0])
        yield f"  input    {port}{f', {layout}' if layout else ''}"
    yield from (f"  output   {port}" for port in found.outputs)
    yield f"  weights  {weights}"
    if session is None:
        yield f"\nNo session of it opens as it is: {fault}"
        return
    facts = session.facts
    labels = f"{facts['labels']} labels of {session.labels.name}" if session.labels else "no labels file beside it"
    task = f"{session.task}, {labels}" if "labels" in facts else str(session.task)
    yield f"\nA session of it is of task {task}; on {facts['device']} it calculates in {facts['precision']}:"
    said = "".join(f", {name}={value!r}" for name, value in options.items())
    yield f'\n    @app.inference_session(arg_name="model", model="{model}"{said})'
    yield f"    async def function(..., model: edgefn.{ANNOTATIONS[session.task.value]}): ..."
    if not {"color_order", "colorOrder", "mean", "scale"} & options.keys() and found.layouts:
        yield "\nA file does not tell in which order of colours, and with which mean and scale, it was trained:"
        yield "bgr and none are taken, unless color_order, mean and scale are declared."


def convert(asked: Convert, *, as_json: bool) -> int:
    """Writes a model as IR, and tells how far it agrees with what it was made of."""

    def run() -> None:
        from edgefn.sessions.model_files import find, options_of, save
        from edgefn.sessions.openvino import new_core, read_model

        path, out = find(asked.model), _target(asked)
        options = options_of(path, settings_given(asked.given, "--option"))
        pictures = _pictures(asked.pictures)
        if asked.int8 and asked.pictures is None:
            raise EdgefnError("--int8 needs --calibration: a folder of pictures like those that the model will see")
        with _quiet():
            model = read_model(new_core(), path)
            if asked.int8:
                from edgefn.sessions.int8 import quantised

                model = quantised(model, [shown.image for shown in pictures], options)
            save(model, out, half=asked.half)
            del model
            _copy_labels(path, out, options.labels)
            found, fault = _agreement(path, out, asked, pictures)
        if as_json:
            typer.echo(_json({"file": out, "bytes": _size(out), "agreement": found and asdict(found), "fault": fault}))
        else:
            typer.echo(f"{out}, with {out.with_suffix('.bin').name}: {_size(out):,} bytes, of {_size(path):,}")
            typer.echo(_told(found, drawn=asked.pictures is None) if found else f"It was not compared: {fault}")

    return told(run)


def _target(asked: Convert) -> Path:
    if asked.out.suffix.lower() != ".xml":
        raise EdgefnError(f"-o {asked.out}: IR is a file .xml with a .bin beside it; name one that ends in .xml")
    if asked.out.resolve() == asked.model.resolve():
        raise EdgefnError(f"-o {asked.out}: is the model itself; name another file")
    return asked.out


def _copy_labels(model: Path, out: Path, declared: str | None) -> None:
    """The names of the classes, beside the new file, where a session looks for them."""
    from edgefn.sessions.files import find_labels

    labels, target = find_labels(declared, model, Path.cwd()), out.with_name(f"{out.stem}.labels.txt")
    if labels is not None and labels.is_file() and not target.exists():
        shutil.copyfile(labels, target)


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in (path, path.with_suffix(".bin")) if file.is_file())


def _agreement(before: Path, after: Path, asked: Convert, pictures: list[Shown]) -> tuple[Agreement | None, str]:
    """Both in f32, so that only the files differ."""
    from edgefn.sessions.agreement import compare
    from edgefn.sessions.model_files import opened, sessions

    given = {"precision": "f32", **settings_given(asked.given, "--option")}
    try:
        with sessions() as kind:
            one, found = opened(kind, before, given)
            other, _ = opened(kind, after, {**given, "task": found.task.value})
            return compare(one, other, found.task, pictures), ""
    except (EdgefnError, ValueError, TypeError) as error:  # a session of tensors takes no picture
        return None, str(error)


def _told(found: Agreement, *, drawn: bool) -> str:
    what = f"{found.pictures} {'drawn frames' if drawn else 'pictures'}"
    text = f"On {what} both agree on {found.what} in {found.same:.1%}; numbers differ by up to {found.difference:.4f}."
    if found.right_before is not None and found.right_after is not None:
        shares = f"{found.right_before:.1%} right before, {found.right_after:.1%} after"
        text += f"\nOf {found.labelled} pictures that are named: {shares}."
    return text


def _pictures(folder: Path | None) -> list[Shown]:
    """Those of a folder; in folders of it they show what the folder is called."""
    from edgefn.sessions.agreement import Shown

    if folder is None:
        return [Shown(image) for image in _drawn(DRAWN)]
    if not folder.is_dir():
        raise EdgefnError(f"--calibration {folder}: is no folder; name one with pictures")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    if not paths:
        raise EdgefnError(f"--calibration {folder}: has no pictures; files of {listing(ENDINGS)} would be right")
    step = max(1, len(paths) // MOST)
    return [Shown(_picture(path), path.parent.name if path.parent != folder else "") for path in paths[::step][:MOST]]


def _picture(path: Path) -> Any:
    try:
        return decoded(path.read_bytes())
    except (OSError, ValueError) as error:
        raise EdgefnError(f"{path}: {error}") from None


def _drawn(count: int, width: int = 1280, height: int = 720) -> Iterator[Any]:
    from edgefn.scene import Scene

    scene = Scene(seed=1, width=width, height=height)
    yield from (scene.frame(number * 40)[0] for number in range(count))


def bench(
    model: Path, device: str, picture: Path | None, given: tuple[str, ...], seconds: float, *, as_json: bool
) -> int:
    """Prints how fast a model is by our sessions and by OpenVINO alone."""

    def run() -> None:
        from edgefn.sessions import bench as work
        from edgefn.sessions.model_files import find

        options = {**settings_given(given, "--option"), "device": device}
        image = next(_drawn(1)) if picture is None else _picture(picture)
        with _quiet():
            result = work.bench(find(model), image, options, seconds)
        if as_json:
            typer.echo(_json(asdict(result)))
        else:
            for line in _table(model, result):
                typer.echo(line)

    return told(run)


def _table(model: Path, result: Result) -> Iterator[str]:
    yield f"{model} on {result.device} in {result.precision}, pictures of {result.picture}"
    yield f"{'':<26}{'a second':>10}{'p50 ms':>10}{'p99 ms':>10}{'at once':>10}"
    for row in result.figures:
        yield f"{row.way:<26}{row.per_second:>10}{row.p50_ms:>10}{row.p99_ms:>10}{row.requests:>10}"
    one, own, many, wide = (row.per_second for row in result.figures)
    shares = f"{one / own:.0%} and {many / wide:.0%}"
    yield f"A session gives {shares} of OpenVINO's loops, which resize no picture and read no result."


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what libraries in C++ print by themselves, and without log lines of sessions."""
    log = logging.getLogger("edgefn")
    level = log.level
    log.setLevel(logging.ERROR)
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        log.setLevel(level)


def _json(document: object) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY, default=str).decode()
