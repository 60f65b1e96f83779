"""What is there after the start."""

import azure.functions as func

from functions import __NAME__ as module


def test_zones_are_there_after_the_start() -> None:
    module.__NAME__(func.warmup.WarmUpContext())
    assert module.zones == {"gate": 3, "yard": 10}
