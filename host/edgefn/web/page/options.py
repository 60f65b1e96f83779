"""Whether a host has its page: ``extensions.page`` of host.json, and the command line before it."""

from __future__ import annotations

from pathlib import Path

from edgefn.extensions import read_extension
from edgefn.function import Options
from edgefn.settings import HostConfig
from edgefn.web.options import ServerOptions


class PageOptions(Options):
    """``extensions.page`` of host.json."""

    enabled: bool | None = None
    """Without it the page is there where the server listens on the loopback address only."""


def has_page(root: Path, config: HostConfig, server: ServerOptions) -> bool:
    """Whether the page is on; raises SettingError for what host.json should not say."""
    declared = read_extension(PageOptions, root, config, "page").enabled
    asked = server.page if server.page is not None else declared
    return server.is_loopback if asked is None else asked
