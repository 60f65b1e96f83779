"""The options of ``timerTrigger``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PlainValidator

from edgefn.function import Options, Truth
from edgefn.ncrontab import Schedule, parse

FORMS = r"^\s*(?:\S+(?:\s+\S+){4,5}|(?:\d+\.)?\d+:\d+(?::\d+(?:\.\d+)?)?)\s*$"
"""What a schedule looks like: five or six fields, or a TimeSpan."""


class TimerTrigger(Options):
    """The options of ``timerTrigger``."""

    schedule: Annotated[Schedule, PlainValidator(parse, json_schema_input_type=Annotated[str, Field(pattern=FORMS)])]
    """NCRONTAB of six or five fields, or a TimeSpan."""
    run_on_startup: Annotated[bool, Truth] = False
    """Whether the function also runs when the host starts."""
    use_monitor: Annotated[bool, Truth] = True
    """Whether a restart sees what was missed; never done for a schedule that fires more than once a minute."""
