"""Runs when the desired property __PROPERTY__ changes: names of zones, and how many may be in each."""

import logging

import edgefn

app = edgefn.FunctionApp()
log = logging.getLogger(__name__)
limits: dict[str, int] = {}


@app.twin_trigger(arg_name="wanted", property="__PROPERTY__")
def __NAME__(wanted: dict[str, int] | None) -> None:
    limits.clear()
    limits.update(wanted or {})
    log.info("Zones: %s", ", ".join(f"{name} up to {most}" for name, most in limits.items()) or "none")
