"""``edgefn manifest``: the deployment manifest of app folders."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import typer

from edgefn.cli.display import counted
from edgefn.cli.opening import app_root, settings_given, state_of
from edgefn.deploy.check import Level, Open, check
from edgefn.deploy.check.findings import errors_of
from edgefn.deploy.image import fault_of_name, usual_tag
from edgefn.deploy.manifest import Made, Wanted, manifest
from edgefn.deploy.module import Box, Module, module_of
from edgefn.deploy.twin import desired_schema
from edgefn.errors import EdgefnError, listing
from edgefn.hubs.options import edge_hub_options
from edgefn.loader import App, load_app
from edgefn.redaction import redact

MODULE, ARCH = "{module}", "{arch}"


@dataclass(frozen=True, slots=True)
class Make:
    """What the command was asked for."""

    apps: tuple[str, ...]
    """Folders, each as ``NAME=FOLDER`` or by itself."""
    given: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    arch: str | None = None
    devices: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """``NAME=NUMBER``, as they are on the boxes."""
    wanted: Wanted = field(default_factory=Wanted)
    output: Path | None = None
    schema: Path | None = None


def run_manifest(asked: Make) -> int:
    """Prints or writes the manifest, and its notes to the standard error; 1 where there is none."""
    try:
        box = Box(asked.arch or "", asked.devices, settings_given(asked.groups, "--group"))
        modules = opened(asked, box)
        made = manifest(modules, replace(asked.wanted, box=box))
        if asked.schema is not None:
            _write(asked.schema, _schemas(modules))
        give(made, asked.output)
    except EdgefnError as error:
        typer.echo(str(error), err=True)
        return 1
    return 0


def run_check(file: Path, apps: tuple[str, ...], *, strict: bool, as_json: bool) -> int:
    """Prints what is wrong with a manifest; 1 for an error, and for a warning where it is strict."""
    try:
        findings = check(file, dict(map(_opener, apps)))
    except EdgefnError as error:
        findings = errors_of(error)
    levels = Counter(finding.level for finding in findings)
    if as_json:
        shown = [{"level": finding.level, "text": redact(finding.text)} for finding in findings]
        typer.echo(_text({"file": str(file), "findings": shown}))
    else:
        for finding in findings:
            typer.echo(f"{finding.level}: {redact(finding.text)}")
        told = [counted(levels[level], level) for level in Level]
        typer.echo(f"{file}: {', '.join(told)}")
    return 1 if levels[Level.ERROR] or (strict and findings) else 0


def _opener(text: str) -> tuple[str, Open]:
    """The name of a module, and how its app is loaded under the settings that the manifest gives it."""
    name, folder = _named(text)
    name = name or usual_name(_loaded(folder, {}), alone=True)
    return name, lambda given: module_of(_loaded(folder, given), name, "", Box())


def opened(asked: Make, box: Box) -> list[Module]:
    """The modules of all apps that are named; raises EdgefnError."""
    chosen = named_apps(asked.apps, asked.given, asked.images, asked.arch)
    return [module_of(app, name, image, box) for app, name, image in chosen]


def named_apps(
    folders: Sequence[str], given: tuple[str, ...], images: Sequence[str], arch: str | None
) -> list[tuple[App, str, str]]:
    """Each app, with the name and the image of its module; raises EdgefnError."""
    settings = settings_given(given)
    apps = [(name, _loaded(folder, settings)) for name, folder in map(_named, folders or ("",))]
    names = [name or usual_name(app, alone=len(apps) == 1) for name, app in apps]
    if twice := [name for name, count in Counter(name.lower() for name in names).items() if count > 1]:
        raise EdgefnError(f"module '{twice[0]}': two apps have that name; name one of them: NAME=FOLDER")
    usual = {name: usual_tag(app.root) for (_, app), name in zip(apps, names, strict=True)}
    chosen = _images(images, arch, usual)
    return [(app, name, chosen[name]) for (_, app), name in zip(apps, names, strict=True)]


def _named(text: str) -> tuple[str, str]:
    name, has_name, folder = text.partition("=")
    return (name, folder) if has_name else ("", text)


def _loaded(folder: str, given: Mapping[str, str]) -> App:
    root = app_root(Path(folder) if folder else None)
    return load_app(root, given=given, state=state_of(root))


def usual_name(app: App, *, alone: bool) -> str:
    """The module of host.json; of several apps, the folder of one whose host.json names none."""
    options = edge_hub_options(app.root, app.config)
    return options.module_id if alone or "module_id" in options.model_fields_set else app.root.name


def _images(asked: Sequence[str], arch: str | None, usual: Mapping[str, str]) -> dict[str, str]:
    """The image of each module: ``NAME=IMAGE``, or one pattern for all, or what ``edgefn build`` calls it."""
    pattern: str | None = None
    named: dict[str, str] = {}
    for text in asked:
        name, has_name, image = text.partition("=")
        if not has_name:
            if MODULE not in text and len(usual) > 1:
                raise EdgefnError(f"--image {text}: several modules; {MODULE} stands for the name, or give NAME=IMAGE")
            pattern = text
        elif name not in usual:
            raise EdgefnError(f"--image {text}: there is no module '{name}'; modules: {listing(usual)}")
        else:
            named[name] = image
    filled = {name: _filled(named.get(name, pattern or built), name, arch) for name, built in usual.items()}
    if fault := next(filter(None, map(fault_of_name, filled.values())), ""):
        raise EdgefnError(f"--image: {fault}")
    return filled


def _filled(image: str, module: str, arch: str | None) -> str:
    """The image of a module for one architecture: in the place of ``{arch}``, else behind its tag."""
    image = image.replace(MODULE, module.lower())
    if arch is None:
        if ARCH in image:
            raise EdgefnError(f"--image {image}: {ARCH} stands for an architecture; give --arch")
        return image
    if ARCH in image:
        return image.replace(ARCH, arch)
    return f"{image}-{arch}" if ":" in image.rpartition("/")[2] else f"{image}:latest-{arch}"


def _schemas(modules: Iterable[Module]) -> dict[str, object]:
    """The schema of the one module, or of each by its name."""
    schemas = {module.name: desired_schema(module.app, module.name, module.needs) for module in modules}
    return next(iter(schemas.values())) if len(schemas) == 1 else {**schemas}


def _text(document: Mapping[str, object]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)


def _write(path: Path, document: Mapping[str, object]) -> None:
    try:
        path.write_text(_text(document) + "\n", encoding="utf-8")
    except OSError as error:
        raise EdgefnError(f"{path}: can not be written: {error.strerror}; name another file") from None


def give(made: Made, output: Path | None) -> None:
    """Prints or writes what was made, and its notes to the standard error; raises EdgefnError."""
    if output is None:
        typer.echo(_text(made.document))
    else:
        _write(output, made.document)
    for note in made.notes:
        typer.echo(f"note: {redact(note)}", err=True)
