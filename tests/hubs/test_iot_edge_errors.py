"""What the iotedge hub says of what is wrong around it: which variable, what would be right, and nothing secret."""

from __future__ import annotations

import logging
import socket
import threading
import time
from pathlib import Path

import pytest

from edgefn.contracts import HubState
from edgefn.hubs.iot_edge import sdk, workload
from edgefn.hubs.iot_edge.credentials import Credentials
from edgefn.hubs.iot_edge.identity import Identity, SharedKey, WorkloadKey
from edgefn.hubs.options import EdgeHubOptions
from edgefn.mqtt.faults import Cause, Fault, Repetitions, redacted
from tests.hubs.edges import Edge, edge_on, message
from tests.hubs.sinks import in_thread, until
from tests.standin.hubs import HubProcess


async def environment(process: HubProcess, **changes: str) -> dict[str, str]:
    return {**await in_thread(process.env, "cam"), **changes}


async def said_by(process: HubProcess, settings: dict[str, str], within: float = 15) -> str:
    """What a hub with these settings says when it does not get online."""
    edge = Edge(process, settings, connect_timeout=2)
    await edge.start()
    try:
        await until(lambda: edge.hub.state is HubState.OFFLINE, within=within)
        return edge.lost
    finally:
        await edge.hub.stop()


async def test_a_wrong_generation_and_an_unknown_module_are_named(shared_hub: HubProcess) -> None:
    for changes in ({"IOTEDGE_MODULEGENERATIONID": "1"}, {"IOTEDGE_MODULEID": "nobody"}):
        said = await said_by(shared_hub, await environment(shared_hub, **changes))
        assert "404" in said
        assert "IOTEDGE_MODULEID and IOTEDGE_MODULEGENERATIONID should be those of a module" in said


async def test_a_wrong_signature_is_refused_with_the_variables_that_may_be_wrong(own_hub: HubProcess) -> None:
    await in_thread(own_hub.control.fault, "wrong-signature")
    said = await said_by(own_hub, await environment(own_hub))
    assert "CONNECT with 5 (not authorised)" in said
    assert "IOTEDGE_MODULEID and IOTEDGE_MODULEGENERATIONID should be those of 'edge/cam'" in said


async def test_a_wrong_key_names_the_connection_string_and_does_not_show_it(shared_hub: HubProcess) -> None:
    settings = await in_thread(shared_hub.debug_env, "cam")
    right = settings["EdgeHubConnectionString"]
    wrong = right.replace("SharedAccessKey=", "SharedAccessKey=AAAA")
    said = await said_by(shared_hub, {**settings, "EdgeHubConnectionString": wrong})
    assert "SharedAccessKey in EdgeHubConnectionString should be those of 'edge/cam'" in said
    assert "AAAA" not in said


async def test_a_certificate_for_another_host_names_the_variable(own_hub: HubProcess) -> None:
    await in_thread(own_hub.control.fault, "wrong-host-name")
    said = await said_by(own_hub, await environment(own_hub))
    assert f"IOTEDGE_GATEWAYHOSTNAME: the certificate of the hub is not for '{own_hub.address}'" in said


async def test_roots_that_do_not_know_the_hub_are_named(shared_hub: HubProcess, tmp_path: Path) -> None:
    settings = await in_thread(shared_hub.debug_env, "cam")
    without = {"EdgeHubConnectionString": settings["EdgeHubConnectionString"]}
    assert "is not trusted by the system's roots (EdgeModuleCACertificateFile names others)" in await said_by(
        shared_hub, without
    )
    (tmp_path / "ca.pem").write_text("no certificate")
    for path, text in ((tmp_path / "ca.pem", "no certificates that can be used"), (tmp_path / "x", "can not be read")):
        said = await said_by(shared_hub, {**without, "EdgeModuleCACertificateFile": str(path)})
        assert f"EdgeModuleCACertificateFile: {path}" in said or f"EdgeModuleCACertificateFile {path}" in said
        assert text in said


async def test_a_name_without_address_and_a_closed_port_are_named(shared_hub: HubProcess) -> None:
    said = await said_by(shared_hub, await environment(shared_hub, IOTEDGE_GATEWAYHOSTNAME="nowhere.invalid"))
    assert "IOTEDGE_GATEWAYHOSTNAME: 'nowhere.invalid' has no address" in said
    said = await said_by(shared_hub, await environment(shared_hub, IOTEDGE_GATEWAYHOSTNAME="127.0.0.254"))
    assert "IOTEDGE_GATEWAYHOSTNAME: nothing listens at 127.0.0.254:8883" in said


async def test_a_workload_api_that_is_not_there_or_does_not_answer_is_named_and_found_when_it_does(
    own_hub: HubProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workload, "PATIENCE", 0.5)
    uri = (await environment(own_hub))["IOTEDGE_WORKLOADURI"]
    for fault, said in (
        ("workload-gone", f"IOTEDGE_WORKLOADURI {uri}: can not be asked"),
        ("workload-503", "was answered with 503"),
        ("workload-hang", "was not answered within"),
    ):
        await in_thread(own_hub.control.fault, fault, seconds=1.5)
        async with edge_on(own_hub, online=False) as edge:
            await until(lambda said=said, edge=edge: said in edge.lost)  # type: ignore[misc]
            await edge.online(within=15)


