"""Which hub a host takes, and who it is to it: by the environment, and with errors that name the variable."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgefn.contracts import EdgeMessage, Hub
from edgefn.errors import HubError, SettingError, TooLarge
from edgefn.hubs.iot_edge import hub as hub_module
from edgefn.hubs.iot_edge.hub import IotEdgeHub
from edgefn.hubs.iot_edge.identity import VARIABLES, Identity, SharedKey, WorkloadKey, find_identity
from edgefn.hubs.local import LocalHub
from edgefn.loader import load_app
from edgefn.settings import Settings
from tests.hubs.sinks import RecordingSink

KEY = base64.b64encode(b"a secret key").decode()
MODULE_STRING = f"HostName=hub.azure-devices.net;DeviceId=edge;ModuleId=cam;SharedAccessKey={KEY};GatewayHostName=gw"
DEVICE_STRING = f"HostName=hub.azure-devices.net;DeviceId=thermo;SharedAccessKey={KEY}"
ENVIRONMENT = dict(
    zip(VARIABLES, ("hub", "edge", "cam", "gw", "7", "unix:///run/workload.sock", "2021-12-07"), strict=True)
)

HubWith = Callable[..., Hub]


@pytest.fixture
def hub_with(tmp_path: Path) -> HubWith:
    def make(environment: dict[str, str], **options: object) -> Hub:
        document = {"version": "2.0", "extensions": {"edgeHub": options}}
        (tmp_path / "host.json").write_text(json.dumps(document))
        return load_app(tmp_path, environment=environment).services.hub

    return make


def identity_of(environment: dict[str, str]) -> Identity | None:
    return find_identity(Settings(environment))


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({}, LocalHub),
        (ENVIRONMENT, IotEdgeHub),
        ({"EdgeHubConnectionString": MODULE_STRING, "EdgeModuleCACertificateFile": "ca.pem"}, IotEdgeHub),
        ({"CONNECTIONSTRING": MODULE_STRING}, IotEdgeHub),
        ({"CONNECTIONSTRING": DEVICE_STRING}, IotEdgeHub),
        ({"ConnectionString": "Server=tcp:sql.example;Database=orders;Password=x"}, LocalHub),
    ],
)
def test_the_environment_chooses_the_hub_and_one_host_json_serves_both(
    hub_with: HubWith, environment: dict[str, str], kind: type[Hub]
) -> None:
    hub = hub_with(environment, moduleId="edgefn", routes={"all": "FROM /* INTO $upstream"}, keepAlive=60, maxTls="1.2")
    assert type(hub) is kind


def test_the_environment_of_iot_edge_says_who_a_module_is() -> None:
    found = identity_of(ENVIRONMENT)
    assert found == Identity("hub", "edge", "cam", "gw", WorkloadKey("unix:///run/workload.sock", "7", "2021-12-07"))
    assert (found.name, found.host, found.path) == ("edge/cam", "gw", "devices/edge/modules/cam")


def test_a_connection_string_is_that_of_a_module_or_of_a_device_and_with_or_without_gateway() -> None:
    module = identity_of({"EdgeHubConnectionString": MODULE_STRING, "EdgeModuleCACertificateFile": "ca.pem"})
    device = identity_of({"CONNECTIONSTRING": f" {DEVICE_STRING};\n"})
    assert module is not None
    assert device is not None
    assert (module.name, module.host) == ("edge/cam", "gw")
    assert module.key == SharedKey(b"a secret key", "EdgeHubConnectionString", "ca.pem")
    assert (device.name, device.host, device.path) == ("thermo", "hub.azure-devices.net", "devices/thermo")


def test_the_environment_goes_before_connection_strings() -> None:
    found = identity_of({**ENVIRONMENT, "CONNECTIONSTRING": DEVICE_STRING})
    assert found is not None
    assert found.name == "edge/cam"


@pytest.mark.parametrize("missing", VARIABLES)
def test_half_an_environment_names_what_is_missing(missing: str) -> None:
    with pytest.raises(SettingError, match=f"{missing} not set"):
        identity_of({**ENVIRONMENT, missing: ""})


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({**ENVIRONMENT, "IOTEDGE_WORKLOADURI": "/run/workload.sock"}, "IOTEDGE_WORKLOADURI: '/run/workload.sock'"),
        ({"EdgeHubConnectionString": "HostName=hub"}, "EdgeHubConnectionString: no DeviceId, SharedAccessKey"),
        ({**ENVIRONMENT, "IOTEDGE_MODULEID": "a+b"}, "IOTEDGE_MODULEID: 'edge/a.b' can not be used over MQTT"),
        ({"CONNECTIONSTRING": f"{DEVICE_STRING}x"}, "CONNECTIONSTRING: its SharedAccessKey is no base64"),
    ],
)
def test_what_can_not_become_right_by_waiting_is_an_error_at_once(environment: dict[str, str], said: str) -> None:
    with pytest.raises(SettingError, match=said) as error:
        identity_of(environment)
    assert KEY not in str(error.value)


def test_wrong_options_are_refused_with_their_place(hub_with: HubWith) -> None:
    with pytest.raises(SettingError, match=r"extensions.edgeHub.keepAliv: .*did you mean 'keepAlive'"):
        hub_with(ENVIRONMENT, keepAliv=3)


async def test_an_unknown_version_of_the_sdk_is_refused(hub_with: HubWith, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module.importlib.metadata, "version", lambda name: "3.0.0b2")
    with pytest.raises(HubError, match=r"azure-iot-device 3.0.0b2 is installed; azure-iot-device>=2.15.0rc1,<2.16"):
        await hub_with(ENVIRONMENT).start(RecordingSink())


def test_a_message_is_measured_before_the_hub_is_started(hub_with: HubWith) -> None:
    hub = hub_with(ENVIRONMENT)
    hub.check(EdgeMessage(b"1", output_name="out"))
    with pytest.raises(TooLarge, match="for output 'out'"):
        hub.check(EdgeMessage(bytes(262_144), output_name="out"))
