"""What is examined: an app with its settings and its state folder, as far as they can be read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgefn.errors import EdgefnError, SettingError
from edgefn.function import Binding, Function
from edgefn.hubs.iot_edge.identity import CONNECTION_STRING, DEBUG_STRING, VARIABLES, find_identity
from edgefn.loader import App, load_app
from edgefn.redaction import hold, secrets_in
from edgefn.settings import HostConfig, Settings, load_host_config, load_settings

NO_HUB = dict.fromkeys((*VARIABLES, DEBUG_STRING, CONNECTION_STRING), "")
"""Settings over all others that leave the local hub."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Everything that checks look at. What could not be read is empty, and its error is one of ``errors``."""

    root: Path
    state: Path
    settings: Settings
    config: HostConfig
    functions: tuple[Function, ...] = ()
    errors: tuple[str, ...] = ()
    """What is wrong with the app, apart from its functions."""
    warnings: tuple[str, ...] = ()

    def bindings(self, kind: str) -> list[Binding]:
        """The bindings of a type, of all functions that are to run."""
        return [
            each
            for function in self.functions
            if not function.disabled
            for each in function.bindings
            if each.type == kind
        ]


def look_at(root: Path, state: Path, given: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> Subject:
    """Loads the app; opens and starts nothing. Wrong hub settings do not keep its functions from being looked at."""
    subject = without_app(root, state, given, environment=environment)
    if subject.errors:
        return subject
    try:
        app = _loaded(subject, environment, given)
    except EdgefnError as error:
        return without_app(root, state, given, str(error), environment=environment)
    return Subject(
        root,
        state,
        subject.settings,
        subject.config,
        tuple(app.functions),
        tuple(app.errors),
        tuple(app.warnings),
    )


def without_app(
    root: Path, state: Path, given: Mapping[str, str], *errors: str, environment: Mapping[str, str] = os.environ
) -> Subject:
    """The subject where the app can not be loaded, for these reasons or for wrong files of settings."""
    found = list(errors)
    settings, config = Settings({**environment, **given}), HostConfig()
    try:
        settings = load_settings(root, environment, given)
        config = load_host_config(root, settings.values)
    except SettingError as error:
        found.append(str(error))
    hold("settings of the doctor", secrets_in(settings.values))
    return Subject(root, state, settings, config, errors=tuple(dict.fromkeys(found)))


def _loaded(subject: Subject, environment: Mapping[str, str], given: Mapping[str, str]) -> App:
    try:
        return load_app(subject.root, environment=environment, given=given, state=subject.state)
    except SettingError:
        if not _has_half_an_identity(subject.settings):
            raise
        return load_app(subject.root, environment=environment, given={**given, **NO_HUB}, state=subject.state)


def _has_half_an_identity(settings: Settings) -> bool:
    try:
        find_identity(settings)
    except SettingError:
        return True
    return False