async def test_what_goes_wrong_for_long_is_said_less_and_less_often(
    shared_hub: HubProcess, caplog: pytest.LogCaptureFixture
) -> None:
    edge = Edge(shared_hub, await environment(shared_hub, IOTEDGE_GATEWAYHOSTNAME="127.0.0.254"))
    await edge.start()
    await until(lambda: caplog.text.count("nothing listens") == 3)
    await edge.hub.stop()
    assert "(4 times by now)" in caplog.text
    said = Repetitions()
    fault = Fault(Cause.CLOSED, "closed")
    assert sum(said.worth_a_line(fault) for _ in range(1000)) == 10
    said.forget()
    assert said.worth_a_line(fault)


async def test_no_secret_is_in_any_line_or_status(
    shared_hub: HubProcess, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens: list[str] = []
    original = sdk.dial

    def dial(identity: Identity, made: Credentials, options: EdgeHubOptions, given_up: threading.Event) -> object:
        tokens.append(made.token)
        return original(identity, made, options, given_up)

    monkeypatch.setattr(sdk, "dial", dial)
    for name in ("azure.iot.device", "paho"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.DEBUG)
    settings = await in_thread(shared_hub.debug_env, "secretive")
    key = next(part for part in settings["EdgeHubConnectionString"].split(";") if part.startswith("SharedAccessKey"))
    with caplog.at_level(logging.DEBUG):
        edge = Edge(shared_hub, settings)
        await edge.start()
        await edge.online()
        await edge.hub.publish(message())
        await edge.fault("refuse-connect", code=5, count=1)
        await edge.fault("kill-connections")
        await edge.online(generation=2)
        await edge.hub.stop()
    assert len(tokens) >= 3
    shown = caplog.text + str(edge.hub.status())
    for secret in (key.partition("=")[2], *(token.partition("sig=")[2].partition("&")[0] for token in tokens)):
        assert secret not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("HostName=h;SharedAccessKey=abc=;GatewayHostName=g", "HostName=h;SharedAccessKey=***;GatewayHostName=g"),
        ("SharedAccessSignature sr=h%2Fd&sig=a%2Bb&se=1", "SharedAccessSignature ***&sig=***&se=1"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_keys_and_signatures_are_taken_out_of_texts(text: str, shown: str) -> None:
    assert redacted(text) == shown


# --- the SDK -------------------------------------------------------------------------------------------------------

MODULE = Identity("hub", "edge", "cam", "127.0.0.1", SharedKey(b"key", "EdgeHubConnectionString"))


def test_a_client_whose_shape_is_not_known_is_refused() -> None:
    with pytest.raises(Fault, match=r"azure-iot-device>=2.15.0rc1,<2.16 and paho-mqtt>=2.2,<3 would be right"):
        sdk._taken_out_of(object())


async def test_tls_is_limited_where_that_is_asked_for(shared_hub: HubProcess) -> None:
    for option, version in (("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")):
        async with edge_on(shared_hub, max_tls=option) as edge:
            connection = edge.hub._connection
            assert connection is not None
            assert connection._client.socket().version() == version  # type: ignore[union-attr]


def test_a_connection_that_comes_too_late_is_closed() -> None:
    import asyncio

    from edgefn.hubs.iot_edge import keeper

    class Client:
        def __init__(self, sock: socket.socket) -> None:
            self._sock = sock

        def socket(self) -> socket.socket:
            return self._sock

    async def main() -> None:
        ours, theirs = socket.socketpair()
        late: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        late.add_done_callback(keeper._close)  # type: ignore[arg-type]
        late.set_result(Client(ours))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert theirs.recv(1) == b""
        theirs.close()

    asyncio.run(main())


# --- the workload API ----------------------------------------------------------------------------------------------


@pytest.fixture
def silent_socket(tmp_path: Path) -> object:
    """Something that listens, and never answers."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "workload.sock"))
        listening.listen()
        yield f"unix://{tmp_path / 'workload.sock'}"


def test_a_workload_api_that_never_answers_takes_no_longer_than_its_patience(
    silent_socket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workload, "PATIENCE", 0.3)
    began = time.monotonic()
    with pytest.raises(Fault, match=r"was not answered within 0.3 s"):
        workload.trust_bundle(WorkloadKey(silent_socket, "1", "2021-12-07"))
    assert time.monotonic() - began < 1


def test_the_workload_api_may_be_behind_http_and_is_told_apart_from_other_things(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import http.server
    import threading

    answers = iter([(200, b'{"certificate": "PEM"}'), (200, b"<html>"), (500, b'{"message": "no key"}')])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = next(answers)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        key = WorkloadKey(f"http://127.0.0.1:{server.server_address[1]}/", "1", "2021-12-07")
        assert workload.trust_bundle(key) == "PEM"
        with pytest.raises(Fault, match="without a 'certificate'; it should be the workload API"):
            workload.trust_bundle(key)
        with pytest.raises(Fault, match="answered with 500: no key"):
            workload.trust_bundle(key)
        server.shutdown()
        serving.join()
