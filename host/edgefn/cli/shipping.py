"""The commands that bring an app to boxes, and their options; their work is in modules of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from edgefn.cli.arguments import Given

Images = Annotated[
    list[str] | None,
    typer.Option("--image", metavar="[NAME=]IMAGE", help="The image; {module} and {arch} stand for their names."),
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="The file; else printed.")]


class MakeUnlessNamed(TyperGroup):
    """``edgefn manifest APP`` is ``edgefn manifest make APP``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["make", *args]
        return super().parse_args(ctx, args)


manifest = typer.Typer(
    cls=MakeUnlessNamed,
    help="Make the deployment manifest of apps (APP ...), that for Kubernetes, or check one.",
    rich_markup_mode=None,
)


@manifest.command("make")
def make_manifest(
    apps: Annotated[
        list[str] | None,
        typer.Argument(metavar="APP", help="App folders, or NAME=FOLDER: each is a module; else that of this folder."),
    ] = None,
    given: Given = None,
    images: Images = None,
    arch: Annotated[str | None, typer.Option("--arch", help="amd64, arm64: for {arch}, else behind the tag.")] = None,
    output: Output = None,
    schema: Annotated[
        Path | None, typer.Option("--schema", help="A file for the JSON schema of the desired properties.")
    ] = None,
    layered: Annotated[bool, typer.Option("--layered", help="A layer over another deployment.")] = False,
    condition: Annotated[
        str | None, typer.Option("--target-condition", help="Which devices: \"tags.site='north'\".")
    ] = None,
    time_to_live: Annotated[
        int | None, typer.Option("--time-to-live", min=0, help="Seconds that edgeHub keeps messages; else 7200.")
    ] = None,
    devices: Annotated[
        list[str] | None, typer.Option("--device", metavar="/dev/...", help="One more device file.")
    ] = None,
    groups: Annotated[
        list[str] | None, typer.Option("--group", metavar="NAME=NUMBER", help="The number of a group on the boxes.")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The box's port of the first server.")] = 8080,
    collector: Annotated[
        Literal["iot-hub", "azure-monitor"] | None,
        typer.Option("--metrics-collector", help="Add Microsoft's metrics collector, which sends there."),
    ] = None,
    registry: Annotated[
        str | None, typer.Option("--registry", help="A registry that asks for user and password, by its address.")
    ] = None,
) -> None:
    """Make the manifest of apps from their code."""
    from edgefn.cli.manifest import Make, run_manifest
    from edgefn.deploy.manifest import Wanted

    wanted = Wanted(layered, condition, time_to_live, port, collector, registry)
    asked = Make(
        tuple(apps or ()),
        tuple(given or ()),
        tuple(images or ()),
        arch,
        tuple(devices or ()),
        tuple(groups or ()),
        wanted,
        output,
        schema,
    )
    raise typer.Exit(run_manifest(asked))


@manifest.command("check")
def check_manifest(
    file: Annotated[Path, typer.Argument(help="A deployment manifest, or a template of one.")],
    apps: Annotated[
        list[str] | None,
        typer.Argument(metavar="APP", help="Folders of its modules' apps, or NAME=FOLDER, to be compared with it."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings count too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say what is wrong with a manifest, whoever wrote it; 1 when something is."""
    from edgefn.cli.manifest import run_check

    raise typer.Exit(run_check(file, tuple(apps or ()), strict=strict, as_json=as_json))


@manifest.command("kubernetes")
def make_kubernetes(
    apps: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="APP", help="App folders, or NAME=FOLDER: each a StatefulSet; else that of this folder."
        ),
    ] = None,
    given: Given = None,
    images: Images = None,
    arch: Annotated[
        str | None, typer.Option("--arch", help="amd64, arm64: which nodes; and for {arch}, else behind the tag.")
    ] = None,
    output: Output = None,
    replicas: Annotated[
        int | None, typer.Option("--replicas", min=1, help="How many; else 2 where several may run, or 1.")
    ] = None,
    most: Annotated[
        int | None, typer.Option("--max-replicas", min=1, help="Add an autoscaler, which goes up to so many.")
    ] = None,
    waiting: Annotated[
        int, typer.Option("--waiting", min=1, help="Messages that may wait for each replica, before there is one more.")
    ] = 100,
    prometheus: Annotated[
        str, typer.Option("--prometheus", metavar="URL", help="Let KEDA scale, by this Prometheus; else Kubernetes.")
    ] = "",
    requests: Annotated[
        list[str] | None, typer.Option("--request", metavar="RESOURCE=QUANTITY", help="As cpu=500m, memory=1Gi.")
    ] = None,
    limits: Annotated[
        list[str] | None, typer.Option("--limit", metavar="RESOURCE=QUANTITY", help="As memory=2Gi.")
    ] = None,
    storage: Annotated[str, typer.Option("--storage", help="The volume of each replica.")] = "2Gi",
    devices: Annotated[
        list[str] | None,
        typer.Option("--device", metavar="/dev/...=RESOURCE", help="The device plugin's resource for a device file."),
    ] = None,
    groups: Annotated[
        list[str] | None, typer.Option("--group", metavar="NAME=NUMBER", help="The number of a group on the nodes.")
    ] = None,
) -> None:
    """Make the objects of apps on Kubernetes from their code, in JSON, which kubectl takes as it takes YAML."""
    from edgefn.cli.kubernetes import MakeKubernetes, run_kubernetes
    from edgefn.deploy.kubernetes import Scale

    asked = MakeKubernetes(
        tuple(apps or ()),
        tuple(given or ()),
        tuple(images or ()),
        arch,
        Scale(replicas, most, waiting, prometheus),
        tuple(requests or ()),
        tuple(limits or ()),
        storage,
        tuple(devices or ()),
        tuple(groups or ()),
        output,
    )
    raise typer.Exit(run_kubernetes(asked))


def deploy(
    file: Annotated[Path, typer.Argument(help="The manifest that edgefn manifest has made.")],
    hub: Annotated[str, typer.Option("--hub-name", "-n", help="The name of the IoT Hub.")],
    device: Annotated[str | None, typer.Option("--device-id", help="The one device that is to have it.")] = None,
    deployment: Annotated[
        str | None, typer.Option("--deployment-id", help="A new id: for all devices of the target condition.")
    ] = None,
    condition: Annotated[
        str | None, typer.Option("--target-condition", help="Which devices; else as the manifest says.")
    ] = None,
    priority: Annotated[
        int | None, typer.Option("--priority", min=0, help="Of two deployments the higher one; else 0, a layer 10.")
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="A label of the deployment.")
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="The value of $NAME; else as in the environment."),
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Run the commands instead of printing them.")] = False,
) -> None:
    """Print the Azure CLI's commands that send a manifest to IoT Hub, or run them."""
    from edgefn.cli.deploy import Deploy, run_deploy

    asked = Deploy(file, hub, device, deployment, condition, priority, tuple(labels or ()), tuple(given or ()), run)
    raise typer.Exit(run_deploy(asked))
