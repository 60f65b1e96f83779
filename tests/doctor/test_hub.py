"""The doctor on the hub, with something wrong made for real."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgefn.doctor import State
from edgefn.doctor.functions import check_functions
from edgefn.doctor.hub import check_hub
from tests.doctor.subjects import Subjects, of, the_wrong
from tests.standin.hubs import HubProcess, running_hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with running_hub(tmp_path_factory.mktemp("doctor")) as process:
        yield process


def test_without_an_environment_the_hub_is_the_local_one(subject: Subjects) -> None:
    (line,) = check_hub(subject())
    assert line.state is State.OK
    assert line.found.startswith("the local one")


def test_half_an_environment_names_what_is_missing_and_the_functions_are_looked_at(subject: Subjects) -> None:
    half = subject(IOTEDGE_DEVICEID="edge", IOTEDGE_MODULEID="cam")
    line = the_wrong(check_hub(half))
    assert "IOTEDGE_WORKLOADURI" in line.found
    assert line.remedy.startswith("edgeAgent sets all seven")
    assert [each.name for each in half.functions] == ["watch"]
    assert of(check_functions(half), State.WRONG) == []


def test_a_module_of_iot_edge_that_is_well_says_so(subject: Subjects, hub: HubProcess) -> None:
    lines = list(check_hub(subject(**hub.env("cam"))))
    assert [(line.check, line.state) for line in lines] == [
        (name, State.OK) for name in ("hub", "credentials", "gateway", "hub port")
    ]
    assert lines[-1].found.startswith(f"{hub.address}:8883 answers TLSv1.3")


def test_a_connection_string_that_is_well_shows_no_key(subject: Subjects, hub: HubProcess) -> None:
    given = hub.debug_env("cam")
    lines = list(check_hub(subject(**given)))
    assert {line.state for line in lines} == {State.OK}
    key = given["EdgeHubConnectionString"].partition("SharedAccessKey=")[2].partition(";")[0]
    assert key
    assert key not in repr(lines)


def test_a_workload_socket_that_is_not_there_is_wrong_and_the_port_is_tried(subject: Subjects, hub: HubProcess) -> None:
    lines = list(check_hub(subject(**hub.env("cam") | {"IOTEDGE_WORKLOADURI": "unix:///nowhere.sock"})))
    line = the_wrong(iter(lines))
    assert (line.check, line.remedy.partition(",")[0]) == ("credentials", "edgeAgent mounts the socket")
    assert (lines[-1].check, lines[-1].state) == ("hub port", State.NOTE)


def test_another_generation_than_the_runtimes_is_wrong(subject: Subjects, hub: HubProcess) -> None:
    line = the_wrong(check_hub(subject(**hub.env("cam") | {"IOTEDGE_MODULEGENERATIONID": "of-another-time"})))
    assert line.check == "credentials"
    assert "IOTEDGE_MODULEGENERATIONID should be" in line.remedy


def test_a_gateway_that_has_no_address_is_wrong(subject: Subjects, hub: HubProcess) -> None:
    line = the_wrong(check_hub(subject(**hub.env("cam") | {"IOTEDGE_GATEWAYHOSTNAME": "no-such-host.invalid"})))
    assert (line.check, "'no-such-host.invalid' has no address" in line.found) == ("gateway", True)


def test_a_gateway_where_nothing_listens_is_wrong(subject: Subjects, hub: HubProcess) -> None:
    line = the_wrong(check_hub(subject(**hub.env("cam") | {"IOTEDGE_GATEWAYHOSTNAME": "127.63.1.9"})))
    assert (line.check, "nothing listens at 127.63.1.9:8883" in line.found) == ("hub port", True)


def test_variables_beside_a_connection_string_that_do_nothing_are_a_note(subject: Subjects, hub: HubProcess) -> None:
    (line,) = of(check_hub(subject(IOTEDGE_MODULEID="cam", **hub.debug_env("cam"))), State.NOTE)
    assert line.found.startswith("IOTEDGE_MODULEID set, but not all")
