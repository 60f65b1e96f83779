"""edgeHub's routing language: which message of which source goes where.

    FROM /messages/modules/cam/outputs/* WHERE as_number(score) > 0.5 INTO BrokeredEndpoint("/modules/log/inputs/in")

``parse_route`` and ``parse_routes`` refuse what edgeHub refuses; ``Routes.sinks_for`` decides as edgeHub decides, also
where that surprises, so that a route does here what it does on the device. What surprises is listed by
``Routes.warnings``.
"""

from edgefn.routes.condition import Condition, RoutedMessage
from edgefn.routes.route import (
    DEFAULT_PRIORITY,
    Delivery,
    ModuleInput,
    Route,
    Routes,
    RouteWarning,
    Sink,
    Upstream,
    parse_route,
    parse_routes,
)
from edgefn.routes.tokens import RouteError

__all__ = [
    "DEFAULT_PRIORITY",
    "Condition",
    "Delivery",
    "ModuleInput",
    "Route",
    "RouteError",
    "RouteWarning",
    "RoutedMessage",
    "Routes",
    "Sink",
    "Upstream",
    "parse_route",
    "parse_routes",
]
