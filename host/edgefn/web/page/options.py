"""Whether a host has its page: ``extensions.page`` of host.json, and the command line before it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from edgefn.errors import SettingError, listing
from edgefn.settings import HostConfig
from edgefn.web.options import ServerOptions


class PageOptions(BaseModel):
    """``extensions.page`` of host.json."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    enabled: bool | None = None
    """Without it the page is there where the server listens on the loopback address only."""


def has_page(config: HostConfig, server: ServerOptions) -> bool:
    """Whether the page is on; raises SettingError for what host.json should not say."""
    try:
        options = PageOptions.model_validate(dict(config.extension("page")))
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(str(part) for part in fault["loc"])
        known = listing(PageOptions.model_fields)
        raise SettingError(f"host.json: extensions.page.{name}: {fault['msg']}; known options: {known}") from None
    asked = server.page if server.page is not None else options.enabled
    return server.is_loopback if asked is None else asked
