"""The certificates of a hub: a root that modules trust, an intermediate, and the server's own."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edgefn.errors import HubError
from edgefn.standin.folder import Folder

AUTHORITY_DAYS, SERVER_DAYS = 3650, 90
RENEW_BEFORE = timedelta(days=7)
ELSEWHERE = "elsewhere.invalid"
"""The host name of a certificate that fits no hub."""

_ROOT, _CHAIN, _AUTHORITY = "root.pem", "server.pem", "authority.pem"


@dataclass(frozen=True, slots=True)
class _Signed:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        form = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


class Certificates:
    """Made at the first start and kept in the folder; a server certificate that does not fit any more is made anew."""

    def __init__(self, folder: Folder, names: Sequence[str]) -> None:
        self._folder = folder
        self._names = tuple(names)

    @property
    def trust_bundle(self) -> str:
        """What the workload API hands out: the root, as PEM."""
        return self._folder.trust_bundle.read_text(encoding="utf-8")

    def open(self) -> None:
        """Makes what is missing; raises HubError for what is broken."""
        try:
            if not (self._folder.path / _ROOT).exists() or not (self._folder.path / _AUTHORITY).exists():
                self.rotate()
            elif not self._fits():
                self._make_server(self._names, _CHAIN)
            self.context()
        except (ValueError, OSError) as error:
            text = f"{self._folder.path}: a certificate can not be read: {error}; remove *.pem there for new ones"
            raise HubError(text) from None

    def rotate(self) -> None:
        """A new root with a new intermediate; nobody who trusts the old root trusts this hub now."""
        root = _signed("edgefn stand-in root", None, path_length=1)
        authority = _signed("edgefn stand-in intermediate", root, path_length=0)
        self._folder.write(_AUTHORITY, authority.pem + authority.key_pem)
        self._folder.write(_ROOT, root.pem)
        self._make_server(self._names, _CHAIN)

    def context(self) -> ssl.SSLContext:
        """The server's side of TLS 1.2 and 1.3."""
        return self._context(_CHAIN)

    def context_of_another_host(self) -> ssl.SSLContext:
        """The same with a certificate for a host that is not this one."""
        self._make_server([ELSEWHERE], "elsewhere.pem")
        return self._context("elsewhere.pem")

    def _context(self, chain: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._folder.path / chain)
        return context

    def _fits(self) -> bool:
        try:
            found = x509.load_pem_x509_certificate((self._folder.path / _CHAIN).read_bytes())
        except (OSError, ValueError):
            return False
        named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        wanted = set(_alternative_names(self._names))
        return wanted <= set(named) and found.not_valid_after_utc > datetime.now(UTC) + RENEW_BEFORE

    def _make_server(self, names: Sequence[str], file: str) -> None:
        pem = (self._folder.path / _AUTHORITY).read_bytes()
        key = serialization.load_pem_private_key(pem, password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        authority = _Signed(x509.load_pem_x509_certificate(pem), key)
        server = _signed(names[0], authority, names=names)
        self._folder.write(file, server.pem + authority.pem + server.key_pem)


def _signed(name: str, issuer: _Signed | None, *, path_length: int | None = None, names: Iterable[str] = ()) -> _Signed:
    """A certificate: an authority where it has a path length, a server's where it has names."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    authority = path_length is not None
    now = datetime.now(UTC)
    signing_key = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS if authority else SERVER_DAYS))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=path_length), critical=True)
        .add_extension(_usage(authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
    )
    if not authority:
        alternative = x509.SubjectAlternativeName(_alternative_names(names))
        builder = builder.add_extension(alternative, critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return _Signed(builder.sign(signing_key, hashes.SHA256()), key)


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_names(names: Iterable[str]) -> list[x509.GeneralName]:
    return [_alternative_name(name) for name in dict.fromkeys(names)]


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError:
        raise HubError(f"{name}: no name for a certificate; letters, digits, - and . would be right") from None
