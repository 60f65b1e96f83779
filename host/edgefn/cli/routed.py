"""What is odd about the routes that an app declares in host.json."""

from __future__ import annotations

from collections.abc import Iterator

from edgefn.deploy.module import function_needs
from edgefn.deploy.routing import own_routes
from edgefn.errors import SettingError
from edgefn.loader import App
from edgefn.routes import parse_routes


def odd_routes(app: App) -> Iterator[str]:
    """A warning for each route that takes nothing, and for each output that no route takes."""
    try:
        own = own_routes(app)
    except SettingError as error:
        yield str(error)  # where the hub is another one, which has no use for them
        return
    if own.routes is None:
        return
    needs = [function_needs(each, app.kinds) for each in app.functions if not each.errors]
    outputs = dict.fromkeys(name for each in needs for name in each.outputs if name)
    warnings = parse_routes(own.routes).warnings([(own.module_id, name) for name in outputs], (), (own.module_id,))
    for warning in warnings:
        if warning.names_unknown:  # the deployment gives modules their names
            continue
        named = (warning.route,) if warning.route else ()
        where = app.config.at(app.root, "extensions", "edgeHub", "routes", *named)
        yield f"{where}: " + (f'route "{warning.route}" ' if warning.route else "") + warning.text
