"""The options of ``edgefn start``, each by its name."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from edgefn.cli.arguments import Given, Only, RecordOut, Root, State

UntilEnd = Annotated[
    bool, typer.Option("--until-end", help="Leave when every source has ended, and folders are worked off.")
]
MaxSeconds = Annotated[float | None, typer.Option("--max-seconds", min=0.0, help="Leave after so many seconds.")]
Reload = Annotated[
    bool | None, typer.Option("--reload/--no-reload", help="Take in what is saved; on, but in a module.")
]

Upstream = Annotated[bool, typer.Option("--upstream", help="Print each message that goes to IoT Hub.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Log lines as JSON objects.")]
LogForm = Annotated[
    Literal["console", "edge", "json"] | None,
    typer.Option("--log-form", help="The form of log lines; else edge, edgeAgent's, in a module, and console."),
]
Verbose = Annotated[bool, typer.Option("--verbose", help="More log lines: one for each invocation.")]
UserLogLevel = Annotated[
    str | None,
    typer.Option("--user-log-level", help="Lowest level of the functions' own lines: debug, information, ..."),
]

Port = Annotated[
    int | None, typer.Option("--port", "-p", min=0, max=65535, help="The port; else 7071, 8080 in a module.")
]
Address = Annotated[str | None, typer.Option("--address", help="The address; else 127.0.0.1.")]
Cors = Annotated[str | None, typer.Option("--cors", help="Origins that browsers may call from, or *.")]
CorsCredentials = Annotated[bool, typer.Option("--cors-credentials", help="Let them send credentials.")]
EnableAuth = Annotated[bool, typer.Option("--enable-auth", "--enableAuth", help="Ask for keys.")]
Page = Annotated[
    bool | None, typer.Option("--page/--no-page", help="The page at /; else where only this machine listens.")
]

DebugPort = Annotated[
    int | None,
    typer.Option("--debug-port", min=1, max=65535, help="Wait for a debugger; --debug[=PORT] is the same, 5678."),
]
Record = Annotated[
    str | None, typer.Option("--record", metavar="FUNCTION", help="Record a function; a file is written at the end.")
]
RecordSeconds = Annotated[float, typer.Option("--record-seconds", min=0.1, help="The last so many seconds of it.")]


def start(
    root: Root = None,
    only: Only = None,
    given: Given = None,
    state: State = None,
    until_end: UntilEnd = False,
    max_seconds: MaxSeconds = None,
    reload: Reload = None,
    upstream: Upstream = False,
    as_json: JsonLines = False,
    log_form: LogForm = None,
    verbose: Verbose = False,
    port: Port = None,
    address: Address = None,
    cors: Cors = None,
    cors_credentials: CorsCredentials = False,
    enable_auth: EnableAuth = False,
    page: Page = None,
    user_log_level: UserLogLevel = None,
    debug_port: DebugPort = None,
    record: Record = None,
    record_seconds: RecordSeconds = 10.0,
    record_out: RecordOut = None,
) -> None:
    """Run an app, or the sample where there is none."""
    from edgefn.cli.record import RecordAsked
    from edgefn.cli.start import Start, run_start
    from edgefn.web.options import Asked

    asked = Start(
        root=root,
        only=tuple(only or ()),
        given=tuple(given or ()),
        state=state,
        until_end=until_end,
        max_seconds=max_seconds,
        upstream=upstream,
        form="json" if as_json else log_form,
        verbose=verbose,
        user_log_level=user_log_level,
        debug_port=debug_port,
        reload=reload,
        web=Asked(port, address, cors, cors_credentials, enable_auth, page),
        record=None if record is None else RecordAsked(record, record_seconds, record_out),
    )
    raise typer.Exit(run_start(asked))
