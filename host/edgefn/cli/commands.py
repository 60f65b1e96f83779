"""The commands and their options; each one's work is in a module of its own, imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edgefn.cli.shipping import deploy, manifest

commands = typer.Typer(
    name="edgefn",
    help="Azure Functions in Python on live video, next to the camera.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

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

FIRST = "video-detection"
"""The template of an app's first function."""


def _version(wanted: bool) -> None:
    if wanted:
        from edgefn import __version__

        typer.echo(__version__)
        raise typer.Exit


@commands.callback()
def edgefn(
    version: Annotated[
        bool, typer.Option("--version", "-v", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Azure Functions in Python on live video, next to the camera."""


@commands.command()
def start(
    root: Root = None,
    only: Only = None,
    given: Given = None,
    state: State = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="Leave when every source has ended.")] = False,
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", min=0.0, help="Leave after so many seconds.")
    ] = None,
    reload: Annotated[
        bool | None, typer.Option("--reload/--no-reload", help="Take in what is saved; on, but in a module.")
    ] = None,
    upstream: Annotated[bool, typer.Option("--upstream", help="Print each message that goes to IoT Hub.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Log lines as JSON objects.")] = False,
    log_form: Annotated[
        Literal["console", "edge", "json"] | None,
        typer.Option("--log-form", help="The form of log lines; else edge, edgeAgent's, in a module, and console."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="More log lines: one for each invocation.")] = False,
    port: Annotated[
        int | None, typer.Option("--port", "-p", min=0, max=65535, help="The port; else 7071, 8080 in a module.")
    ] = None,
    address: Annotated[str | None, typer.Option("--address", help="The address; else 127.0.0.1.")] = None,
    cors: Annotated[str | None, typer.Option("--cors", help="Origins that browsers may call from, or *.")] = None,
    cors_credentials: Annotated[bool, typer.Option("--cors-credentials", help="Let them send credentials.")] = False,
    enable_auth: Annotated[bool, typer.Option("--enable-auth", "--enableAuth", help="Ask for keys.")] = False,
    page: Annotated[
        bool | None, typer.Option("--page/--no-page", help="The page at /; else where only this machine listens.")
    ] = None,
    user_log_level: Annotated[
        str, typer.Option("--user-log-level", help="Lowest level of the functions' own lines: debug, info, ...")
    ] = "info",
    debug_port: Annotated[
        int | None,
        typer.Option("--debug-port", min=1, max=65535, help="Wait for a debugger; --debug[=PORT] is the same, 5678."),
    ] = None,
    record: Annotated[
        str | None,
        typer.Option("--record", metavar="FUNCTION", help="Record a function; a file is written at the end."),
    ] = None,
    record_seconds: Annotated[
        float, typer.Option("--record-seconds", min=0.1, help="The last so many seconds of it.")
    ] = 10.0,
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


@commands.command()
def demo(
    name: Annotated[str | None, typer.Argument(help="A demo; none to list them.")] = None,
    folder: Annotated[Path | None, typer.Option("--folder", help="Keeps the app; else it is gone at the end.")] = None,
    port: Annotated[int | None, typer.Option("--port", "-p", min=0, max=65535, help="The port; else 7071.")] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page, on a display.")] = True,
    max_seconds: Annotated[float | None, typer.Option("--max-seconds", min=0.1, help="Ends after so long.")] = None,
) -> None:
    """Run an app over the sample data, and open its page."""
    from edgefn.cli.demo import DemoAsked, run_demo

    raise typer.Exit(run_demo(DemoAsked(name, folder, port, browser, max_seconds)))


@commands.command("list")
def list_functions(
    root: Root = None,
    only: Only = None,
    given: Given = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show functions, bindings and errors."""
    from edgefn.cli.show import run_list

    raise typer.Exit(run_list(root, tuple(only or ()), tuple(given or ()), as_json=as_json))


@commands.command()
def check(
    root: Root = None,
    only: Only = None,
    given: Given = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check an app without running it; 1 when something is wrong."""
    from edgefn.cli.show import run_check

    raise typer.Exit(run_check(root, tuple(only or ()), tuple(given or ()), as_json=as_json))


@commands.command()
def doctor(
    root: Root = None,
    state: State = None,
    given: Given = None,
    as_json: Annotated[bool, typer.Option("--json", help="A list of JSON objects.")] = False,
) -> None:
    """Find what keeps an app from running here, and what to do; 1 when something is wrong."""
    from edgefn.cli.doctor import run_doctor

    raise typer.Exit(run_doctor(root, state, tuple(given or ()), as_json=as_json))


@commands.command()
def run(
    function: Annotated[str, typer.Argument(help="The name of the function.")],
    text: Annotated[
        str | None, typer.Option("--input", help="What the event is made of: a body, a picture, a source.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A file with that text.")] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read that text from the standard input.")] = False,
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", metavar="NAME=VALUE", help="A property of the message.")
    ] = None,
    root: Root = None,
    given: Given = None,
) -> None:
    """Run a function once; print what it returns and sets."""
    from edgefn.cli.run import Run, run_function

    asked = Run(function, text, file, stdin, tuple(metadata or ()), root, tuple(given or ()))
    raise typer.Exit(run_function(asked))


@commands.command("record")
def record_function(
    function: Annotated[str, typer.Argument(help="The name of the function.")],
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="How long the app runs.")] = 10.0,
    out: Annotated[Path | None, typer.Option("--out", help="The file; else FUNCTION.edgefn.")] = None,
    root: Root = None,
    given: Given = None,
) -> None:
    """Run the app for some seconds; keep a function's events and results."""
    from edgefn.cli.record import RecordAsked, run_record

    raise typer.Exit(run_record(root, tuple(given or ()), RecordAsked(function, seconds, out)))


@commands.command()
def replay(
    file: Annotated[Path, typer.Argument(help="A recording.")],
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0.0, help="By how much fractions may differ, as a share or by itself.")
    ] = 1e-4,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="PATH", help="A place that may differ: '*.timestamp'.")
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="Write today's results into the file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    root: Root = None,
    given: Given = None,
) -> None:
    """Run a recording through today's code; 1 when the results differ."""
    from edgefn.cli.replay import ReplayAsked, run_replay

    asked = ReplayAsked(file, root, tuple(given or ()), tolerance, tuple(ignore or ()), as_json, update)
    raise typer.Exit(run_replay(asked))


@commands.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The folder of the app, made where it is not there.")] = Path("."),
    template: Annotated[str, typer.Option("--template", "-t", help="Of what its first function is made.")] = FIRST,
    name: Annotated[str | None, typer.Option("--name", "-n", help="The name of that function.")] = None,
    empty: Annotated[bool, typer.Option("--empty", help="An app without a function.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
) -> None:
    """Make an app, with a first function that runs at once."""
    from edgefn.cli.init import Init, run_init

    raise typer.Exit(run_init(Init(folder, template, name, empty, force)))


@commands.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def new(
    context: typer.Context,
    template: Annotated[str | None, typer.Option("--template", "-t", help="A template; or how it begins.")] = None,
    name: Annotated[str | None, typer.Option("--name", "-n", help="The name of the function.")] = None,
    root: Root = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    export: Annotated[
        Path | None,
        typer.Option("--from-custom-vision", metavar="ZIP-OR-FOLDER", help="A model that Custom Vision has exported."),
    ] = None,
) -> None:
    """Add a function made of a template. Told nothing, it asks. More options: edgefn templates list --json."""
    from edgefn.cli.new import New, run_new

    raise typer.Exit(run_new(New(template, name, tuple(context.args), root, force, export)))


@commands.command()
def build(
    folder: Annotated[Path, typer.Argument(help="The folder of the app.")] = Path("."),
    tag: Annotated[str, typer.Option("--tag", "-t", help="What the image is called; else as the folder.")] = "",
    accelerators: Annotated[str, typer.Option("--accelerators", help="cpu, gpu, npu, or gpu,npu.")] = "cpu",
    functions: Annotated[
        list[str] | None, typer.Option("--functions", help="A folder or file of the app, for its functions/.")
    ] = None,
    arch: Annotated[str, typer.Option("--arch", help="amd64 or arm64; else that of this machine.")] = "",
    given: Annotated[
        list[str] | None, typer.Option("--build-arg", metavar="NAME=VALUE", help="A further build argument.")
    ] = None,
    shown_only: Annotated[bool, typer.Option("--print", help="Print the command, and do nothing.")] = False,
) -> None:
    """Build the image of an app, with docker, podman or buildah."""
    from edgefn.cli.build import Build, run_build

    asked = Build(folder, tag, accelerators, tuple(functions or ()), arch, tuple(given or ()))
    raise typer.Exit(run_build(asked, shown_only=shown_only))


Json = Annotated[bool, typer.Option("--json", help="One JSON value.")]


@commands.command()
def send(
    name: Annotated[str, typer.Argument(metavar="INPUT", help="The input of the module.")],
    body: Annotated[str, typer.Argument(help="The body of the message.")],
    properties: Annotated[
        list[str] | None, typer.Option("--property", metavar="NAME=VALUE", help="A property of the message.")
    ] = None,
    root: Root = None,
    state: State = None,
) -> None:
    """Send a message to an input of a running host."""
    from edgefn.cli import around

    raise typer.Exit(around.send(root, state, name, body, tuple(properties or ())))


@commands.command()
def tail(
    output: Annotated[str, typer.Argument(help="Only this output.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    count: Annotated[int, typer.Option("--lines", "-n", min=0, help="The last so many.")] = 10,
    root: Root = None,
    state: State = None,
) -> None:
    """Show what went to IoT Hub by the local hub."""
    from edgefn.cli import around

    raise typer.Exit(around.tail(root, state, output, follow=follow, count=count))


@commands.command()
def status(root: Root = None, state: State = None, as_json: Json = False) -> None:
    """Show how a running host and its functions are."""
    from edgefn.cli import around

    raise typer.Exit(around.status(root, state, as_json=as_json))


@commands.command()
def health(root: Root = None, state: State = None) -> None:
    """Ask a running host whether it is ready; 1 when it is not."""
    from edgefn.cli import around

    raise typer.Exit(around.health(root, state))


@commands.command()
def logs(
    invocation: Annotated[str, typer.Option("--invocation", help="Only of this invocation.")] = "",
    function: Annotated[str, typer.Option("--function", help="Only of this function.")] = "",
    level: Annotated[str, typer.Option("--level", help="From this level on: debug, info, warning, ...")] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="At most so many, the newest.")] = 100,
    root: Root = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Show the last log lines of a running host."""
    from edgefn.cli import around

    wanted = {"invocation": invocation, "function": function, "level": level, "lines": lines}
    raise typer.Exit(around.logs(root, state, wanted, as_json=as_json))


@commands.command()
def invoke(
    method: Annotated[str, typer.Argument(help="The direct method.")],
    payload: Annotated[str | None, typer.Argument(help="A JSON value, or a text.")] = None,
    root: Root = None,
    state: State = None,
) -> None:
    """Call a direct method of a running host."""
    from edgefn.cli import around

    raise typer.Exit(around.invoke(root, state, method, payload))


host_twin = typer.Typer(help="The twin of a running host.", no_args_is_help=True, rich_markup_mode=None)
commands.add_typer(host_twin, name="twin")


@host_twin.command("get")
def get_host_twin(root: Root = None, state: State = None) -> None:
    """Show the desired and the reported properties."""
    from edgefn.cli import around

    raise typer.Exit(around.twin_get(root, state))


@host_twin.command("set")
def set_host_twin(
    patch: Annotated[str, typer.Argument(help='A JSON object: {"settings": {"NAME": 1}}.')],
    root: Root = None,
    state: State = None,
) -> None:
    """Change desired properties of the local hub, and see whether they are applied."""
    from edgefn.cli import around

    raise typer.Exit(around.twin_set(root, state, patch))


templates = typer.Typer(help="What edgefn new makes functions of.", no_args_is_help=True, rich_markup_mode=None)
commands.add_typer(templates, name="templates")


@templates.command("list")
def list_templates(as_json: Json = False) -> None:
    """Show the templates, a line each."""
    from edgefn.cli import templates as work

    raise typer.Exit(work.list_templates(as_json=as_json))


model = typer.Typer(help="Look at, convert and time model files.", no_args_is_help=True, rich_markup_mode=None)
commands.add_typer(model, name="model")

ModelFile = Annotated[Path, typer.Argument(metavar="MODEL", help="The file: .xml, .onnx, .pb, .tflite, .pdmodel.")]
SessionOption = Annotated[
    list[str] | None, typer.Option("--option", metavar="NAME=VALUE", help="An option of the session: color_order=rgb.")
]


@model.command("inspect")
def inspect_model(file: ModelFile, given: SessionOption = None, as_json: Json = False) -> None:
    """Show what a model holds, and what a session of it would be."""
    from edgefn.cli import model as work

    raise typer.Exit(work.inspect(file, tuple(given or ()), as_json=as_json))


@model.command("convert")
def convert_model(
    file: ModelFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write; its weights lie beside it.")],
    half: Annotated[bool, typer.Option("--fp16/--fp32", help="How weights are written.")] = True,
    int8: Annotated[bool, typer.Option("--int8", help="Calculate in integers; by edgefn[int8] and pictures.")] = False,
    pictures: Annotated[
        Path | None,
        typer.Option("--calibration", metavar="FOLDER", help="Pictures like those to come, in folders by name."),
    ] = None,
    given: SessionOption = None,
    as_json: Json = False,
) -> None:
    """Write a model as OpenVINO IR, and compare both."""
    from edgefn.cli import model as work

    asked = work.Convert(file, out, half, int8, pictures, tuple(given or ()))
    raise typer.Exit(work.convert(asked, as_json=as_json))


@model.command("bench")
def bench_model(
    file: ModelFile,
    device: Annotated[str, typer.Option("--device", help="CPU, GPU, NPU, AUTO, ...")] = "CPU",
    picture: Annotated[
        Path | None, typer.Option("--picture", help="What the session is given; else a drawn frame, 1280x720.")
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=60, help="For each of four ways.")] = 5.0,
    given: SessionOption = None,
    as_json: Json = False,
) -> None:
    """Time a model by a session, beside OpenVINO alone."""
    from edgefn.cli import model as work

    raise typer.Exit(work.bench(file, device, picture, tuple(given or ()), seconds, as_json=as_json))


Numbers = Annotated[list[int] | None, typer.Argument(help="The numbers of dead letters.")]
Everything = Annotated[bool, typer.Option("--all", help="All of them.")]


@commands.command()
def spool(root: Root = None, state: State = None, as_json: Json = False) -> None:
    """Show how many messages wait, and since when."""
    from edgefn.cli.spool import show_spool

    raise typer.Exit(show_spool(root, state, as_json=as_json))


dead_letter = typer.Typer(help="Messages that failed for good.", no_args_is_help=True, rich_markup_mode=None)
commands.add_typer(dead_letter, name="dead-letter")


@dead_letter.command("list")
def list_dead_letters(
    root: Root = None,
    state: State = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest.")] = 50,
    as_json: Json = False,
) -> None:
    """Show dead letters, a line each."""
    from edgefn.cli.spool import list_letters

    raise typer.Exit(list_letters(root, state, limit, as_json=as_json))


@dead_letter.command("show")
def show_dead_letter(number: int, root: Root = None, state: State = None) -> None:
    """Show one with its body, reason and traceback."""
    from edgefn.cli.spool import show_letter

    raise typer.Exit(show_letter(root, state, number))


@dead_letter.command("replay")
def replay_dead_letters(
    numbers: Numbers = None, everything: Everything = False, root: Root = None, state: State = None
) -> None:
    """Put them back: their function, or the hub, gets them again."""
    from edgefn.cli.spool import replay_letters

    raise typer.Exit(replay_letters(root, state, numbers or [], everything=everything))


@dead_letter.command("discard")
def discard_dead_letters(
    numbers: Numbers = None, everything: Everything = False, root: Root = None, state: State = None
) -> None:
    """Remove them for good."""
    from edgefn.cli.spool import discard_letters

    raise typer.Exit(discard_letters(root, state, numbers or [], everything=everything))


settings = typer.Typer(help="Show and change local.settings.json.", no_args_is_help=True, rich_markup_mode=None)
commands.add_typer(settings, name="settings")


@settings.command("list")
def list_settings(
    root: Root = None,
    show_value: Annotated[bool, typer.Option("--show-value", "--showValue", "-a", help="Show the values too.")] = False,
) -> None:
    """Show the names of the settings."""
    from edgefn.cli import app_settings

    raise typer.Exit(app_settings.list_settings(root, show_value=show_value))


@settings.command("add")
def set_setting(name: str, value: str, root: Root = None) -> None:
    """Add a setting, or give it another value."""
    from edgefn.cli import app_settings

    raise typer.Exit(app_settings.set_setting(root, name, value))


@settings.command("delete")
def delete_setting(name: str, root: Root = None) -> None:
    """Remove a setting."""
    from edgefn.cli import app_settings

    raise typer.Exit(app_settings.delete_setting(root, name))


commands.add_typer(manifest, name="manifest")
commands.command("deploy")(deploy)

hub = typer.Typer(help="A stand-in edgeHub, for developers and tests.", no_args_is_help=True, rich_markup_mode=None)
twin = typer.Typer(help="Show and change twins.", no_args_is_help=True, rich_markup_mode=None)
commands.add_typer(hub, name="hub")
hub.add_typer(twin, name="twin")

HubFolder = Annotated[Path | None, typer.Option("--dir", help="The hub's folder; else .edgefn/hub.")]


@hub.command("start")
def start_hub(
    folder: HubFolder = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Microsoft's SDK knows 8883 only.")] = 8883,
    gateway: Annotated[str, typer.Option("--gateway", help="The host name for clients; else the address.")] = "",
    device: Annotated[str, typer.Option("--device-id", help="The id of the IoT Edge device.")] = "edge",
    deployment: Annotated[
        Path | None, typer.Option("--deployment", "-d", help="A deployment manifest: routes, modules, twins.")
    ] = None,
    ack_timeout: Annotated[
        float, typer.Option("--ack-timeout", min=0.1, help="Seconds until an input is sent again.")
    ] = 30.0,
    max_upstream: Annotated[
        int, typer.Option("--max-upstream", min=10_000, help="Bytes of upstream messages that are kept.")
    ] = 100_000_000,
    faults: Annotated[
        list[str] | None, typer.Option("--fault", metavar="'NAME KEY=VALUE'", help="A fault from the first moment.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Log lines as JSON objects.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="More log lines.")] = False,
) -> None:
    """Serve until Ctrl+C."""
    from edgefn.cli import hub as work

    asked = work.HubStart(
        folder=folder,
        host=host,
        port=port,
        gateway=gateway,
        device=device,
        deployment=deployment,
        ack_timeout=ack_timeout,
        max_upstream=max_upstream,
        faults=tuple(faults or ()),
        as_json=as_json,
        verbose=verbose,
    )
    raise typer.Exit(work.start_hub(asked))


@hub.command("env")
def hub_environment(
    name: Annotated[str, typer.Argument(help="A module, made if it is not there.")],
    folder: HubFolder = None,
    connection_string: Annotated[
        bool, typer.Option("--connection-string", help="As EdgeHubConnectionString, without workload API.")
    ] = False,
    device: Annotated[bool, typer.Option("--device", help="A leaf device, as CONNECTIONSTRING.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Print the environment of a module: eval "$(edgefn hub env cam)"."""
    from edgefn.cli import hub as work

    form = "device" if device else "debug" if connection_string else "module"
    raise typer.Exit(work.show_environment(folder, name, form, as_json=as_json))


@hub.command("send")
def send_to_input(
    module: str,
    name: Annotated[str, typer.Argument(metavar="INPUT")],
    body: str,
    folder: HubFolder = None,
    properties: Annotated[
        list[str] | None, typer.Option("--property", metavar="NAME=VALUE", help="A property of the message.")
    ] = None,
    id: Annotated[str, typer.Option("--id", help="The message id.")] = "",
    content_type: Annotated[str, typer.Option("--content-type", help="What the body is.")] = "",
    sender: Annotated[str, typer.Option("--from", help="The module it seems to come from.")] = "hub",
    times: Annotated[int, typer.Option("--times", min=1, help="How often.")] = 1,
) -> None:
    """Send a message to an input of a module."""
    from edgefn.cli import hub as work

    given = work.Given(body, tuple(properties or ()), id, content_type, sender)
    raise typer.Exit(work.send(folder, module, name, given, times))


@hub.command("tail")
def tail_upstream(
    folder: HubFolder = None,
    after: Annotated[int, typer.Option("--after", min=0, help="Only messages after that number.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more, until Ctrl+C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show what went upstream."""
    from edgefn.cli import hub as work

    raise typer.Exit(work.tail(folder, after=after, follow=follow, as_json=as_json))


@twin.command("get")
def get_twin(name: Annotated[str, typer.Argument(help="A module or device.")], folder: HubFolder = None) -> None:
    """Show the twin of a module or device."""
    from edgefn.cli import hub as work

    raise typer.Exit(work.get_twin(folder, name))


@twin.command("set")
def set_twin(
    name: Annotated[str, typer.Argument(help="A module or device.")],
    desired: Annotated[str, typer.Argument(help="A JSON object; null removes a property.")],
    folder: HubFolder = None,
    replace: Annotated[bool, typer.Option("--replace", help="Make them exactly these.")] = False,
) -> None:
    """Change desired properties."""
    from edgefn.cli import hub as work

    raise typer.Exit(work.set_twin(folder, name, desired, replace=replace))


@hub.command("invoke")
def invoke_method(
    name: Annotated[str, typer.Argument(help="A module or device.")],
    method: str,
    payload: Annotated[str, typer.Argument(help="JSON.")] = "null",
    folder: HubFolder = None,
    connect: Annotated[float, typer.Option("--connect-timeout", min=0, help="Seconds to wait for the module.")] = 10,
    response: Annotated[float, typer.Option("--response-timeout", min=0, help="Seconds to wait for its answer.")] = 30,
) -> None:
    """Call a direct method."""
    from edgefn.cli import hub as work

    raise typer.Exit(work.invoke(folder, name, method, payload, connect, response))


@hub.command("fault")
def add_fault(
    words: Annotated[list[str] | None, typer.Argument(metavar="[NAME [KEY=VALUE ...] | clear]")] = None,
    folder: HubFolder = None,
    listed: Annotated[bool, typer.Option("--list", help="All there are, with their options.")] = False,
) -> None:
    """Let something go wrong, show what does, or clear it."""
    from edgefn.cli import hub as work

    raise typer.Exit(work.fault(folder, tuple(words or ()), listed=listed))


@hub.command("status")
def hub_status(folder: HubFolder = None) -> None:
    """Show modules, queues, counters and faults."""
    from edgefn.cli import hub as work

    raise typer.Exit(work.status(folder))
