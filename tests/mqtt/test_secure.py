"""Who a broker is, and who the host is to it: certificates, and tokens that are renewed."""

from __future__ import annotations

import asyncio
import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edgefn.mqtt import link
from tests.hubs.sinks import until
from tests.mqtt.hosts import FORWARD, host_at, is_online, standing
from tests.mqtt.mosquitto import Mosquitto, broker_in


class Authority:
    """Makes certificates, in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of tests")])
        self.certificate = self._write("ca", self._key, self._name, None)

    def issue(self, name: str, address: str = "127.0.0.1", days: int = 1) -> tuple[Path, Path]:
        """The files of a certificate and its key; it is good for so many days from now, or was until so many ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return self._write(name, key, subject, address, days), self._folder / f"{name}.key"

    def _write(
        self, name: str, key: ec.EllipticCurvePrivateKey, subject: x509.Name, address: str | None, days: int = 1
    ) -> Path:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(address is None, None), critical=True)
        )
        if address is not None:
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
            made = made.add_extension(names, critical=False)
        file = self._folder / f"{name}.pem"
        file.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (self._folder / f"{name}.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
        return file


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def secure(authority: Authority, address: str = "127.0.0.1", days: int = 1) -> tuple[str, ...]:
    """The configuration of a broker with a certificate for an address."""
    certificate, key = authority.issue("broker", address, days)
    return f"certfile {certificate}", f"keyfile {key}", f"cafile {authority.certificate}"


def secure_address(broker: Mosquitto, *query: str) -> str:
    return f"mqtts://127.0.0.1:{broker.port}?{'&'.join(query)}"


async def test_a_broker_is_spoken_to_by_tls_with_a_certificate_of_the_host(
    tmp_path: Path, authority: Authority
) -> None:
    lines = (*secure(authority), "require_certificate true", "use_identity_as_username true")
    certificate, key = authority.issue("box-7")
    with broker_in(tmp_path / "broker", *lines, anonymous=False) as broker:
        there = secure_address(broker, f"ca={authority.certificate}", f"cert={certificate}", f"key={key}")
        async with host_at(tmp_path, broker, FORWARD, MQTT_BROKER=there) as host:
            assert is_online(host)
            assert standing(host)["address"] == f"mqtts://127.0.0.1:{broker.port}"


@pytest.mark.parametrize(
    ("query", "address", "said"),
    [
        ("", "127.0.0.1", "is not trusted by the system's authorities (self"),
        ("ca={folder}/authority/ca.pem", "127.0.0.2", "the certificate of the broker is not for '127.0.0.1'"),
        ("ca={folder}/nowhere.pem", "127.0.0.1", "nowhere.pem: no certificates that can be used (No such file"),
        ("ca={folder}/authority/ca.key", "127.0.0.1", "PEM of the broker's authority would be right"),
    ],
)
async def test_a_broker_that_can_not_be_trusted_is_not_connected_to(
    tmp_path: Path, authority: Authority, query: str, address: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with broker_in(tmp_path / "broker", *secure(authority, address)) as broker:
        there = secure_address(broker, query.format(folder=tmp_path))
        async with host_at(tmp_path, broker, FORWARD, waits=False, MQTT_BROKER=there) as host:
            await until(lambda: said in caplog.text)
            assert not is_online(host)


async def test_a_certificate_that_has_expired_is_named(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with broker_in(tmp_path / "broker", *secure(authority, days=-1)) as broker:
        there = secure_address(broker, f"ca={authority.certificate}")
        async with host_at(tmp_path, broker, FORWARD, waits=False, MQTT_BROKER=there):
            said = "the certificate of the broker: certificate has expired; renew it, or look at both clocks"
            await until(lambda: said in caplog.text)


async def test_a_broker_that_takes_tls_and_is_spoken_to_without_is_named(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with broker_in(tmp_path / "broker", *secure(authority)) as broker:
        there = f"mqtt://127.0.0.1:{broker.port}"
        async with host_at(tmp_path, broker, FORWARD, waits=False, MQTT_BROKER=there):
            await until(lambda: "before it answered; where it takes TLS, mqtts:// would be right" in caplog.text)


async def test_a_broker_without_tls_is_named(
    tmp_path: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    async with host_at(tmp_path, broker, FORWARD, waits=False, MQTT_BROKER=secure_address(broker)):
        await until(lambda: "a broker with TLS should answer, or mqtt:// be said" in caplog.text)


class Listener:
    """Keeps each CONNECT, and takes it: mosquitto has no tokens of Kubernetes."""

    def __init__(self) -> None:
        self.connects: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connects.append(await reader.read(4096))
        writer.write(bytes([0x20, 3, 0, 0, 0]))  # CONNACK: a new session, taken, no properties
        await reader.read()
        writer.close()


async def test_a_service_account_token_is_shown_and_shown_again_when_it_was_renewed(
    tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "ROTATION", 0.05)
    listener, token = Listener(), tmp_path / "token"
    token.write_text("first-token\n")
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    port = str(server.sockets[0].getsockname()[1])
    environment = {"AIO_BROKER_HOSTNAME": "127.0.0.1", "AIO_BROKER_TCP_PORT": port, "AIO_MQTT_USE_TLS": "false"}
    code = '@app.timer_trigger("t", "0 0 0 1 1 *")\n@app.mqtt_output("$return", "out")\ndef f(t): ...\n'
    known = {**environment, "AIO_SAT_FILE": str(token), "AIO_MQTT_CLIENT_ID": "pod-1", "MQTT_BROKER": ""}
    async with server, host_at(tmp_path / "app", broker, code, **known) as host:
        token.write_text("second-token")
        await until(lambda: len(listener.connects) == 2 and is_online(host))
        assert standing(host)["reconnects"] == {"renewal": 1}
    for connect, shown in zip(listener.connects, (b"first-token", b"second-token"), strict=True):
        # protocol 5, no clean start, keep-alive 59 s; session expiry 3600 s; method and token
        assert connect[2:9] == b"\x00\x04MQTT\x05"
        assert connect[9] & 2 == 0
        assert b"\x11" + (3600).to_bytes(4, "big") in connect
        assert b"\x15\x00\x07K8S-SAT\x16" + len(shown).to_bytes(2, "big") + shown in connect
        assert b"\x00\x05pod-1" in connect


async def test_a_token_that_is_missing_is_named(
    tmp_path: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    there = f"{broker.address}?token=nowhere/token"
    async with host_at(tmp_path, broker, FORWARD, waits=False, MQTT_BROKER=there):
        await until(lambda: f"{tmp_path / 'nowhere/token'}: no token (No such file or directory)" in caplog.text)
