"""Options and arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Root = Annotated[
    Path | None,
    typer.Option("--script-root", help="The folder with host.json; else AzureWebJobsScriptRoot, else this folder."),
]
Only = Annotated[list[str] | None, typer.Option("--functions", metavar="NAME ...", help="Only these functions.")]
Given = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting, over environment and files.")
]
RecordOut = Annotated[
    Path | None, typer.Option("--record-out", help="The file of the recording; else FUNCTION.edgefn.")
]
State = Annotated[
    Path | None, typer.Option("--state", help="The folder for the host's files; else EDGEFN_STATE, else .edgefn.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON value.")]
