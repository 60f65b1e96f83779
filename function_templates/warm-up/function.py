"""Runs once, when the host has started, before it tells that it is ready."""

import logging

import azure.functions as func
import edgefn

app = edgefn.FunctionApp()
log = logging.getLogger(__name__)
zones: dict[str, int] = {}


@app.warm_up_trigger("context")
def __NAME__(context: func.warmup.WarmUpContext) -> None:
    zones.update(gate=3, yard=10)
    log.info("Ready with %d zones", len(zones))
