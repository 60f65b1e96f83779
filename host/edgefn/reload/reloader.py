"""Brings a running host to what its files say now: the least that is needed, each function for itself.

A function whose module can not be loaded, or whose bindings are wrong, keeps running as it was before.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import linecache
import logging
import re
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefn.errors import EdgefnError
from edgefn.function import Binding, Function
from edgefn.imports import AppModule, has_own_kinds, import_again, modules_of_app
from edgefn.loader import App, Defaults, load_functions, stray_levels
from edgefn.loader.declared import Declared, Found, declared_in
from edgefn.loader.overlaid import overlaid
from edgefn.loader.policies import policy_of
from edgefn.redaction import hold, secrets_in
from edgefn.reload.imports_of import stale
from edgefn.settings import HostConfig, load_host_config, load_settings

if TYPE_CHECKING:
    from edgefn.host import Host
    from edgefn.running import Running

log = logging.getLogger("edgefn.reload")

SETTINGS, CONFIG = "local.settings.json", "host.json"
LIVE = ("functionTimeout", "retry", "functions", "version", "logging", "$schema")
"""What host.json may change without a new start."""
KIND_HOOKS = ("edgefn_triggers", "edgefn_inputs", "edgefn_outputs", "edgefn_session_kinds", "edgefn_hub")
PLACE = re.compile(r"(?m)^(?P<file>[^\s:]+\.\w+):(?P<line>\d+):")
FILES = ("model", "labels", "map")
"""Options of inputs and outputs that name files."""


class NeedsStart(Exception):
    """A change that only a new start can take in."""


class Reloader:
    """``reload`` it with the files that were saved."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._broken: dict[str, str] = {}
        """Modules whose last save can not be loaded, with the reason."""
        self._refused: dict[str, str] = {}
        """Functions, or files, whose last save can not be used, with the reason."""
        self._said: set[str] = set()
        self.errors: list[str] = []
        """What of the files is not what runs, and why, with the line of source where one is at fault."""
        self.count = 0

    def files(self) -> set[Path]:
        """Files that functions use besides their code: models, their weights, labels, words."""
        found: set[Path] = set()
        for running in self._host.running:
            for binding in running.function.bindings:
                found.update(_files_of(binding, self._host.app.root))
        return found

    async def reload(self, saved: Collection[Path]) -> None:
        """Takes in what was saved; whatever is wrong is said, and what ran goes on."""
        async with self._host.operation.overlay.turn:
            began = time.perf_counter()
            try:
                changed = await self._taken_in({path.resolve() for path in saved})
            except NeedsStart as need:
                self._start_anew(str(need))
                return
            self._tell(changed, time.perf_counter() - began)

    def _start_anew(self, why: str) -> None:
        if self._host.restart is None:
            self._refused["restart"] = f"{why}: acts after a new start"
            self.errors = [*self.errors, self._refused["restart"]]
            log.warning("%s", self._refused["restart"])
        else:
            log.info("%s: starting anew", why)
            self._host.restart()

    # --- the steps -----------------------------------------------------------------------------------------------

    async def _taken_in(self, saved: set[Path]) -> list[str]:
        """The names of what was changed in the host."""
        app = self._host.app
        levels = app.config.levels
        defaults = self._defaults(saved)
        names = self._stale(saved)
        if names or any(path.suffix == ".py" or path.name == "function.json" for path in saved):
            found = await self._declared(names)
        elif defaults is not None:
            found = declared_in(app.modules, app.root)
        else:
            found = None
        files = self.files() & saved
        if found is None and not files:
            return []
        changed: list[str] = []
        if found is not None:
            changed += await self._functions(found, defaults or app.defaults, names, files)
            self._host.operation.overlay.level()
        elif files:
            changed += await self._opened_again(files)
        if app.config.levels != levels:
            changed.append("log levels")
            for warning in stray_levels(app):
                log.warning("%s", warning)
        return changed

    def _defaults(self, saved: set[Path]) -> Defaults | None:
        """What holds for all functions, where local.settings.json or host.json was saved; else None."""
        app = self._host.app
        if not saved & {app.root / SETTINGS, app.root / CONFIG}:
            return None
        try:
            settings = load_settings(app.root, app.environment, app.given)
            config = load_host_config(app.root, settings.values)
            policy = policy_of(app.root, config)
        except EdgefnError as error:
            self._refused["settings"] = str(error)
            return None
        self._refused.pop("settings", None)
        if (name := _fixed(app.config, config)) is not None:
            raise NeedsStart(f"host.json: {name} has changed")
        hold(f"settings of {app.root}", secrets_in(settings.values))
        known: Any = app.services.settings.values
        known.clear()
        known.update(settings.values)
        app.config = config
        return dataclasses.replace(
            app.defaults, settings=app.services.settings, timeout=config.function_timeout, retry=policy
        )

    def _stale(self, saved: set[Path]) -> set[str]:
        """The modules that have to be imported anew."""
        modules = modules_of_app()
        failed = {module.name: module.path for module in self._host.app.modules if module.module is None}
        known = {name: path.resolve() for name, path in modules.items()}
        changed = {name for name, path in known.items() if path in saved}
        if changed or any(path.suffix == ".py" for path in saved):
            changed |= self._broken.keys() | failed.keys()
        names = stale(changed, known)
        if has_own_kinds(names) or any(self._provides_kinds(name) for name in names):
            raise NeedsStart(f"{', '.join(sorted(names))}: a plugin or converter has changed")
        return names

    def _provides_kinds(self, name: str) -> bool:
        plugin = self._host.app.manager.get_plugin(name)
        return plugin is not None and any(hasattr(plugin, hook) for hook in KIND_HOOKS)

    async def _declared(self, names: set[str]) -> Found:
        """What the modules declare, those in ``names`` as they are on disk now."""
        app = self._host.app
        script = app.services.settings.get("PYTHON_SCRIPT_FILE_NAME") or ""
        before = {module.name: module for module in app.modules}
        fresh = await asyncio.to_thread(import_again, app.root, script, names)
        self._broken = {}
        modules: list[AppModule] = []
        for module in fresh:
            old = before.get(module.name)
            if module.module is None:
                self._broken[module.name] = module.error
                module = old if old is not None and old.module is not None else module
            modules.append(module)
        app.modules = modules
        self._plug_in(before, modules)
        found = declared_in(modules, app.root)
        found.functions = [self._as_before(declared) for declared in found.functions]
        return found

    def _as_before(self, declared: Declared) -> Declared:
        """A function whose module can not be loaded any more is where it was: its file does not tell its lines."""
        is_broken = getattr(declared.call, "__module__", "") in self._broken
        return self._host.app.declared.get(declared.name, declared) if is_broken else declared

    def _plug_in(self, before: Mapping[str, AppModule], modules: Collection[AppModule]) -> None:
        """Puts the hooks of modules that were imported anew into the place of the old ones."""
        manager = self._host.app.manager
        now = {id(module.module) for module in modules}
        for module in before.values():
            if module.module is not None and id(module.module) not in now and manager.is_registered(module.module):
                manager.unregister(module.module)
        for module in modules:
            if module.module is not None and not manager.is_registered(module.module):
                with contextlib.suppress(ValueError):
                    manager.register(module.module, module.module.__name__)

    async def _functions(self, found: Found, defaults: Defaults, names: set[str], files: set[Path]) -> list[str]:
        """Adds, swaps and removes functions until those that run are those that are declared."""
        app = self._host.app
        candidate = self._checked(found, defaults)
        wanted = {function.name: function for function in candidate.functions}
        running = {each.function.name: each for each in self._host.running}
        changed: list[str] = []
        self._refused = {name: text for name, text in self._refused.items() if name == "settings"}
        for name in running.keys() - wanted.keys():
            await self._host.remove(name)
            changed.append(f"- {name}")
        declared: dict[str, Declared] = {}
        refused: list[Function] = []
        for name, function in wanted.items():
            there = running.get(name)
            if function.errors and there is not None and _is_well(there):
                self._refused[name] = "\n".join(function.errors)
                declared[name] = app.declared[name]
                self._release_and_check(there.function)
                continue
            declared[name] = candidate.declared[name]
            if there is None:
                await self._host.add(function)
                changed.append(f"+ {name}")
            elif function.errors:
                there.function.errors[:] = function.errors
                self._refused[name] = "\n".join(function.errors)
            elif await self._swapped(there, function, files):
                changed.append(name)
            elif name in self._refused:
                refused.append(function)
        changed += await self._swapped_together(refused, files)
        app.declared, app.defaults, app.names = declared, defaults, candidate.names
        app.errors = [error for error in candidate.errors if error not in self._broken.values()]
        return changed

    def _checked(self, found: Found, defaults: Defaults) -> App:
        """The functions as they are declared now, with what is wrong with each, under the desired properties."""
        app = self._host.app
        only = app.only or app.config.functions
        for running in self._host.running:
            self._release(running.function)
        candidate = dataclasses.replace(app, functions=[], declared={}, names=[], errors=[], defaults=defaults)
        load_functions(candidate, found.functions, only)
        candidate.errors += found.errors
        desired = self._host.operation.overlay.in_force
        if desired:
            with contextlib.suppress(EdgefnError):
                laid = {function.name: function for function in overlaid(candidate, desired).functions}
                candidate.functions = [laid.get(function.name, function) for function in candidate.functions]
        return candidate

    def _release(self, function: Function) -> None:
        if function.trigger is not None:
            kind = self._host.app.kinds.triggers[function.trigger.type.lower()]
            if (release := getattr(kind, "release", None)) is not None:
                release(function.name)

    def _release_and_check(self, function: Function) -> None:
        """Takes back what the check of a refused version of a function has kept, for the one that goes on."""
        self._release(function)
        if function.trigger is not None:
            with contextlib.suppress(EdgefnError):
                self._host.app.kinds.triggers[function.trigger.type.lower()].check(function.trigger)

    async def _swapped(self, running: Running, function: Function, files: set[Path]) -> bool:
        """Swaps one function, where anything of it is another; one that can not be opened goes on as it was."""
        before = running.function
        if running.state == "error":
            await self._host.remove(function.name)
            self._release_and_check(function)
            await self._host.add(function)
            self._note_if_in_error(function.name)
            return True
        try:
            await self._swap([function], files)
        except EdgefnError as error:
            self._refused[function.name] = str(error)
            self._release_and_check(before)
            return False
        return before.call is not function.call or before.bindings != function.bindings or bool(files)

    async def _swap(self, functions: Sequence[Function], files: set[Path]) -> None:
        root = self._host.app.root
        await self._host.swap(functions, lambda binding: bool(_files_of(binding, root) & files))

    async def _swapped_together(self, refused: Sequence[Function], files: set[Path]) -> list[str]:
        """Swaps functions at once that can not be one by one, as those that ask one camera for something else."""
        if len(refused) < 2:
            return []
        try:
            await self._swap(refused, files)
        except EdgefnError:
            return []
        for function in refused:
            del self._refused[function.name]
            self._release_and_check(function)
        return [function.name for function in refused]

    async def _opened_again(self, files: set[Path]) -> list[str]:
        """Opens again what is made of these files: a changed model compiles beside the one that runs."""
        root = self._host.app.root
        changed = []
        for running in list(self._host.running):
            function = running.function
            if not any(_files_of(binding, root) & files for binding in function.bindings):
                continue
            self._refused.pop(function.name, None)
            again = dataclasses.replace(function, errors=[]) if running.state == "error" else function
            if await self._swapped(running, again, files):
                changed.append(function.name)
        return changed

    def _note_if_in_error(self, name: str) -> None:
        running = next(each for each in self._host.running if each.function.name == name)
        if running.state == "error":
            self._refused[name] = "\n".join(running.function.errors)

    # --- what is said --------------------------------------------------------------------------------------------

    def _tell(self, changed: list[str], seconds: float) -> None:
        reasons = dict.fromkeys([*self._broken.values(), *self._refused.values()])
        errors = [self._with_source(reason) for reason in reasons]
        for error in errors:
            if error not in self._said:
                log.error("Not reloaded, the last good version goes on: %s", error)
        self.errors = errors
        mended = self._said - set(errors)
        self._said = set(errors)
        if changed:
            self.count += 1
            log.info("Reloaded %s in %.0f ms", ", ".join(sorted(changed)), seconds * 1000)
        elif mended and not errors:
            log.info("Mended: what runs is what the files say")

    def _with_source(self, error: str) -> str:
        """An error with the line of source that it names."""
        match = PLACE.search(error)
        if match is None:
            return error
        linecache.checkcache()
        source = linecache.getline(str(self._host.app.root / match["file"]), int(match["line"])).strip()
        return f"{error}\n    {source}" if source and source not in error else error


def _is_well(running: Running) -> bool:
    return running.state not in ("error",)


def _fixed(before: HostConfig, after: HostConfig) -> str | None:
    """A part of host.json that differs, and acts only when a host starts."""
    names = (before.document.keys() | after.document.keys()) - set(LIVE)
    return next((name for name in sorted(names) if before.document.get(name) != after.document.get(name)), None)


def _files_of(binding: Binding, root: Path) -> set[Path]:
    """The files that an input or output names, with the weights beside a model."""
    found: set[Path] = set()
    for option in FILES:
        value = getattr(binding.options, option, None)
        if isinstance(value, str) and value and ":" not in value:
            for folder in (root, Path.cwd()):
                path = (folder / value).resolve()
                if path.is_file() or folder == root:
                    found |= {path, path.with_suffix(".bin")} if option == "model" else {path}
    return found
